"""The command `drill`: kills a copy of a session at each boundary and shows that it always ends the same."""

from __future__ import annotations

import json
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

import click

from maestro_tui.model.errors import InputError
from maestro_tui.model.text import clean
from maestro_tui.options import as_json_option, directory, its_workspace_option, root_of, trust_option

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@click.command()
@click.argument("session")
@directory
@its_workspace_option
@trust_option
@click.option("--yes", is_flag=True, help="Do not ask, even where earlier runs have cost money.")
@as_json_option
@click.pass_context
def drill(
    ctx: click.Context,
    session: str,
    checkpoint_dir: str | None,
    workspace: str | None,
    trust: bool,
    yes: bool,
    as_json: bool,
) -> None:
    """Kill a copy of a session at the boundaries of each phase; it must always end the same.

    The copy begins at the first checkpoint, in a copy of the workspace as it is now, and really runs its tools
    and commands there, three times for each phase and twice more; what that usually takes is told first, and where
    it has cost money you are asked. Exit code 1 when an end was another one.
    """
    from maestro_tui.engine.drill import drill as drilled
    from maestro_tui.engine.drill import drill_lines, forecast
    from maestro_tui.foreground import engine

    runner, _ = engine(root_of(ctx, checkpoint_dir), trust, as_json, False, workspace)
    runner.allow(runner.situation(session))
    ahead = forecast(runner, session)
    click.echo(ahead.words(), err=True)
    if ahead.usual.cost_usd and not yes:
        _ask(session)
    with _stopped_once():
        found = drilled(runner, session, lambda line: click.echo(f"  {clean(line, 400)}", err=as_json))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in drill_lines(found):
            click.echo(line)
    if not found["ok"]:
        sys.exit(1)


def _ask(session: str) -> None:
    """Raises unless a person at a terminal agrees to what it costs."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise InputError(
            f"Its runs have cost money, and a drill of {session} would spend it again and again: say --yes to drill "
            "it all the same. Nothing was run."
        )
    if not click.confirm("Spend that?", err=True):
        raise click.exceptions.Abort


@contextmanager
def _stopped_once() -> Iterator[None]:
    """A signal stops the drill like Ctrl-C, and a second one does not keep it from removing what it has made."""

    def stop(number: int, frame: FrameType | None) -> None:
        for one in _SIGNALS:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    before = {one: signal.signal(one, stop) for one in _SIGNALS}
    try:
        yield
    finally:
        for one, handler in before.items():
            signal.signal(one, handler)
