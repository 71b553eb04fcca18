"""Runs a session in the foreground of a terminal or a script: trust, progress, signals, exit code."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

import click

from maestro_tui.config import TrustBook, UntrustedWorkflow
from maestro_tui.engine.drive import BY_OPERATOR
from maestro_tui.engine.split_mode import TeamExecutionEngineV2SplitMode
from maestro_tui.model.text import clean
from maestro_tui.progress import Progress, plan_lines

if TYPE_CHECKING:
    from maestro_tui.model.plan import Plan
    from maestro_tui.model.workflow import Workflow

CANCELLED = 130


def engine(
    root: Path, trust: bool, as_json: bool, verbose: bool, workspace: str | None = None, ask: bool = True
) -> tuple[TeamExecutionEngineV2SplitMode, Progress]:
    """The engine for a command, and the progress that it tells. Asks for trust on a terminal."""
    book = TrustBook()

    def approve(workflow: Workflow, source: str) -> None:
        if not ask:
            return
        try:
            book.require(workflow, source, trust=trust)
        except UntrustedWorkflow as refusal:
            if not (sys.stdin.isatty() and sys.stderr.isatty()):
                raise
            click.echo(f"{clean(source, 300)} would start these commands on this computer:", err=True)
            for command in refusal.commands:
                click.echo(f"  {command}", err=True)
            if not click.confirm("Trust exactly this content from now on?", err=True):
                raise
            book.remember(workflow, source)

    progress = Progress(sys.stderr, verbose=verbose)
    engine = TeamExecutionEngineV2SplitMode(
        root,
        workspace=workspace,
        on_event=progress,
        approve=approve,
        remember=book.remember if ask else None,
    )
    return engine, progress


def drive(work: Coroutine[Any, Any, Any], progress: Progress) -> bool:
    """Run to the end; True when a signal stopped it."""

    async def main() -> bool:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(work)
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            loop.add_signal_handler(number, task.cancel, BY_OPERATOR)
        ticking = asyncio.create_task(progress.tick())
        try:
            await task
        except asyncio.CancelledError:
            return True
        finally:
            ticking.cancel()
            await asyncio.gather(ticking, return_exceptions=True)
        return False

    return asyncio.run(main())


def finish(
    document: dict[str, Any], as_json: bool, stopped: bool, code_of: Callable[[dict[str, Any]], int]
) -> NoReturn:
    """Print the document where it was asked for, and end with its exit code."""
    if as_json:
        click.echo(json.dumps(document, indent=2))
    sys.exit(CANCELLED if stopped else code_of(document))


def print_plan(plan: Plan, as_json: bool, document: Callable[[Plan], dict[str, Any]]) -> None:
    """Print a plan for people or as JSON."""
    if as_json:
        click.echo(json.dumps(document(plan), indent=2))
        return
    for line in plan_lines(plan):
        click.echo(line)
