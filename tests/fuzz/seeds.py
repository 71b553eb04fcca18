"""Writes the first corpus: real files of a real session, and the traps that readers are known to stumble over.

python -m tests.fuzz.seeds
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from pathlib import Path

from maestro_tui.store.index import read_all
from tests.damage.forged import RAW
from tests.damage.scene import make_template
from tests.damage.spoilt import HARMLESS_LEASES, HARMLESS_RECORDS, HOSTILE_RECORDS, LEASES
from tests.fuzz.targets import NOW

CORPUS = Path(__file__).parent / "corpus"
MOST = 12_000
"""Bytes of a seed; a fuzzer works best on small ones."""


def seeds(root: Path) -> dict[str, dict[str, bytes]]:
    """Target → name → bytes."""
    session = root / "s1"
    commits = {path.stem: path.read_bytes() for path in (session / "history").iterdir()}
    plain = commits["0001"].replace(b'"seq": 1,', b'"seq": 3,')
    traps = {
        f"trap-{number:02d}": plain.replace(b'"requirements 1"', text.encode())
        for number, text in enumerate(RAW.values())
    }
    records = (session / "journal.jsonl").read_bytes().splitlines(keepends=True)
    journals = {"real": b"".join(records[:8]), "torn": records[0] + records[1][:40] + b"\n" + records[2]}
    hostile = (HOSTILE_RECORDS | HARMLESS_RECORDS).values()
    journals |= {f"trap-{number:02d}": data for number, data in enumerate(hostile)}
    leases = {"real": (session / "runner.json").read_bytes()}
    leases |= {f"trap-{number:02d}": data for number, data in enumerate((LEASES | HARMLESS_LEASES).values())}
    lines = next((session / "logs").iterdir()).read_bytes().splitlines(keepends=True)
    read_all(root, NOW)
    results = {
        "empty": b"{}",
        "whole": json.dumps(
            {
                "outputs": {"a": [1, 2.5, None, "x"]},
                "decisions": ["one", {"about": "a", "choice": "b", "alternatives": ["c"], "score": 0.5}],
                "metrics": {"quality": 0.9, "tests": None},
                "summary": "done",
            }
        ).encode(),
        "surrogate": b'{"summary": "\\ud800"}',
        "huge": b'{"metrics": {"x": 1e999}}',
    }
    return {
        "checkpoint": {"whole": plain, **commits, **traps},
        "journal": journals,
        "lease": leases,
        "log_line": {
            "real": lines[0],
            "foreign": b"\x1b[2Jhello\xff",
            "tabs": b"\t\t\t\t",
            "early": b"0001-01-01\ta\tb\tc",
        },
        "result": results,
        "index": {"real": (root / "index.json").read_bytes()},
    }


def main() -> int:
    """Write what is not there yet."""
    with tempfile.TemporaryDirectory() as folder:
        top = Path(folder) / "top"
        make_template(top)
        for target, found in seeds(top / "root").items():
            (CORPUS / target).mkdir(parents=True, exist_ok=True)
            for name, data in found.items():
                path = CORPUS / target / name
                if len(data) <= MOST and not path.exists():
                    path.write_bytes(data)
        shutil.rmtree(top)
    return 0


if __name__ == "__main__":
    sys.exit(main())
