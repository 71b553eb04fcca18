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
        cases, outcome, notes = await _run(bench, suite, where)
    counts = counted(cases)
    notes = [*where.notes, *notes]
    failure = _failure(suite, cases, counts, outcome)
    # A suite that could only be collected has measured nothing, though every broken file counts as an error.
    ratio = counts.ratio if counts.passed or counts.failed else None
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
        "notes": notes,
    }
    bench.write_json("testing.json", data)
    bench.write("testing.md", _document(data, suite, failure))
    summary = f"{_counted(counts)} with {suite.runner} in {outcome.duration:.1f} s."
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
        metrics={"tests": ratio},
        summary=summary,
        failure=failure,
    )


async def _run(
    bench: Bench, suite: Suite, where: SuiteEnvironment
) -> tuple[list[Case], ProcessOutcome, list[str]]:
    """Run the suite; its cases, how the runner ended, and notes. Raises `PerformerFailed` without a report."""
    report = bench.scratch / ("junit.xml" if suite.runner == "pytest" else "unittest.json")
    notes: list[str] = []
    outcome = await _start(bench, suite, where, report, [])
    usage_error = suite.runner == "pytest" and outcome.exit_code == 4
    if usage_error and "addopts" in suite.config:
        notes.append(
            "the project's own pytest options (addopts) were left out, for one of them is not known here"
        )
        bench.say(f"Trying again: {notes[-1]}.")
        outcome = await _start(bench, suite, where, report, ["-o", "addopts="])
    try:
        read = read_junit if suite.runner == "pytest" else read_recorded
        cases = await bench.off_loop(read, report)
    except UnreadableReport as error:
        last = next((line.strip() for line in reversed(outcome.tail) if line.strip()), "")
        raise PerformerFailed(
            f"{suite.runner} {outcome.sentence}, and {error}{f'; its last line: {clean(last, 300)}' if last else ''}",
            kind="exit",
            tail=outcome.tail,
        ) from error
    return cases, outcome, notes


async def _start(
    bench: Bench, suite: Suite, where: SuiteEnvironment, report: Path, more: Sequence[str]
) -> ProcessOutcome:
    report.unlink(missing_ok=True)
    python = where.interpreter.path
    values = {
        "PATH": f"{python.parent}{os.pathsep}{os.environ.get('PATH', os.defpath)}",
        # What tests and their tools keep for themselves does not belong into the workspace.
        "COVERAGE_FILE": str(bench.scratch / "coverage"),
        "HYPOTHESIS_STORAGE_DIRECTORY": str(bench.scratch / "hypothesis"),
    }
    if where.interpreter.kind in ("workspace", "made"):
        values["VIRTUAL_ENV"] = str(python.parent.parent)
    if where.import_path:
        values["PYTHONPATH"] = os.pathsep.join(map(str, where.import_path))
    if suite.runner == "unittest":
        request = bench.scratch / "unittest.request.json"
        request.write_text(json.dumps({"files": suite.files, "result": str(report)}), encoding="utf-8")
        return await bench.run([python, RECORDER, request], cwd=bench.workspace, values=values)
    config: list[str | Path] = []
    if suite.config_file is None:
        # Without this pytest takes the settings of whatever project lies above the workspace.
        empty = bench.scratch / "pytest.ini"
        empty.write_text("[pytest]\n", encoding="utf-8")
        config = ["-c", empty, f"--rootdir={bench.workspace}"]
    argv: list[str | Path] = [
        python,
        "-m",
        "pytest",
        "--color=no",
        "--continue-on-collection-errors",
        f"--junitxml={report}",
        "-o",
        f"cache_dir={bench.scratch / 'pytest-cache'}",
        *config,
        *more,
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


def _document(data: dict[str, Any], suite: Suite, failure: str | None) -> str:
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
