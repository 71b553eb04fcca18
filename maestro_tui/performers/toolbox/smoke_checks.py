"""Smoke-tests an installed package: imports what it brought and runs the `--help` of its console scripts."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed
from maestro_tui.performers.process import ProcessOutcome
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.environments import Interpreter, normalised

CONTENTS = Path(__file__).with_name("installed_contents.py")
IMPORT_SECONDS = 120.0
HELP_SECONDS = 60.0
IMPORT_LIMIT = 50
_MODULE = re.compile(r"ModuleNotFoundError: No module named '([\w.]+)'")


@dataclass(frozen=True, slots=True)
class Check:
    """One smoke test; `ok` is None when it could not be measured."""

    what: str
    ok: bool | None
    said: str = ""


@dataclass(frozen=True, slots=True)
class Installed:
    """What an installed distribution brought."""

    name: str
    version: str
    modules: tuple[str, ...]
    scripts: tuple[str, ...]
    requires: tuple[str, ...]


async def installed_contents(bench: Bench, environment: Interpreter, name: str) -> Installed:
    """Ask the environment what the distribution brought. Raises `PerformerFailed` when it is not there."""
    lines: list[str] = []
    outcome = await bench.run(
        [environment.path, "-I", CONTENTS, name],
        quiet=True,
        timeout=IMPORT_SECONDS,
        listen=lambda text, stream: lines.append(text) if stream == "out" else None,
    )
    if not outcome.ok:
        raise PerformerFailed(
            f"{clean(name, 100)} was installed, but the environment does not know it.", tail=outcome.tail
        )
    data: dict[str, Any] = json.loads("".join(lines))
    return Installed(
        str(data["name"]),
        str(data["version"]),
        tuple(data["modules"]),
        tuple(data["scripts"]),
        tuple(data["requires"]),
    )


async def smoke_test(
    bench: Bench, environment: Interpreter, installed: Installed, absent: Sequence[str]
) -> list[Check]:
    """All checks, each in a process of its own and an empty folder. `absent` are dependencies not installed.

    A check that fails only for want of an absent dependency is not measured.
    """
    empty = bench.scratch / "empty"
    empty.mkdir(exist_ok=True)
    checks: list[Check] = []
    for module in installed.modules[:IMPORT_LIMIT]:
        outcome = await bench.run(
            [environment.path, "-I", "-c", f"import {module}"], cwd=empty, timeout=IMPORT_SECONDS
        )
        checks.append(_judged(f"import {module}", outcome, outcome.ok, absent))
    for script in installed.scripts:
        path = environment.path.parent / script
        if not path.is_file():
            checks.append(Check(f"{script} --help", False, "the script was not installed"))
            continue
        outcome = await bench.run([path, "--help"], cwd=empty, timeout=HELP_SECONDS)
        checks.append(_judged(f"{script} --help", outcome, _helped(outcome), absent))
    return checks


def _helped(outcome: ProcessOutcome) -> bool:
    """True for exit code 0, and for a usage message of a program that has no `--help`."""
    text = "\n".join(outcome.tail).lower()
    usage = outcome.exit_code in (1, 2, 64) and "usage" in text and "traceback" not in text
    return outcome.ok or (usage and not outcome.timed_out)


def _judged(what: str, outcome: ProcessOutcome, ok: bool, absent: Sequence[str]) -> Check:
    last = next((clean(line.strip(), 300) for line in reversed(outcome.tail) if line.strip()), "")
    if ok:
        return Check(what, True)
    wanted = [found[1] for line in outcome.tail if (found := _MODULE.search(line))]
    if absent and wanted:
        names = ", ".join(absent)
        likely = any(normalised(wanted[-1].split(".", 1)[0]) in normalised(name) for name in absent)
        hint = "its dependency" if likely else "probably a dependency"
        return Check(what, None, f"{hint} {wanted[-1]} is not installed here (not installed: {names})")
    return Check(what, False, f"{outcome.sentence}{f': {last}' if last else ''}")
