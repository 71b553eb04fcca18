"""Commands by which a person decides on sessions: approve, reject, push back, answer, skip, edit, fork, prune, doctor."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean, format_duration
from maestro_tui.options import as_json_option, directory, root_of, seconds_of

if TYPE_CHECKING:
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
    from maestro_tui.model.context import PersonVerdict
    from maestro_tui.model.plan import Plan

reason_option = click.option(
    "--reason", default="", metavar="TEXT", help="Why; kept with your name and the time."
)
by_option = click.option("--by", default=None, metavar="NAME", help="Your name (default: your user name).")
WAITING = 3


def engine_of(root: Path) -> TeamExecutionEngineV2SplitMode:
    """The engine for a person's act on a checkpoint directory."""
    from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode

    return TeamExecutionEngineV2SplitMode(root)


def recorded(engine: TeamExecutionEngineV2SplitMode, session: str, as_json: bool) -> None:
    """Say that the act is in the checkpoint, and what is next."""
    from maestro_tui.engine.report import session_document
    from maestro_tui.model.plan import Request

    if as_json:
        click.echo(json.dumps(session_document(engine, session), indent=2))
    else:
        click.echo(f"Recorded. {next_words(engine.situation(session, need_workspace=False).plan(Request()))}")


def next_words(plan: Plan) -> str:
    """What an operator does next with a session, as a sentence with the command for it."""
    from maestro_tui.engine.report import WAITING
    from maestro_tui.model.plan import Action

    waiting = [one.phase for one in plan.phases if one.reason == WAITING]
    asked = f"maestro-tui approve {plan.session_id}"
    if waiting:
        others = f"; maestro-tui resume {plan.session_id} runs {', '.join(plan.runs)}" if plan.runs else ""
        return f"{waiting[0]} waits for your word: {asked} {waiting[0]} (or reject, push-back){others}"
    if plan.runs:
        stops = [one.phase for one in plan.phases if one.approval]
        then = f", then {stops[0]} waits for your approval" if stops else ""
        return f"Go on: maestro-tui resume {plan.session_id} (runs {', '.join(plan.runs)}{then})"
    blocked = next((one for one in plan.phases if one.action == Action.BLOCKED), None)
    if blocked is not None:
        return f"{blocked.phase} cannot run yet: {clean(blocked.reason, 300)}"
    return "Nothing is left to run."


def _decision(verdict: PersonVerdict, name: str, about: str) -> click.Command:
    @click.command(name=name, help=about)
    @click.argument("session")
    @click.argument("phase", required=False)
    @directory
    @reason_option
    @by_option
    @as_json_option
    @click.pass_context
    def decide(
        ctx: click.Context,
        session: str,
        phase: str | None,
        checkpoint_dir: str | None,
        reason: str,
        by: str | None,
        as_json: bool,
    ) -> None:
        engine = engine_of(root_of(ctx, checkpoint_dir))
        engine.decide(session, phase, verdict, by=by, reason=reason)
        recorded(engine, session, as_json)

    return decide


@click.command()
@click.argument("session")
@click.argument("phase")
@directory
@reason_option
@by_option
@as_json_option
@click.pass_context
def skip(
    ctx: click.Context,
    session: str,
    phase: str,
    checkpoint_dir: str | None,
    reason: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Record that a phase will not be done; what depends on it can go on."""
    engine = engine_of(root_of(ctx, checkpoint_dir))
    engine.skip(session, phase, by=by, reason=reason)
    recorded(engine, session, as_json)


@click.command()
@click.argument("session")
@click.argument("phase")
@click.argument("file", metavar="FILE|-", required=False)
@directory
@click.option(
    "--artifact",
    "artifacts",
    metavar="PATH",
    multiple=True,
    help="A file of the workspace that you changed by hand; it is measured and recorded.",
)
@reason_option
@by_option
@as_json_option
@click.pass_context
def edit(
    ctx: click.Context,
    session: str,
    phase: str,
    file: str | None,
    checkpoint_dir: str | None,
    artifacts: Sequence[str],
    reason: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Change outputs of a committed phase (FILE is a JSON object whose keys replace theirs), or record artifacts
    that you changed."""
    engine = engine_of(root_of(ctx, checkpoint_dir))
    if file is None and not artifacts:
        raise InputError("Name a FILE with outputs, an --artifact, or both. Nothing was changed.")
    edits = {phase: {"outputs": _outputs_in(file)}} if file is not None else {}
    engine.edit(session, edits, files={phase: artifacts} if artifacts else None, by=by, reason=reason)
    recorded(engine, session, as_json)


def _outputs_in(file: str) -> dict[str, Any]:
    from maestro_tui.engine.launch import parse_json

    if file == "-":
        text = sys.stdin.read()
    else:
        try:
            text = Path(file).read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise InputError(
                f"Cannot read {clean(file, 200)}: {clean(getattr(error, 'strerror', None) or error, 200)}. Nothing was changed."
            ) from error
    outputs = parse_json(text, clean(file, 200))
    if not isinstance(outputs, dict):
        raise InputError(f"{clean(file, 200)} must hold a JSON object. Nothing was changed.")
    return outputs


@click.command()
@click.argument("session")
@directory
@click.option("--at", "seq", type=int, default=None, metavar="N", help="From commit N (default: the newest).")
@click.option("--session-id", "new_id", default=None, metavar="ID", help="A name of your own for the fork.")
@as_json_option
@click.pass_context
def fork(
    ctx: click.Context,
    session: str,
    checkpoint_dir: str | None,
    seq: int | None,
    new_id: str | None,
    as_json: bool,
) -> None:
    """Begin a new session from a commit of an old one; the old one stays as it is."""
    engine = engine_of(root_of(ctx, checkpoint_dir))
    made = engine.fork(session, seq=seq, new_id=new_id)
    if as_json:
        recorded(engine, made, as_json)
    else:
        click.echo(f"{made} begins from {session}. Go on: maestro-tui resume {made}")


@click.command()
@directory
@click.option("--keep", type=click.IntRange(0), default=None, metavar="N", help="Keep the newest N of them.")
@click.option(
    "--older-than", "age", default=None, metavar="AGE", help="Only those last written longer ago: 30d, 12h."
)
@click.option("--dry-run", is_flag=True, help="Say what would go and remove nothing.")
@as_json_option
@click.pass_context
def prune(
    ctx: click.Context,
    checkpoint_dir: str | None,
    keep: int | None,
    age: str | None,
    dry_run: bool,
    as_json: bool,
) -> None:
    """Remove old sessions that are completed, failed or cancelled; never one that can need you.

    Without --keep and --older-than, [retention] in ~/.config/maestro-tui/config.toml says what may go.
    """
    from maestro_tui.console.settings import settings_path
    from maestro_tui.listing import read_fleet
    from maestro_tui.store.checkpoints import CheckpointStore
    from maestro_tui.store.prune import Pruned, prunable, prune_sessions
    from maestro_tui.store.retention import Retention, read_retention

    root, now = root_of(ctx, checkpoint_dir), time.time()
    rule = Retention(keep, seconds_of("--older-than", age))
    if not rule.says_something:
        rule = read_retention(settings_path())
        if rule.says_something:
            click.echo(f"[retention] in {clean(str(settings_path()), 200)}: {rule.words()}.", err=True)
    doomed = prunable(read_fleet(root), keep=rule.keep, older_than=rule.older_than, now=now)
    names = [one.session_id for one in doomed]
    done = Pruned() if dry_run or not root.is_dir() else prune_sessions(CheckpointStore(root), names)
    if as_json:
        click.echo(json.dumps({"would_remove": names} if dry_run else asdict(done), indent=2))
    else:
        for one in doomed:
            what = (
                "would go"
                if dry_run
                else "removed"
                if one.session_id in done.removed
                else f"left{': it is in use again' if not done.problems else ''}"
                if (root / one.session_id).exists()
                else "gone already: removed by somebody else"
            )
            click.echo(f"{one.session_id}  {one.status}  {format_duration(now - one.updated_at)} ago  {what}")
        if not doomed:
            click.echo("Nothing to remove.")
        for line in done.problems:
            click.echo(f"✗ {line}", err=True)
    if done.problems:
        sys.exit(1)


@click.command()
@click.argument("session")
@directory
@click.option("--take-over", "taking", is_flag=True, help="Put a stopped or unreachable runner out of force.")
@by_option
@reason_option
@as_json_option
@click.pass_context
def doctor(
    ctx: click.Context,
    session: str,
    checkpoint_dir: str | None,
    taking: bool,
    by: str | None,
    reason: str,
    as_json: bool,
) -> None:
    """Tell who holds a session, whether it lives, what is damaged, and what resume would do."""
    from maestro_tui.engine.doctor import doctor_lines, examine, take_over

    engine = engine_of(root_of(ctx, checkpoint_dir))
    if taking:
        take_over(engine, session, by=by, reason=reason)
    found = examine(engine, session)
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in doctor_lines(found):
            click.echo(line)
    if found["damage"]:
        sys.exit(1)


@click.command()
@click.argument("session")
@click.argument("choice", required=False)
@directory
@click.option("--question", "number", type=int, default=None, metavar="N", help="Which one, of several.")
@by_option
@as_json_option
@click.pass_context
def answer(
    ctx: click.Context,
    session: str,
    choice: str | None,
    checkpoint_dir: str | None,
    number: int | None,
    by: str | None,
    as_json: bool,
) -> None:
    """Answer what a running session asks; CHOICE is an option or its number. Without it: list what is open.

    Exit codes: 0 recorded, or nothing is open; 2 it cannot be answered so; 3 open questions were listed.
    """
    from maestro_tui.engine.report import question_document
    from maestro_tui.listing import question_lines

    asking = engine_of(root_of(ctx, checkpoint_dir))
    if choice is not None:
        question = asking.answer(session, choice, number, by=by)
        document = question_document(question)
        if as_json:
            click.echo(json.dumps(document, indent=2))
        else:
            click.echo(f"Recorded: {document['answer']}. {session} goes on by itself.")
        return
    found = [one for one in asking.questions(session) if one.open and number in (None, one.number)]
    documents = [question_document(one) for one in found]
    if as_json:
        click.echo(json.dumps({"session_id": session, "questions": documents}, indent=2))
    else:
        for line in question_lines(documents):
            click.echo(line)
        if not documents:
            click.echo(f"{session} asks nothing now.")
    if documents:
        sys.exit(WAITING)


ACTS: tuple[click.Command, ...] = (
    _decision("approved", "approve", "Approve a phase that waits for your word; 'resume' goes on."),
    _decision("rejected", "reject", "Reject a phase that waits for your word: it has failed."),
    _decision("pushed_back", "push-back", "Send a waiting phase back with comments: 'resume' does it again."),
    answer,
    skip,
    edit,
    fork,
    prune,
    doctor,
)
