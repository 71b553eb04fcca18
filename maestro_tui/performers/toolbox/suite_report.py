"""Reads what a test run reports about itself, case by case: pytest's JUnit XML or our unittest recorder's JSON."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

from maestro_tui.model.text import clean
from maestro_tui.performers.toolbox.source_files import read_bytes

REPORT_LIMIT = 200_000_000


class UnreadableReport(Exception):
    """The run left no report, or none that can be read; `str()` is the reason as the end of a sentence."""


@dataclass(frozen=True, slots=True)
class Case:
    """One test and its outcome: `passed`, `failed`, `error` or `skipped`."""

    id: str
    outcome: str
    message: str = ""
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Counts:
    """The counts of a run; skipped tests measure nothing and are no part of the ratio."""

    passed: int
    failed: int
    errors: int
    skipped: int

    @property
    def executed(self) -> int:
        """Tests that came to an outcome."""
        return self.passed + self.failed + self.errors

    @property
    def total(self) -> int:
        """All tests."""
        return self.executed + self.skipped

    @property
    def ratio(self) -> float | None:
        """Passed of executed; None when none was executed. Never rounded: one failure of many is not 1."""
        return self.passed / self.executed if self.executed else None


def counted(cases: Iterable[Case]) -> Counts:
    """The counts of these cases."""
    by = Counter(case.outcome for case in cases)
    return Counts(by["passed"], by["failed"], by["error"], by["skipped"])


def read_junit(path: Path) -> list[Case]:
    """The cases of a JUnit XML file. A test with a failure and an error (in teardown) counts once, as its worst.

    Raises `UnreadableReport`.
    """
    raw = _read(path)
    if b"<!ENTITY" in raw or b"<!DOCTYPE" in raw:
        # The runner never writes these; entities could blow a small file up to gigabytes.
        raise UnreadableReport("the report declares entities, which the runner never does")
    try:
        root = ElementTree.fromstring(raw)  # noqa: S314 - entities are refused above
    except ElementTree.ParseError as error:
        raise UnreadableReport(f"the report is no valid XML ({clean(error, 120)})") from error
    cases: list[Case] = []
    for element in root.iter("testcase"):
        outcome, message = "passed", ""
        for tag, kind in (("skipped", "skipped"), ("failure", "failed"), ("error", "error")):
            found = element.find(tag)
            if found is not None:
                outcome, message = kind, _message(found)
        name = "::".join(filter(None, (element.get("classname"), element.get("name"))))
        cases.append(Case(clean(name or "(unnamed)", 300), outcome, message, _seconds(element.get("time"))))
    return cases


def _message(element: ElementTree.Element) -> str:
    text = element.get("message") or ""
    if text in ("collection failure", "") and element.text:
        lines = [line for line in element.text.splitlines() if line.startswith("E ")]
        text = lines[-1][2:].strip() if lines else element.text.strip().splitlines()[-1]
    return clean(text.split("\n", 1)[0], 400)


def _seconds(text: str | None) -> float:
    try:
        return max(0.0, float(text or 0))
    except ValueError:
        return 0.0


def read_recorded(path: Path) -> list[Case]:
    """The cases that `unittest_report.py` wrote. Raises `UnreadableReport`."""
    try:
        cases = json.loads(_read(path))["cases"]
        return [
            Case(clean(case["id"], 300), str(case["outcome"]), clean(case["message"].split("\n", 1)[0], 400))
            for case in cases
        ]
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise UnreadableReport(f"the report is not what the recorder writes ({clean(error, 120)})") from error


def _read(path: Path) -> bytes:
    raw = read_bytes(path, REPORT_LIMIT)
    if raw is None:
        raise UnreadableReport("it left no report")
    return raw
