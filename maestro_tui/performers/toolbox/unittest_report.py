"""Run by the project's Python: runs unittest cases from named files and writes the counts. Standard library only.

Its only argument is a JSON file {"files", "result"}: test files relative to the current folder, and where the
counts go. Each file is imported under its package's name, with the folder above its package on the import path.
"""

from __future__ import annotations

import json
import sys
import unittest
from pathlib import Path
from typing import Any


class Recorder(unittest.TextTestResult):
    """Keeps one outcome for each test; the worst of its subtests counts."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.outcomes: dict[str, tuple[str, str]] = {}

    def _keep(self, test: Any, outcome: str, message: str = "") -> None:
        name = getattr(test, "test_case", test).id()
        worst = {"passed": 0, "skipped": 1, "failed": 2, "error": 3}
        if name not in self.outcomes or worst[outcome] > worst[self.outcomes[name][0]]:
            self.outcomes[name] = (outcome, message)

    def addSuccess(self, test: Any) -> None:
        super().addSuccess(test)
        self._keep(test, "passed")

    def addExpectedFailure(self, test: Any, err: Any) -> None:
        super().addExpectedFailure(test, err)
        self._keep(test, "skipped", "failed as expected")

    def addUnexpectedSuccess(self, test: Any) -> None:
        super().addUnexpectedSuccess(test)
        self._keep(test, "failed", "passed, though it was expected to fail")

    def addSkip(self, test: Any, reason: str) -> None:
        super().addSkip(test, reason)
        self._keep(test, "skipped", str(reason))

    def addFailure(self, test: Any, err: Any) -> None:
        super().addFailure(test, err)
        self._keep(test, "failed", str(err[1]))

    def addError(self, test: Any, err: Any) -> None:
        super().addError(test, err)
        self._keep(test, "error", f"{err[0].__name__}: {err[1]}")

    def addSubTest(self, test: Any, subtest: Any, err: Any) -> None:
        super().addSubTest(test, subtest, err)
        if err is not None:
            failed = issubclass(err[0], test.failureException)
            self._keep(test, "failed" if failed else "error", str(err[1]))


def import_name(file: Path) -> tuple[str, Path]:
    """The dotted name under which a file is imported, and the folder that must be on the import path."""
    parts, folder = [file.stem], file.parent
    while (folder / "__init__.py").is_file():
        parts.insert(0, folder.name)
        folder = folder.parent
    return ".".join(parts), folder


request = json.loads(Path(sys.argv[1]).read_text(encoding="utf-8"))
# As `python -m unittest` would find it: the current folder, not the folder of this script.
sys.path[0] = str(Path.cwd())
sys.argv[1:] = []
suite = unittest.TestSuite()
for path in request["files"]:
    name, folder = import_name(Path(path).resolve())
    if str(folder) not in sys.path:
        sys.path.insert(0, str(folder))
    suite.addTests(unittest.defaultTestLoader.loadTestsFromName(name))
outcome: Any = unittest.TextTestRunner(resultclass=Recorder, verbosity=1).run(suite)
cases = [
    {"id": name, "outcome": kind, "message": message[:2000]}
    for name, (kind, message) in outcome.outcomes.items()
]
Path(request["result"]).write_text(json.dumps({"cases": cases}), encoding="utf-8")
sys.exit(0 if outcome.wasSuccessful() else 1)
