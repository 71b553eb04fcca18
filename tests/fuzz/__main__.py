"""Looks for bytes that break a reader, guided by the lines of code that they reach. Needs the extra `fuzz`.

    python -m tests.fuzz checkpoint --seconds 300

What it finds that reaches new code goes to a folder of its own (`--keep`); what breaks a reader is written to
`crash-…` in the current folder. Put either into `corpus/TARGET`, where plain pytest tries it for ever.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import atheris

CORPUS = Path(__file__).parent / "corpus"


def main() -> None:
    """Fuzz one target until the time is over or something breaks."""
    with atheris.instrument_imports(include=["maestro_tui", "json", "pydantic"]):
        from tests.fuzz.targets import TARGETS
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("target", choices=TARGETS)
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--keep", metavar="FOLDER", default=None)
    asked = parser.parse_args()
    keep = asked.keep or tempfile.mkdtemp(prefix=f"fuzz-{asked.target}-")
    words = [sys.argv[0], keep, str(CORPUS / asked.target)]
    words += [f"-max_total_time={asked.seconds}", "-max_len=16000", "-timeout=20", "-print_final_stats=1"]
    atheris.Setup(words, TARGETS[asked.target])
    atheris.Fuzz()


if __name__ == "__main__":
    main()
