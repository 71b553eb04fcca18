"""The code reviewer: runs the linters that the project itself configures, and counts what they find. It changes no file."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.environments import Interpreter
from maestro_tui.performers.toolbox.layout import Layout, read_layout
from maestro_tui.performers.toolbox.linters import LINTERS, Finding, Linter, UnreadableFindings
from maestro_tui.performers.toolbox.markdown import (
    NOT_MEASURED,
    bullets,
    code,
    count,
    document,
    first,
    plain,
    table,
)
from maestro_tui.performers.toolbox.project import Project, read_project
from maestro_tui.performers.toolbox.source_files import FileList, checkpoint_root, list_files, read_text
from maestro_tui.performers.toolbox.suite import find_suite
from maestro_tui.performers.toolbox.suite_environment import environments_here
from maestro_tui.performers.toolbox.tool_settings import ToolSettings, find_settings

LINT_SECONDS = 600.0
"""For each linter."""
REPORT_LIMIT = 100_000_000
SHOWN = 50
LISTED = 1_000
METRICS = {"lint_findings": ("finding", "findings"), "type_errors": ("type error", "type errors")}


@dataclass(frozen=True, slots=True)
class Looked:
    """What one linter found; `findings` is None when it could not be run."""

    linter: Linter
    settings: ToolSettings
    findings: tuple[Finding, ...] | None
    told: str
    """With what it ran, or why it did not, as a sentence."""


async def review_code(task: Task, port: Port) -> PerformerResult:
    """Write lint.md and lint.json. Findings are measured and never fail the result: a workflow's limits judge them."""
    bench = Bench(task, port, "testing")
    project = await bench.off_loop(read_project, task.workspace)
    configured = [
        (linter, settings)
        for linter in LINTERS
        if (settings := find_settings(task.workspace, project, linter.places)) is not None
    ]
    if not configured:
        return _none_configured(bench)
    outside = checkpoint_root(task.scratch, task.session_id)
    files = await bench.off_loop(list_files, task.workspace, outside, bench.stop)
    layout = read_layout(project, files)
    suite = await bench.off_loop(find_suite, task.workspace, project, layout, files)
    with ExitStack() as held:
        here = await environments_here(bench, project, suite, held)
        looked = [
            await _look(bench, project, layout, files, here, linter, settings)
            for linter, settings in configured
        ]
    return _result(bench, looked)


async def _look(
    bench: Bench,
    project: Project,
    layout: Layout,
    files: FileList,
    here: Sequence[Interpreter],
    linter: Linter,
    settings: ToolSettings,
) -> Looked:
    def without(reason: str) -> Looked:
        bench.say(f"{linter.name}: {NOT_MEASURED}, because {reason}.")
        return Looked(linter, settings, None, f"{NOT_MEASURED}: {reason}.")

    if not files.ending(".py", ".pyi", ".ipynb"):
        return without("there is no Python file")
    program, where = _program(linter, project, here)
    if program is None:
        return without(where)
    targets = linter.targets(settings, layout, files)
    if linter.metric == "type_errors" and not targets and not layout.modules:
        return without("the project has no importable code of its own")
    report = bench.scratch / f"{linter.name}.report"
    lines: list[str] = []
    try:
        outcome = await bench.run(
            [*program, *linter.arguments(report, targets)],
            cwd=bench.workspace,
            timeout=LINT_SECONDS,
            quiet=True,
            listen=lambda text, stream: lines.append(text) if stream == "out" and linter.in_output else None,
        )
    except PerformerFailed as error:
        return without(str(error).rstrip("."))
    if outcome.exit_code not in linter.good_exits or outcome.timed_out:
        last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
        return without(f"it {outcome.sentence}{f': {clean(last, 300)}' if last else ''}")
    text = "\n".join(lines) if linter.in_output else read_text(report, REPORT_LIMIT)
    if text is None:
        return without("it left no report, or one that is too large")
    try:
        findings = await bench.off_loop(linter.read, text)
    except UnreadableFindings as error:
        return without(str(error))
    if outcome.exit_code and not findings:
        return without("it ended with findings, and none of them could be read")
    roots = (bench.workspace, bench.workspace.resolve())
    within = tuple(
        sorted((_shown(one, roots) for one in findings), key=lambda one: (one.path, one.line, one.column))
    )
    words = METRICS[linter.metric]
    bench.say(f"{linter.name} ({where}): {count(len(within), *words)}.")
    return Looked(linter, settings, within, f"Ran from {where}.")


def _program(
    linter: Linter, project: Project, here: Sequence[Interpreter]
) -> tuple[list[str | Path] | None, str]:
    """How it is started and where from; without a program, why not. Nothing is installed for it.

    A type checker must see what the project imports: else it would count what this computer lacks.
    """
    needs_imports = linter.metric == "type_errors"
    complete = [one for one in here if not needs_imports or not one.missing(project.dependencies)]
    if not complete:
        lacking = "; ".join(f"{one.source} lacks {first(one.missing(project.dependencies))}" for one in here)
        return None, f"it would count every import that is missing here ({lacking})"
    for one in complete:
        if one.kind != "current" and linter.name in one.installed:
            return [one.path, "-m", linter.name], one.source
    found = shutil.which(linter.name)
    if found is not None:
        python = ["--python-executable", str(complete[0].path)] if needs_imports else []
        return [found, *python], "PATH"
    for one in complete:
        if linter.name in one.installed:
            return [one.path, "-m", linter.name], one.source
    places = [one.source for one in complete]
    return None, f"it is neither in {', '.join(places)} nor on PATH, and nothing is installed for it"


def _shown(finding: Finding, roots: Sequence[Path]) -> Finding:
    """The finding with its path relative to the workspace, and its text fit to be shown."""
    path = Path(finding.path)
    for root in roots:
        if path.is_relative_to(root):
            path = path.relative_to(root)
    return Finding(
        clean(path.as_posix(), 300),
        finding.line,
        finding.column,
        clean(finding.rule, 60),
        clean(finding.message, 300),
    )


def _result(bench: Bench, looked: Sequence[Looked]) -> PerformerResult:
    metrics: dict[str, float | None] = {}
    for one in looked:
        known = metrics.get(one.linter.metric, 0)
        # Of two linters one of which could not run, the other's count is not the measure.
        metrics[one.linter.metric] = (
            None if known is None or one.findings is None else known + len(one.findings)
        )
    told = [
        f"{name.replace('_', ' ')}: {NOT_MEASURED}"
        if value is None
        else f"{count(int(value), *METRICS[name])}"
        for name, value in metrics.items()
    ]
    summary = f"{', '.join(one.linter.name for one in looked)}: {'; '.join(told)}."
    data = {
        **metrics,
        "linters": [
            {
                "name": one.linter.name,
                "configured_in": one.settings.file,
                "told": one.told,
                "count": None if one.findings is None else len(one.findings),
                "by_rule": dict(_by_rule(one)),
                "findings": [
                    {"path": f.path, "line": f.line, "column": f.column, "rule": f.rule, "message": f.message}
                    for f in (one.findings or ())[:LISTED]
                ],
            }
            for one in looked
        ],
    }
    bench.write_json("lint.json", data)
    bench.write("lint.md", _document(looked, summary))
    bench.say(summary)
    return PerformerResult(
        outputs={**metrics, "lint_report": f"{bench.folder}/lint.md"},
        decisions=[
            Decision(
                about="linters",
                choice=", ".join(one.linter.name for one in looked),
                rationale=" ".join(
                    f"{one.linter.name} is configured in {one.settings.file}." for one in looked
                ),
                decided_by="rules",
            )
        ],
        metrics=metrics,
        summary=summary,
    )


def _by_rule(looked: Looked) -> list[tuple[str, int]]:
    counts = Counter(finding.rule for finding in looked.findings or ())
    return sorted(counts.items(), key=lambda one: (-one[1], one[0]))


def _document(looked: Sequence[Looked], summary: str) -> str:
    blocks: list[Sequence[str]] = [
        [plain(summary, 1_000), "", "Measured, not judged; no file was changed.", ""]
    ]
    for one in looked:
        blocks.append([f"## {one.linter.name}", ""])
        blocks.append([f"Configured in {plain(one.settings.file)}. {plain(one.told, 1_000)}", ""])
        if one.findings is None:
            continue
        blocks.append([f"{count(len(one.findings), *METRICS[one.linter.metric])}.", ""])
        rules = _by_rule(one)
        blocks.append(
            table(["rule", "findings"], [[code(rule), f"{number:,}"] for rule, number in rules[:SHOWN]])
        )
        shown = [
            f"{code(f'{finding.path}:{finding.line}')} {code(finding.rule)} {plain(finding.message)}"
            for finding in one.findings[:SHOWN]
        ]
        if len(one.findings) > SHOWN:
            shown.append(f"and {len(one.findings) - SHOWN:,} more; lint.json has the first {LISTED:,}")
        if shown:
            blocks.append(bullets(shown))
    return document("Lint", *blocks)


def _none_configured(bench: Bench) -> PerformerResult:
    places = "; ".join(f"{linter.name} ({linter.places.words})" for linter in LINTERS)
    found = f"The project configures no linter: looked for {places}. Lint findings: {NOT_MEASURED}."
    bench.say(found)
    bench.write_json("lint.json", {"lint_findings": None, "linters": [], "note": found})
    bench.write("lint.md", document("Lint", [plain(found, 1_000), ""]))
    return PerformerResult(
        outputs={"lint_findings": None, "lint_report": f"{bench.folder}/lint.md"},
        decisions=[Decision(about="linters", choice="none", rationale=found, decided_by="rules")],
        metrics={"lint_findings": None},
        summary=found,
    )
