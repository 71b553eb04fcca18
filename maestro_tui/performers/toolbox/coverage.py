"""Measures how much of the project its tests run, with the coverage tool that the project itself declares."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.layout import Layout
from maestro_tui.performers.toolbox.markdown import NOT_MEASURED, code, plain, table
from maestro_tui.performers.toolbox.project import Project
from maestro_tui.performers.toolbox.source_files import read_bytes
from maestro_tui.performers.toolbox.suite import Suite
from maestro_tui.performers.toolbox.suite_environment import SuiteEnvironment
from maestro_tui.performers.toolbox.tool_settings import COVERAGE, find_settings, words_of

REPORT_SECONDS = 300.0
REPORT_LIMIT = 200_000_000
LISTED = 10
_SOURCES = ("source", "source_pkgs", "source_dirs", "include")
"""Settings by which a project says what is to be measured."""


@dataclass(frozen=True, slots=True)
class Measuring:
    """How coverage is measured while the suite runs."""

    plugin: bool
    """pytest-cov measures; else `coverage run` does."""
    switched_on: bool
    """The project's own pytest options have `--cov`."""
    sources: tuple[str, ...]
    """What is measured where the project's settings do not say it."""
    import_path: tuple[Path, ...]
    why: str

    def before(self) -> list[str]:
        """Words between the Python and the script or `-m module` that is to run."""
        if self.plugin:
            return []
        named = [f"--source={','.join(self.sources)}"] if self.sources else []
        return ["-m", "coverage", "run", *named]

    def options(self, *, own_options: bool) -> list[str]:
        """pytest's options, where it measures and its own options (`addopts`) do not already say so."""
        if not self.plugin or (self.switched_on and own_options):
            return []
        # The project's least value is a judgement of its own; here it is only measured.
        return [
            *([f"--cov={source}" for source in self.sources] or ["--cov"]),
            "--cov-report=",
            "--cov-fail-under=0",
        ]


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was measured: a ratio from 0 to 1 over statements (and branches), or the reason why not."""

    ratio: float | None
    why: str
    """As a sentence."""
    statements: int = 0
    branches: int = 0
    least: tuple[tuple[str, float], ...] = ()
    """The files of which least was run, with their ratios."""

    def as_json(self) -> dict[str, Any]:
        """For the report that others read."""
        return {
            "ratio": self.ratio,
            "why": self.why,
            "statements": self.statements,
            "branches": self.branches,
            "least": [{"file": path, "ratio": round(ratio, 4)} for path, ratio in self.least],
        }

    def lines(self) -> list[str]:
        """Its part of the document."""
        measured = NOT_MEASURED if self.ratio is None else f"{self.ratio:.2%}"
        rows = [[code(path), f"{ratio:.1%}"] for path, ratio in self.least]
        return ["## Coverage", "", f"{measured}. {plain(self.why, 1_000)}", "", *table(["file", "run"], rows)]


def plan_coverage(
    workspace: Path, project: Project, layout: Layout, suite: Suite, where: SuiteEnvironment
) -> Measuring | Coverage | None:
    """How to measure; the reason why it cannot be; None when the project does not declare coverage."""
    if suite.coverage is None:
        return None
    have = where.interpreter.installed
    switched_on = any(
        word == "--cov" or word.startswith("--cov=") for word in words_of(suite.config.get("addopts"))
    )
    plugin = suite.runner == "pytest" and "pytest-cov" in have
    if not plugin and "coverage" not in have:
        return Coverage(
            None,
            f"{suite.coverage[:1].upper()}{suite.coverage[1:]}, but {where.interpreter.source} has no coverage.",
        )
    settings = find_settings(workspace, project, COVERAGE)
    values: Mapping[str, Any] = settings.values if settings is not None else {}
    if isinstance(values.get("run"), Mapping):
        values = values["run"]
    # What stands in the workspace can be told by its path; what is installed only by its name.
    import_path = where.import_path or where.sources
    sources: tuple[str, ...] = ()
    if not any(words_of(values.get(key)) for key in _SOURCES):
        roots = tuple(root for root in layout.roots if root != ".") if import_path else ()
        sources = roots or layout.top_level
        if not sources and not switched_on:
            return Coverage(None, "The project has no importable code of its own that could be measured.")
    by_options = plugin and switched_on
    told = (
        "as its pytest options say"
        if by_options
        else f"for {', '.join(sources)} (its settings name no source)"
        if sources
        else "as its settings say"
    )
    by = "pytest-cov" if plugin else "coverage"
    return Measuring(
        plugin, switched_on, sources, import_path, f"Measured by {by}, {told}; {suite.coverage}."
    )


async def read_coverage(
    bench: Bench, where: SuiteEnvironment, measuring: Measuring, values: Mapping[str, str]
) -> Coverage:
    """The total of what the run left in the data file that `values` name. Nothing in it: not measured."""
    python, data = where.interpreter.path, Path(values["COVERAGE_FILE"])
    if not data.exists() and any(data.parent.glob(f"{data.name}.*")):
        # `parallel = true`: each process has left a file of its own.
        await bench.run(
            [python, "-m", "coverage", "combine"],
            cwd=bench.workspace, values=values, timeout=REPORT_SECONDS, quiet=True,
        )  # fmt: skip
    if not data.exists():
        return Coverage(None, f"The run left no coverage data. {measuring.why}")
    report = bench.scratch / "coverage.json"
    report.unlink(missing_ok=True)
    outcome = await bench.run(
        [python, "-m", "coverage", "json", "--fail-under=0", "-o", report],
        cwd=bench.workspace, values=values, timeout=REPORT_SECONDS, quiet=True,
    )  # fmt: skip
    found = await bench.off_loop(_read, report)
    if found is None:
        last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "no report")
        return Coverage(None, f"Its report could not be made: {clean(last, 300)}. {measuring.why}")
    total, branches, covered, files = found
    if total + branches == 0:
        return Coverage(None, f"There was no statement to measure. {measuring.why}")
    least = sorted(files.items(), key=lambda one: (one[1], one[0]))[:LISTED]
    shown = tuple((clean(path, 300), ratio) for path, ratio in least if ratio < 1)
    return Coverage(covered / (total + branches), measuring.why, total, branches, shown)


def _read(path: Path) -> tuple[int, int, int, dict[str, float]] | None:
    """Statements, branches, how many of both were run, and each file's ratio, from coverage's JSON report."""
    try:
        data = json.loads(read_bytes(path, REPORT_LIMIT) or b"")
        total = data["totals"]
        files = {
            str(name): _covered(one["summary"]) / _all(one["summary"])
            for name, one in data["files"].items()
            if _all(one["summary"])
        }
        return int(total["num_statements"]), int(total.get("num_branches", 0)), _covered(total), files
    except (ValueError, TypeError, LookupError, AttributeError, RecursionError):
        return None


def _covered(summary: Mapping[str, Any]) -> int:
    return int(summary["covered_lines"]) + int(summary.get("covered_branches", 0))


def _all(summary: Mapping[str, Any]) -> int:
    return int(summary["num_statements"]) + int(summary.get("num_branches", 0))
