"""The command `drill`: kills a copy of a session at each boundary and shows that it always ends the same."""

from __future__ import annotations

import json
import sys

import click

from maestro_tui.model.text import clean
from maestro_tui.options import as_json_option, directory, root_of, trust_option, workspace_option


@click.command()
@click.argument("session")
@directory
@workspace_option
@trust_option
@as_json_option
@click.pass_context
def drill(
    ctx: click.Context,
    session: str,
    checkpoint_dir: str | None,
    workspace: str | None,
    trust: bool,
    as_json: bool,
) -> None:
    """Kill a copy of a session at the boundaries of each phase; it must always end the same.

    The copy begins at the first checkpoint, in a copy of the workspace as it is now, and really runs its tools
    and commands there, three times for each phase and twice more. Exit code 1 when an end was another one.
    """
    from maestro_tui.engine.drill import drill as drilled
    from maestro_tui.engine.drill import drill_lines
    from maestro_tui.foreground import engine

    runner, _ = engine(root_of(ctx, checkpoint_dir), trust, as_json, False, workspace)
    runner.allow_session(session)
    found = drilled(runner, session, lambda line: click.echo(f"  {clean(line, 400)}", err=as_json))
    if as_json:
        click.echo(json.dumps(found, indent=2))
    else:
        for line in drill_lines(found):
            click.echo(line)
    if not found["ok"]:
        sys.exit(1)
