"""Commands about who works and what it may cost: teams, blueprint, raise."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING

import click

from maestro_tui.acts import by_option, engine_of, reason_option, recorded
from maestro_tui.model.errors import InputError
from maestro_tui.options import DOLLARS, SECONDS, TOKENS, as_json_option, directory, root_of

if TYPE_CHECKING:
    from maestro_tui.engine.offered_teams import Offered


@click.command()
@click.argument("session")
@click.argument("phase", required=False)
@directory
@click.option("--persona", metavar="NAME", default=None, help="The budget of this persona of the phase.")
@click.option("--cost", "cost_usd", type=DOLLARS, metavar="USD", help="Dollars more.")
@click.option("--tokens", type=TOKENS, metavar="N", help="Tokens more, input and output together.")
@click.option("--seconds", type=SECONDS, metavar="S", help="Seconds more.")
@reason_option
@by_option
@as_json_option
@click.pass_context
def raise_budget(
    ctx: click.Context,
    session: str,
    phase: str | None,
    checkpoint_dir: str | None,
    persona: str | None,
    cost_usd: float | None,
    tokens: int | None,
    seconds: float | None,
    reason: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Allow more for a session, a phase or a persona whose budget is spent; 'resume' goes on."""
    from maestro_tui.model.policy import Budget

    if cost_usd is None and tokens is None and seconds is None:
        raise InputError("Say how much more: --cost USD, --tokens N or --seconds S. Nothing was changed.")
    engine = engine_of(root_of(ctx, checkpoint_dir))
    more = Budget(seconds=seconds, tokens=tokens, cost_usd=cost_usd)
    engine.raise_budget(session, more, phase=phase, persona=persona, by=by, reason=reason)
    recorded(engine, session, as_json)


@click.command()
@click.argument("session")
@click.argument("phase")
@directory
@click.option("--personas", metavar="A,B", default=None, help="Who works, in this order.")
@click.option("--mode", type=click.Choice(["sequential", "parallel", "collaborative"]), default=None)
@click.option("--auto", is_flag=True, help="Take your word back: the team decides again.")
@reason_option
@by_option
@as_json_option
@click.pass_context
def blueprint(
    ctx: click.Context,
    session: str,
    phase: str,
    checkpoint_dir: str | None,
    personas: str | None,
    mode: str | None,
    auto: bool,
    reason: str,
    by: str | None,
    as_json: bool,
) -> None:
    """Decide who works on a phase and how; a result that exists becomes stale."""
    if auto == (personas is not None or mode is not None):
        raise InputError("Say --personas, --mode or both, or --auto. Nothing was changed.")
    names = [name.strip() for name in personas.split(",") if name.strip()] if personas is not None else None
    engine = engine_of(root_of(ctx, checkpoint_dir))
    engine.choose_blueprint(session, phase, personas=names, mode=mode, by=by, reason=reason)  # type: ignore[arg-type]
    recorded(engine, session, as_json)


@click.command()
@as_json_option
def teams(as_json: bool) -> None:
    """List who can work: the teams for 'run --team', what is installed, and how the others are installed."""
    from maestro_tui.engine.offered_teams import offered_performers, offered_teams, teams_document

    found, performers = offered_teams(), offered_performers()
    if as_json:
        click.echo(json.dumps(teams_document(found, performers), indent=2))
        return
    click.echo("For --team:")
    _tell(found)
    click.echo('For performer = "…" in a workflow:')
    _tell(performers)
    click.echo("Agents and models are used only where you name them.")


def _tell(offered: Sequence[Offered]) -> None:
    width = max(len(one.name) for one in offered)
    for one in offered:
        here = " · ".join(part for part in (one.version, one.path) if part)
        state = f"install it with: {one.install}" if one.install else here
        click.echo(
            f"  {'✓' if one.ready else '·'} {one.name:<{width}}  {one.about}{f' · {state}' if state else ''}"
        )


TEAMWORK: tuple[tuple[str, click.Command], ...] = (
    ("teams", teams),
    ("raise", raise_budget),
    ("blueprint", blueprint),
)
