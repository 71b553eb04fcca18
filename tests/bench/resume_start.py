"""Measures the time from a process's start to the first line of the phase it resumes, beside LangGraph and bare Python.

python -m tests.bench.resume_start [--runs N] [--folder DIR]      # needs the extra `bench`

The same work on both sides: five phases, each a shell command that says a line; the third failed at first.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bench import figures
from tests.bench.five_steps import NAMES
from tests.bench.terminal import as_installed

AIM = 0.5
SESSION = "s1"


def workflow() -> str:
    """Five phases in a chain; the third fails until the file `ok` is there."""
    lines = ['name = "five"']
    for name in NAMES:
        say = f"echo {name} begins"
        lines += ["[[phases]]", f'name = "{name}"', "[[phases.personas]]", 'name = "worker"']
        lines += [f'shell = "test -e ok && {say}"' if name == "three" else f'shell = "{say}"']
    return "\n".join(lines) + "\n"


def to_line(words: list[str], wanted: str, cwd: Path) -> float:
    """Seconds from the start of a process to the line; the process is then waited for."""
    began = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, *words],
        cwd=cwd,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=_environment(),
    )
    assert process.stdout is not None
    seen = None
    said = []
    for line in process.stdout:
        said.append(line.decode())
        if seen is None and wanted in said[-1]:
            seen = time.perf_counter() - began
    if process.wait() != 0 or seen is None:
        raise SystemExit(f"{words} ended with {process.returncode}:\n{''.join(said)}")
    return seen


def _environment() -> dict[str, str]:
    """As it is where a package was installed; the first round is not counted."""
    return {**as_installed(), "PYTHONPATH": str(Path(__file__).parents[2])}


def main() -> None:
    """Prints the figures; the programs take turns."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=15)
    parser.add_argument("--folder", type=Path, help="where to write")
    asked = parser.parse_args()
    figures.head("from process start to the first line of the resumed phase")
    top = Path(tempfile.mkdtemp(prefix="maestro-bench-", dir=asked.folder))
    try:
        work, kept, database = top / "work", top / "kept", top / "kept.db"
        work.mkdir()
        (work / "maestro.toml").write_text(workflow())
        ours = ["-m", "maestro_tui", "--checkpoint-dir"]
        theirs = ["-m", "tests.bench.langgraph_work"]
        for words, code in (
            ([*ours, str(kept), "run", "cost", "--session-id", SESSION, "--trust"], 1),
            ([*theirs, str(database), SESSION, "begin"], 1),
        ):
            done = subprocess.run([sys.executable, *words], cwd=work, capture_output=True, env=_environment())
            assert done.returncode == code, done.stderr.decode()
        (work / "ok").touch()
        bare, us, them = [], [], []
        for number in range(asked.runs + 1):
            root, copy = top / f"root-{number}", top / f"{number}.db"
            # Hard links must stay hard links: the views would be mended otherwise.
            subprocess.run(["cp", "-a", str(kept), str(root)], check=True)
            shutil.copy(database, copy)
            took = (
                to_line(["-c", "print('three begins')"], "three begins", work),
                to_line([*ours, str(root), "resume", SESSION, "-v"], "worker: three begins", work),
                to_line([*theirs, str(copy), SESSION, "resume"], "three begins", work),
            )
            if number:  # the first round fills caches
                for samples, value in zip((bare, us, them), took, strict=True):
                    samples.append(value)
        figures.line("bare Python, a line", bare)
        figures.line("maestro-tui resume, the phase's first line", us, bare)
        figures.line("LangGraph's fresh process, the step's first line", them, bare)
        ratio = statistics.median(us) / statistics.median(them)
        figures.aim(f"resume ≤ {AIM} × LangGraph: ×{ratio:.2f}", ratio <= AIM)
    finally:
        shutil.rmtree(top, ignore_errors=True)
    figures.tail()


if __name__ == "__main__":
    main()
