"""The test engineer: runs the project's own test suite and counts what passed, failed, broke and was skipped."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from maestro_tui.model.context import Decision
from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerFailed, PerformerResult, Port, Task
from maestro_tui.performers.process import ProcessOutcome
from maestro_tui.performers.toolbox.bench import Bench
from maestro_tui.performers.toolbox.coverage import Coverage, Measuring, plan_coverage, read_coverage
from maestro_tui.performers.toolbox.layout import read_layout
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
from maestro_tui.performers.toolbox.project import read_project
from maestro_tui.performers.toolbox.source_files import checkpoint_root, list_files
from maestro_tui.performers.toolbox.suite import Suite, find_suite
from maestro_tui.performers.toolbox.suite_environment import SuiteEnvironment, suite_environment
from maestro_tui.performers.toolbox.suite_report import (
    Case,
    Counts,
    UnreadableReport,
    counted,
    read_junit,
    read_recorded,
)
from maestro_tui.performers.toolbox.wording import shared_words

RECORDER = Path(__file__).with_name("unittest_report.py")
LISTED = 200
_MODULE = re.compile(r"No module named '([\w.]+)'")


async def run_tests(task: Task, port: Port) -> PerformerResult:
    """Write testing.md and testing.json. A red suite is a failure of the result, whatever its ratio.

    Raises `PerformerFailed` when there are tests and they cannot be run.
    """
    bench = Bench(task, port, "testing")
    project = await bench.off_loop(read_project, task.workspace)
    outside = checkpoint_root(task.scratch, task.session_id)
    files = await bench.off_loop(list_files, task.workspace, outside, bench.stop)
    layout = read_layout(project, files)
    suite = await bench.off_loop(find_suite, task.workspace, project, layout, files)
    if suite is None:
        return _no_tests(bench, len(files.ending(".py")), len(files.files))
    bench.say(f"{count(len(suite.files), 'test file')} for {suite.runner}: {suite.why}.")
    with ExitStack() as held:
        where = await suite_environment(bench, project, layout, suite, held)
        bench.say(where.why)
        plan = await bench.off_loop(plan_coverage, task.workspace, project, layout, suite, where)
        measuring = plan if isinstance(plan, Measuring) else None
        cases, outcome, notes, measuring = await _run(bench, suite, where, measuring)
        coverage = plan if isinstance(plan, Coverage) else None
        if isinstance(plan, Measuring):
            coverage = Coverage(None, "The suite could not be run under it; it ran without.")
            if measuring is not None:
                coverage = await read_coverage(bench, where, measuring, _values(bench, where, measuring))
    counts = counted(cases)
    notes = [*where.notes, *notes]
    failure = _failure(suite, cases, counts, outcome)
    # A suite that could only be collected has measured nothing, though every broken file counts as an error.
    ratio = counts.ratio if counts.passed or counts.failed else None
    if coverage is not None and ratio is None:
        coverage = Coverage(None, "No test came to an outcome.")
    statements = bench.earlier("requirements", "statements").get("statements")
    hits = await bench.off_loop(shared_words, statements, {case.id: case.id for case in cases})
    traces = [{"statement": number, "tests": list(found)} for number, found in hits]
    data: dict[str, Any] = {
        "runner": suite.runner,
        "environment": where.why,
        "python": where.interpreter.version,
        "passed": counts.passed,
        "failed": counts.failed,
        "errors": counts.errors,
        "skipped": counts.skipped,
        "total": counts.total,
        "ratio": ratio,
        "duration_seconds": round(outcome.duration, 3),
        "failures": [
            {"test": case.id, "outcome": case.outcome, "message": case.message}
            for case in cases
            if case.outcome in ("failed", "error")
        ][:LISTED],
        "slowest": [
            {"test": case.id, "seconds": case.seconds}
            for case in sorted(cases, key=lambda case: -case.seconds)[:10]
            if case.seconds >= 0.1
        ],
        "traces": traces,
        "coverage": coverage.as_json() if coverage is not None else None,
        "notes": notes,
    }
    bench.write_json("testing.json", data)
    bench.write("testing.md", _document(data, suite, failure, coverage))
    summary = f"{_counted(counts)} with {suite.runner} in {outcome.duration:.1f} s."
    metrics = {"tests": ratio}
    if coverage is not None:
        metrics["coverage"] = coverage.ratio
        measured = NOT_MEASURED if coverage.ratio is None else f"{coverage.ratio:.1%}"
        summary += f" Coverage: {measured}."
    bench.say(summary)
    kept = {
        key: data[key] for key in ("runner", "environment", "passed", "failed", "errors", "skipped", "total")
    }
    return PerformerResult(
        outputs={**kept, "failures": data["failures"][:20], "testing_report": f"{bench.folder}/testing.md"},
        decisions=[
            Decision(
                about="test runner",
                choice=suite.runner,
                rationale=f"{suite.why}. {where.why}",
                alternatives=("pytest", "unittest"),
                decided_by="rules",
            )
        ],
        metrics=metrics,
        summary=summary,
        failure=failure,
    )


async def _run(
    bench: Bench, suite: Suite, where: SuiteEnvironment, measuring: Measuring | None
) -> tuple[list[Case], ProcessOutcome, list[str], Measuring | None]:
    """Run the suite; its cases, how the runner ended, notes, and what measured coverage.

    Raises `PerformerFailed` when there is no report.
    """
    report = bench.scratch / ("junit.xml" if suite.runner == "pytest" else "unittest.json")
    read = read_junit if suite.runner == "pytest" else read_recorded
    notes: list[str] = []
    while True:
        outcome = await _start(bench, suite, where, report, measuring)
        usage_error = suite.runner == "pytest" and outcome.exit_code == 4
        if usage_error and "addopts" in suite.config:
            notes.append(
                "the project's own pytest options (addopts) were left out, for one of them is not known here"
            )
            bench.say(f"Trying again: {notes[-1]}.")
            outcome = await _start(bench, suite, where, report, measuring, own_options=False)
        try:
            return await bench.off_loop(read, report), outcome, notes, measuring
        except UnreadableReport as error:
            last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
            told = f"{suite.runner} {outcome.sentence}, and {error}{f'; its last line: {clean(last, 300)}' if last else ''}"
            if measuring is None:
                raise PerformerFailed(told, kind="exit", tail=outcome.tail) from error
            # Measuring must not decide whether the tests can be run.
            notes = [f"under coverage {told}; the tests ran without"]
            bench.say(f"Trying again: {notes[-1]}.")
            measuring = None


def _values(bench: Bench, where: SuiteEnvironment, measuring: Measuring | None) -> dict[str, str]:
    """The variables of the run and of what reads its data afterwards."""
    python = where.interpreter.path
    values = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # What tests and their tools keep for themselves does not belong into the workspace.
        "COVERAGE_FILE": str(bench.scratch / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(bench.scratch / "hypothesis"),
    }
    if where.interpreter.kind in ("workspace", "made"):
        values["VIRTUAL_ENV"] = str(python.parent.parent)
    import_path = measuring.import_path if measuring is not None else where.import_path
    if import_path:
        values["PYTHONPATH"] = os.pathsep.join(map(str, import_path))
    return values


async def _start(
    bench: Bench,
    suite: Suite,
    where: SuiteEnvironment,
    report: Path,
    measuring: Measuring | None,
    *,
    own_options: bool = True,
) -> ProcessOutcome:
    report.unlink(missing_ok=True)
    python: list[str | Path] = [
        where.interpreter.path,
        *(measuring.before() if measuring is not None else []),
    ]
    values = _values(bench, where, measuring)
    if suite.runner == "unittest":
        request = bench.scratch / "unittest.request.json"
        request.write_text(json.dumps({"files": suite.files, "result": str(report)}), encoding="utf-8")
        return await bench.run([*python, RECORDER, request], cwd=bench.workspace, values=values)
    config: list[str | Path] = []
    if suite.config_file is None:
        # Without this pytest takes the settings of whatever project lies above the workspace.
        empty = bench.scratch / "pytest.ini"
        empty.write_text("[pytest]\n", encoding="utf-8")
        config = ["-c", empty, f"--rootdir={bench.workspace}"]
    argv: list[str | Path] = [
        *python,
        "-m",
        "pytest",
        "--color=no",
        "--continue-on-collection-errors",
        f"--junitxml={report}",
        "-o",
        # pytest refuses a cache whose path is not the real one.
        f"cache_dir={(bench.scratch / 'pytest-cache').resolve()}",
        *config,
        *(measuring.options(own_options=own_options) if measuring is not None else []),
        *([] if own_options else ["-o", "addopts="]),
    ]
    return await bench.run(argv, cwd=bench.workspace, values=values)


def _failure(suite: Suite, cases: Sequence[Case], counts: Counts, outcome: ProcessOutcome) -> str | None:
    """A sentence when the suite is red, or when tests exist and none could be run."""
    bad = [case for case in cases if case.outcome in ("failed", "error")]
    missing = sorted({found[1] for case in bad if (found := _MODULE.search(case.message))})
    hint = (
        f" Missing here: {first(missing)}. Install it into a .venv in the workspace, or name it in an extra or "
        "dependency group called 'test', then resume."
        if missing
        else ""
    )
    if bad and not counts.passed and not counts.failed:
        return (
            f"The tests could not be run: {count(len(bad), 'test or file', 'tests or files')} broke before testing "
            f"anything, the first with {clean(bad[0].message or 'no message', 300)} ({bad[0].id}).{hint}"
        )
    if bad:
        return f"The test suite is red: {_counted(counts)}. {first([case.id for case in bad], 5)}.{hint}"
    if not cases and suite.functions:
        return (
            f"{count(suite.functions, 'test function')} in {count(len(suite.files), 'file')}, but {suite.runner} "
            f"found none to run ({outcome.sentence}). Look at its configuration, then resume."
        )
    if cases and outcome.exit_code not in (0, 5):
        last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
        return f"Every reported test passed, but {suite.runner} {outcome.sentence}: {clean(last, 300)}"
    return None


def _counted(counts: Counts) -> str:
    parts = [f"{counts.passed} of {counts.executed} tests passed"]
    if counts.failed:
        parts.append(f"{counts.failed} failed")
    if counts.errors:
        parts.append(f"{counts.errors} broke")
    if counts.skipped:
        parts.append(f"{counts.skipped} skipped")
    return ", ".join(parts)


def _no_tests(bench: Bench, python_files: int, files: int) -> PerformerResult:
    found = (
        f"No tests were found: looked for test_*.py, *_test.py and tests.py among {count(python_files, 'Python file')} "
        f"({count(files, 'file')} in all). Tests: {NOT_MEASURED}."
    )
    bench.say(found)
    bench.write_json("testing.json", {"total": None, "ratio": None, "note": found})
    bench.write("testing.md", document("Testing", [plain(found, 1_000), ""]))
    return PerformerResult(
        outputs={"runner": None, "total": None},
        decisions=[Decision(about="test runner", choice="none", rationale=found, decided_by="rules")],
        metrics={"tests": None},
        summary=found,
    )


def _document(data: dict[str, Any], suite: Suite, failure: str | None, coverage: Coverage | None) -> str:
    ratio = NOT_MEASURED if data["ratio"] is None else f"{data['ratio']:.2%}"
    rows = [[str(data[key]) for key in ("passed", "failed", "errors", "skipped", "total")] + [ratio]]
    failures = [f"{code(f['test'])} {f['outcome']}: {plain(f['message'])}" for f in data["failures"]]
    traces = [
        [entry["statement"], ", ".join(code(name) for name in entry["tests"]) or "none"]
        for entry in data["traces"]
    ]
    slow = [[code(entry["test"]), f"{entry['seconds']:.2f} s"] for entry in data["slowest"]]
    needs = (
        f"Test requirements from {', '.join(suite.requirement_sources)}." if suite.requirement_sources else ""
    )
    return document(
        "Testing",
        [
            plain(failure, 2_000)
            if failure
            else "The suite is green."
            if data["ratio"] == 1
            else f"Tests: {ratio}.",
            "",
        ],
        table(["passed", "failed", "broke", "skipped", "total", "passed of executed"], rows),
        [f"{suite.runner}, for {plain(suite.why)}. {plain(data['environment'], 1_000)} {plain(needs)}", ""],
        bullets([plain(note, 1_000) for note in data["notes"]]),
        *([coverage.lines()] if coverage is not None else []),
        *([["## What failed", ""], bullets(failures)] if failures else []),
        *([["## Slowest", ""], table(["test", "time"], slow)] if slow else []),
        *(
            [
                ["## Tests that share words with the requirement", "", "A hint where to look, no proof.", ""],
                table(["statement", "tests"], traces),
            ]
            if traces
            else []
        ),
    )
