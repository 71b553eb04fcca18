"""The command line: every action of the engine, scriptable, and the console when no command is given."""

from __future__ import annotations

import difflib
import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from maestro_tui import __version__
from maestro_tui.acts import ACTS
from maestro_tui.drilling import drill
from maestro_tui.exchange import EXCHANGE, is_history
from maestro_tui.looking import LOOKING
from maestro_tui.model.errors import FencedError, HeldError, InputError, MaestroError, WaitingError
from maestro_tui.model.text import clean, clean_lines
from maestro_tui.options import (
    as_json_option,
    default_root,
    directory,
    dry_option,
    its_workspace_option,
    limit_options,
    limits_of,
    root_of,
    trust_option,
    unknown_session,
    verbose_option,
    workspace_option,
)
from maestro_tui.streams import READER_GONE, end_streams, open_closed
from maestro_tui.teamwork import TEAMWORK

if TYPE_CHECKING:
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.workflow import Workflow

_SECTIONS = {
    "Work": ("run", "resume", "phase", "demo"),
    "See": ("list", "show", "report", "doctor", "verify", "teams"),
    "Decide": ("approve", "reject", "push-back", "answer", "skip", "edit", "raise", "blueprint"),
    "Sessions": ("fork", "drill", "prune", "export", "import", "restore"),
}
"""The commands as `--help` lists them."""
CANCELLED, FAULT, HELD, WAITING, BAD_INPUT = 130, 5, 4, 3, 2


class _Commands(click.Group):
    """Takes --checkpoint-dir before or after the command, and a session id in a command's place."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            root = Path(ctx.params.get("checkpoint_dir") or default_root())
            session_id = args[0].partition("/")[0]
            if session_id and ((root / session_id / "history").is_dir() or is_history(root, session_id)):
                return "open", self.commands["open"], args
            words = unknown_session(root, session_id)
            offered = [name for name, command in self.commands.items() if not command.hidden]
            close = difflib.get_close_matches(args[0], offered, n=1)
            meant = f"; did you mean the command {close[0]!r}?" if close else ""
            raise InputError(
                f"There is neither a command nor a session called {clean(args[0], 80)!r}{meant or words}"
            )
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The commands by what they are for, each with its whole sentence."""
        for title, names in _SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl([(name, self.commands[name].get_short_help_str(200)) for name in names])

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except BrokenPipeError:
            # Whoever read the output has all that it wanted, as with `… | head -1`.
            sys.exit(READER_GONE)


@click.group(
    cls=_Commands, invoke_without_command=True, context_settings={"help_option_names": ["-h", "--help"]}
)
@directory
@click.option(
    "-f", "--filter", "query", default="", metavar="QUERY", help="Open the console with this filter."
)
@click.option("--read-only", is_flag=True, help="Open the console without any action that changes something.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Draw the console with ASCII signs only.")
@click.version_option(__version__, prog_name="maestro-tui")
@click.pass_context
def commands(
    ctx: click.Context, checkpoint_dir: str | None, query: str, read_only: bool, ascii_only: bool
) -> None:
    """Run long work in phases, with a checkpoint after each; without a command: the console.

    'maestro-tui SESSION' opens the console there. Exit codes: 0 completed, 1 a phase failed, 2 bad input,
    3 paused or waiting, 4 held by another runner, 5 the disk or maestro-tui itself failed, 130 cancelled.
    """
    if ctx.invoked_subcommand not in (None, "open"):
        given = [("--read-only", read_only), ("--ascii", ascii_only), ("--filter", bool(query))]
        named = [name for name, asked in given if asked]
        if named:
            raise InputError(
                f"{named[0]} belongs to the console, not to '{ctx.invoked_subcommand}'. Nothing was run."
            )
    if ctx.invoked_subcommand is None:
        _open_console(
            root_of(ctx, checkpoint_dir), query=query, read_only=read_only, ascii_only=ascii_only or None
        )


def _open_console(root: Path, *, query: str = "", session: str | None = None, **options: Any) -> None:
    if not (sys.stdin.isatty() and sys.stdout.isatty()) or sys.__stderr__ is None:
        raise InputError(
            "The console needs a terminal; 'maestro-tui list' and 'maestro-tui show' do without."
        )
    from maestro_tui.console.run import run_console

    code = run_console(root, initial_filter=query, open_session=session, **options)
    if code:
        sys.exit(code)


@commands.command(name="open", hidden=True)
@click.argument("session")
@directory
@click.option("--read-only", is_flag=True)
@click.option("--ascii", "ascii_only", is_flag=True)
@click.pass_context
def open_session(
    ctx: click.Context, session: str, checkpoint_dir: str | None, read_only: bool, ascii_only: bool
) -> None:
    """Open the console at SESSION[/PHASE]."""
    params = ctx.find_root().params
    _open_console(
        root_of(ctx, checkpoint_dir),
        session=session,
        read_only=read_only or params["read_only"],
        ascii_only=ascii_only or params["ascii_only"] or None,
    )


@commands.command()
@click.argument("requirement", metavar="REQUIREMENT|@FILE|-")
@directory
@click.option(
    "--workflow",
    metavar="NAME|FILE",
    default=None,
    help="'sdlc' or a TOML file (default: maestro.toml in the workspace, else sdlc).",
)
@click.option(
    "--team",
    metavar="TEAM",
    default=None,
    help="Who works where the workflow names nobody: toolbox (default), claude, codex, gemini, opencode, "
    "llm:MODEL[@BASE_URL], hive:MODULE:CLASS. Naming it is your word: agents cost money and write files.",
)
@workspace_option
@click.option("--session-id", metavar="ID", default=None, help="A name of your own for the session.")
@click.option("--phases", metavar="A,B", default=None, help="Run these phases only.")
@click.option(
    "--from",
    "start_from",
    metavar="PHASE",
    default=None,
    help="Begin here; earlier phases are provided or skipped.",
)
@click.option(
    "--input", "inputs", metavar="PHASE=FILE", multiple=True, help="Provide a phase's result from a file."
)
@click.option("--pause-after", metavar="PHASE", multiple=True, help="Stop for review after this phase.")
@limit_options
@trust_option
@dry_option
@as_json_option
@verbose_option
@click.pass_context
def run(
    ctx: click.Context,
    requirement: str,
    checkpoint_dir: str | None,
    workflow: str | None,
    team: str | None,
    workspace: str | None,
    session_id: str | None,
    phases: str | None,
    start_from: str | None,
    inputs: Sequence[str],
    pause_after: Sequence[str],
    phase_limit: str | None,
    time_limit: str | None,
    max_tokens: int | None,
    max_cost: float | None,
    trust: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Begin a new session and run it."""
    from maestro_tui.engine.launch import Launch
    from maestro_tui.engine.report import exit_code, plan_document, session_document
    from maestro_tui.foreground import drive, engine, finish, print_plan

    launch = Launch(
        requirement=_requirement(requirement),
        workflow=workflow or "",
        workspace=workspace or ".",
        phases=_names(phases) if phases is not None else None,
        start_from=start_from,
        inputs=_pairs(inputs),
        pause_after=tuple(name for part in pause_after for name in _names(part)),
        session_id=session_id,
        team=team,
        limits=limits_of(phase_limit, time_limit, max_tokens, max_cost),
    )
    runner, progress = engine(root_of(ctx, checkpoint_dir), trust, as_json, verbose, ask=not dry_run)
    if dry_run:
        print_plan(runner.plan_launch(launch), as_json, plan_document)
        return
    created = runner.create(launch)
    if team is None and not as_json and sys.stderr.isatty():
        _mention_agents(runner.situation(created).workflow)
    stopped = drive(runner.drive_new(created), progress)
    finish(session_document(runner, created), as_json, stopped, exit_code)


@commands.command()
@click.argument("session")
@directory
@its_workspace_option
@click.option(
    "--from",
    "from_phase",
    metavar="PHASE",
    default=None,
    help="Run this phase and all that depends on it again.",
)
@trust_option
@dry_option
@as_json_option
@verbose_option
@click.pass_context
def resume(
    ctx: click.Context,
    session: str,
    checkpoint_dir: str | None,
    workspace: str | None,
    from_phase: str | None,
    trust: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Go on after the last committed phase; a failed one is tried again."""
    from maestro_tui.engine.report import exit_code, plan_document, session_document
    from maestro_tui.foreground import drive, engine, finish, print_plan
    from maestro_tui.progress import plan_lines

    runner, progress = engine(
        root_of(ctx, checkpoint_dir), trust, as_json, verbose, workspace, ask=not dry_run
    )
    if dry_run:
        print_plan(runner.plan(session, from_phase=from_phase), as_json, plan_document)
        return

    def tell(plan: Plan) -> None:
        if not as_json:
            progress.lines(plan_lines(plan))

    stopped = drive(runner.resume(session, from_phase, on_plan=tell), progress)
    finish(session_document(runner, session), as_json, stopped, exit_code)


@commands.command()
@click.argument("session")
@click.argument("phase")
@directory
@its_workspace_option
@click.option(
    "--if-needed",
    is_flag=True,
    help="Only when it has no result that stands or waits; for scripts that try again.",
)
@trust_option
@dry_option
@as_json_option
@verbose_option
@click.pass_context
def phase(
    ctx: click.Context,
    session: str,
    phase: str,
    checkpoint_dir: str | None,
    workspace: str | None,
    if_needed: bool,
    trust: bool,
    dry_run: bool,
    as_json: bool,
    verbose: bool,
) -> None:
    """Run one phase alone; what depends on it becomes stale."""
    from maestro_tui.engine.report import exit_code, plan_document, session_document
    from maestro_tui.foreground import drive, engine, finish, print_plan

    runner, progress = engine(
        root_of(ctx, checkpoint_dir), trust, as_json, verbose, workspace, ask=not dry_run
    )
    if dry_run:
        print_plan(runner.plan(session, phase=phase, again=not if_needed), as_json, plan_document)
        return
    name = runner.situation(session).workflow.resolve(phase)
    work = runner.execute_phase(phase, session_id=session, again=not if_needed)
    stopped = drive(work, progress)
    finish(session_document(runner, session), as_json, stopped, lambda document: exit_code(document, name))


for act in (*ACTS, *EXCHANGE, *LOOKING, drill):
    commands.add_command(act)
for act_name, act in TEAMWORK:
    commands.add_command(act, act_name)


@commands.command()
@click.option(
    "--dir",
    "folder",
    metavar="DIR",
    default=None,
    help="Where to put the sample (default: a new temporary folder).",
)
@directory
@click.option("--headless", is_flag=True, help="No console, even on a terminal.")
@click.pass_context
def demo(ctx: click.Context, folder: str | None, checkpoint_dir: str | None, headless: bool) -> None:
    """Run real sessions on a small sample project; one fails half-way, is mended, and resumes."""
    from maestro_tui.demo import run_demo

    interactive = not headless and sys.stdin.isatty() and sys.stdout.isatty()
    named = checkpoint_dir or ctx.find_root().params.get("checkpoint_dir")
    kept_in = root_of(ctx, checkpoint_dir) if named else None
    root, started = run_demo(Path(folder) if folder else None, kept_in, interactive=interactive)
    if not interactive:
        return
    try:
        _open_console(root)
    finally:
        for process in started:
            process.terminate()


# ── What the commands take ────────────────────────────────────────────────────────────────────────────────


def _mention_agents(workflow: Workflow) -> None:
    """One line about agents that are here, where the workflow leaves the work to the toolbox."""
    from maestro_tui.engine.offered_teams import agents_sentence

    if workflow.personas or any(phase.personas for phase in workflow.phases):
        return
    sentence = agents_sentence()
    if sentence is not None:
        click.echo(sentence, err=True)


def _requirement(text: str) -> str:
    if text == "-":
        return sys.stdin.buffer.read().decode("utf-8", "replace")
    if text.startswith("@"):
        path = Path(text[1:]).expanduser()
        try:
            return path.read_text(encoding="utf-8-sig", errors="replace")
        except OSError as error:
            raise InputError(
                f"Cannot read the requirement from {clean(str(path), 200)}: {error.strerror}."
            ) from error
    return text


def _names(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _pairs(texts: Sequence[str]) -> dict[str, str]:
    pairs = [_pair(text) for text in texts]
    if len(dict(pairs)) < len(pairs):
        raise InputError(
            "--input names one phase twice; each can be provided from one file only. Nothing was run."
        )
    return dict(pairs)


def _pair(text: str) -> tuple[str, str]:
    name, sign, path = text.partition("=")
    if not sign or not name or not path:
        raise InputError(f"--input takes PHASE=FILE, not {clean(text, 100)!r}. Nothing was run.")
    return name, path


def main(argv: Sequence[str] | None = None) -> None:
    """The program: errors become one sentence on standard error and an exit code."""
    open_closed()
    if not os.environ.get("HOME"):
        # An empty one would be taken for the root folder; without it the user's entry says where home is.
        os.environ.pop("HOME", None)
    try:
        _main(argv)
    finally:
        end_streams()


def _main(argv: Sequence[str] | None) -> None:
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    try:
        commands.main(
            args=list(argv) if argv is not None else None, prog_name="maestro-tui", standalone_mode=False
        )
    except click.exceptions.Abort:
        _fail("Stopped.", CANCELLED)
    except KeyboardInterrupt:
        _fail("Stopped. Committed phases are safe.", CANCELLED)
    except click.ClickException as error:
        usage = error.ctx.command_path if isinstance(error, click.UsageError) and error.ctx else "maestro-tui"
        _fail(f"{clean(error.format_message(), 500)}{_hint(error)} (see '{usage} --help')", BAD_INPUT)
    except HeldError as error:
        _fail(str(error), HELD)
    except WaitingError as error:
        _fail(str(error), WAITING)
    except InputError as error:
        _fail(str(error), BAD_INPUT)
    except FencedError as error:
        _fail(str(error), HELD)
    except MaestroError as error:
        _fail(str(error), FAULT)
    except OSError as error:
        _fail(f"The system refused: {clean(str(error), 300)}. Committed phases are safe.", FAULT)
    except Exception as error:
        from maestro_tui.config import write_crash

        _fail(
            f"A fault of maestro-tui itself ({type(error).__name__}); {write_crash(error)}. Committed phases are safe.",
            FAULT,
        )


def _hint(error: click.ClickException) -> str:
    """What to do next: how a requirement is given that looks like an option, where the ids of sessions are."""
    if isinstance(error, click.NoSuchOption) and error.ctx is not None and error.ctx.command is run:
        return " A requirement that begins with '-' goes last, after '--': maestro-tui run -- '- like this'"
    if (
        isinstance(error, click.MissingParameter)
        and error.param is not None
        and error.param.name == "session"
    ):
        return " 'maestro-tui list' names the sessions, those that need you first."
    return ""


def _fail(sentence: str, code: int) -> NoReturn:
    with suppress(OSError):
        # Paths and names in it may come from others.
        click.echo(f"maestro-tui: {clean_lines(sentence)}", err=True)
    sys.exit(code)
