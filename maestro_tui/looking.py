"""Commands that only look: list, show, report, verify."""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import click

from maestro_tui.exchange import foreign_document, verified
from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.options import as_json_option, directory, root_of

DAMAGED = 1
"""Exit code of `verify` when something is damaged."""


@click.command(name="list")
@directory
@as_json_option
@click.pass_context
def list_sessions(ctx: click.Context, checkpoint_dir: str | None, as_json: bool) -> None:
    """List the sessions, those that need you first."""
    from maestro_tui.listing import list_document, list_lines, read_fleet, read_list
    from maestro_tui.store.index_file import without_collecting
    from maestro_tui.store.runner_file import each_process_once

    root = root_of(ctx, checkpoint_dir)
    with each_process_once(), without_collecting():
        if as_json:
            # A session a line: with indentation JSON is written by a slower writer, and is half as long again.
            text = ",\n ".join(map(json.dumps, list_document(read_fleet(root)))).join("[]")
        else:
            text = "\n".join(list_lines(read_list(root), root))
    # In one piece: a call for each of ten thousand lines would take longer than making them.
    click.echo(text)


@click.command()
@click.argument("session")
@directory
@as_json_option
@click.pass_context
def show(ctx: click.Context, session: str, checkpoint_dir: str | None, as_json: bool) -> None:
    """Show one session: phases, artifacts, decisions, checkpoints."""
    from maestro_tui.engine.report import show_document
    from maestro_tui.foreground import engine
    from maestro_tui.listing import show_lines

    runner, _ = engine(root_of(ctx, checkpoint_dir), False, as_json, False)
    own = runner.store.exists(session)
    foreign = None if own else foreign_document(runner.store.root, session)
    document = foreign or show_document(runner, session)
    if as_json:
        click.echo(json.dumps(document, indent=2))
        return
    for line in show_lines(document):
        click.echo(line)


@click.command()
@click.argument("session")
@directory
@click.option("-o", "--output", metavar="FILE", default=None, help="Write it to a new file; do not print it.")
@click.pass_context
def report(ctx: click.Context, session: str, checkpoint_dir: str | None, output: str | None) -> None:
    """Tell one session as a Markdown document: timeline, errors, gates, decisions, artifacts, usage."""
    from maestro_tui.engine.report_markdown import read_report
    from maestro_tui.store.durable import write_new

    text = read_report(root_of(ctx, checkpoint_dir), session, time.time())
    if output is None:
        click.echo(text, nl=False)
        return
    try:
        write_new(Path(output).expanduser().absolute(), text.encode())
    except FileExistsError:
        raise InputError(f"{clean(output, 200)} is there already; name a new file.") from None
    click.echo(f"Written: {clean(output, 200)}", err=True)


@click.command()
@click.argument("session", metavar="[SESSION|BUNDLE]", required=False)
@directory
@click.option(
    "--artifacts",
    is_flag=True,
    help="Hold the workspace's files against their hashes, too: later work shows.",
)
@as_json_option
@click.pass_context
def verify(
    ctx: click.Context, session: str | None, checkpoint_dir: str | None, artifacts: bool, as_json: bool
) -> None:
    """Check that sessions, or a bundle, are intact: digests, chain, views, journal and kept trees.

    Without a name: all sessions. Exit code 1 when anything is damaged.
    """
    from maestro_tui.store.checkpoints import CheckpointStore

    store = CheckpointStore(root_of(ctx, checkpoint_dir))
    if checkpoint_dir is not None and not store.root.exists() and not (session and Path(session).is_file()):
        raise InputError(
            f"There is no checkpoint directory {clean(str(store.root), 200)}. Nothing was checked."
        )
    found = verified(store, session, artifacts=artifacts)
    names = list(found)
    bad = {name: problems for name, problems in found.items() if problems}
    if as_json:
        click.echo(
            json.dumps([{"session_id": n, "ok": not p, "problems": p} for n, p in found.items()], indent=2)
        )
    else:
        for name, problems in found.items():
            click.echo(f"{'✗' if problems else '✓'} {clean(name, 128)}")
            for problem in problems:
                click.echo(f"    {clean(problem, 400)}")
        click.echo(f"{len(names)} sessions checked, {len(bad)} damaged.")
    if bad:
        sys.exit(DAMAGED)


LOOKING: tuple[click.Command, ...] = (list_sessions, show, report, verify)
