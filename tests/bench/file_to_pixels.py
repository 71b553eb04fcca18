"""Measures from a commit in one of many sessions to the bytes that change the screen, and which rows they repaint.

python -m tests.bench.file_to_pixels [--fleet DIR] [--count N] [--commits N]
"""

from __future__ import annotations

import argparse
import json
import re
import statistics
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.context import PhaseResult, PhaseStatus
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import Journal
from maestro_tui.store.lease import hold_session
from tests.bench import figures
from tests.bench.make_fleet import fleet
from tests.bench.terminal import Terminal, console

AIM = 0.060
QUIET = ("-completed", "-paused", "-cancelled", "-failed")
"""Sessions whose first phase is done or failed and that nobody runs."""
ROW = re.compile(r"s-\d{5}-")


def stay_sorted(home: Path) -> None:
    """Let the console list sessions by name, so that a commit moves no row."""
    memory = home / "state" / "maestro-tui" / "console.json"
    memory.parent.mkdir(parents=True)
    memory.write_text(json.dumps({"sort": ["session", False]}))


def main() -> None:
    """Prints the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fleet", type=Path)
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--commits", type=int, default=120)
    asked = parser.parse_args()
    figures.head(f"file to pixels, {asked.count:,} sessions, 200×40")
    seen, whole, rows = [], [], []
    with tempfile.TemporaryDirectory() as folder, fleet(asked.count, asked.fleet) as root:
        home = Path(folder)
        stay_sorted(home)
        store = CheckpointStore(root)
        with Terminal(console(root), home, columns=200) as terminal:
            terminal.wait_for(f"{asked.count:,} sessions", 600)
            terminal.settle(0.6, 8)
            # Those on the first screen, apart from the one under the cursor, whose details are shown beside the list.
            names = [name for name in sorted(store.session_ids())[1:32] if name.endswith(QUIET)]
            number = 1
            while len(seen) < asked.commits:
                name = names[number % len(names)]
                number += 1
                with hold_session(store.session_dir(name)) as hold:
                    journal = Journal(store.session_dir(name) / "journal.jsonl", name)
                    terminal.settle(0.4, 3)
                    head = store.head(name)
                    phase = head.workflow.order[0]
                    before = head.context.phase_results.get(phase)
                    attempt = before.attempt if before is not None else 0
                    # Each commit shows: the phase's sign turns from done to failed and back.
                    good = before is not None and before.status == PhaseStatus.FAILED
                    for failed in (not good, good):
                        attempt += 1
                        terminal.forget()
                        began = time.perf_counter()
                        commit(store, journal, name, phase, attempt, failed, hold)
                        written = time.perf_counter()
                        painted = terminal.wait_for(name[:8], 20)
                        seen.append(painted - written)
                        whole.append(painted - began)
                        # Only what comes at once: every second the ages of other rows are painted as well.
                        terminal.settle(0.02, 0.1)
                        rows.append(float(len(set(ROW.findall(terminal.plain())))))
                        terminal.settle(0.25, 2)
                    journal.close()
    figures.line("last byte of the commit to pixels", seen)
    figures.line("start of the commit (fsyncs and all) to pixels", whole)
    figures.line("rows repainted a commit", rows, unit="rows")
    figures.aim(f"p99 ≤ {1e3 * AIM:.0f} ms: {1e3 * figures.p99(seen):.1f} ms", figures.p99(seen) <= AIM)
    alone = sum(count == 1 for count in rows) / len(rows)
    figures.aim(
        f"only the changed row is repainted: median {statistics.median(rows):.0f}, in {100 * alone:.0f} % of commits",
        statistics.median(rows) == 1,
    )
    figures.tail()


def commit(
    store: CheckpointStore, journal: Journal, name: str, phase: str, attempt: int, failed: bool, hold
) -> None:  # type: ignore[no-untyped-def]
    """An outcome of a phase as the engine commits it: the commit, then its event."""
    now = datetime.now(UTC)
    result = PhaseResult(
        status=PhaseStatus.FAILED if failed else PhaseStatus.COMPLETED, attempt=attempt,
        started_at=now, finished_at=now, outputs={"said": "yes"},
    )  # fmt: skip
    made = store.commit(
        name, phase, attempt, lambda head: (head.context.with_result(phase, result), None), hold=hold
    )
    kind = "phase_failed" if failed else "phase_committed"
    journal.append(kind, phase=phase, attempt=attempt, data={"status": str(result.status), "seq": made.seq})


if __name__ == "__main__":
    main()
