"""Measures the Log tab: opening a log of a million lines, following 5,000 lines a second, searching.

python -m tests.bench.log_view [LINES]
"""

from __future__ import annotations

import os

os.environ["TEXTUAL_ANIMATIONS"] = "none"

import asyncio
import resource
import statistics
import sys
import tempfile
import threading
import time
from pathlib import Path

from tests.console.test_log_view import LogApp

RATE = 5_000
SECONDS = 6


def line(number: int) -> str:
    """A line of about a hundred bytes."""
    return f"2026-11-23T13:51:00.000Z\tarchitect\tout\tline {number} of a log that is {'long ' * 10}\n"


def write_forever(path: Path, stop: threading.Event) -> None:
    """RATE lines a second, in twenty portions."""
    number = 0
    with path.open("a") as stream:
        while not stop.wait(0.05):
            stream.write("".join(line(number + n) for n in range(RATE // 20)))
            stream.flush()
            number += RATE // 20


async def main(lines: int) -> None:
    """Prints the figures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.log"
        with path.open("w") as stream:
            for start in range(0, lines, 10_000):
                stream.write("".join(line(n) for n in range(start, start + 10_000)))
        app = LogApp(Path(folder) / "none.log")
        async with app.run_test(size=(120, 40)) as pilot:
            await pilot.pause()
            view = app.query_one("LogView")
            log = view.log_lines  # type: ignore[attr-defined]
            before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            start = time.perf_counter()
            log.open(path)
            opened = time.perf_counter()
            log.render_line(0)
            painted = time.perf_counter()
            while not log.complete:
                await asyncio.sleep(0)
            counted = time.perf_counter()
            print(f"{path.stat().st_size / 1e6:.0f} MB, {log.row_count:,} lines")
            print(f"open {1e3 * (opened - start):.1f} ms, first picture {1e3 * (painted - start):.1f} ms, "
                  f"all counted {1e3 * (counted - start):.0f} ms")  # fmt: skip
            start = time.perf_counter()
            log.search("line 7")
            while log.match_count is None:
                await asyncio.sleep(0)
            print(f"search: {log.match_count:,} matches in {1e3 * (time.perf_counter() - start):.0f} ms")
            log.clear_search()
            stop = threading.Event()
            writer = threading.Thread(target=write_forever, args=(path, stop))
            writer.start()
            lags, cpu, begun = [], time.process_time(), time.perf_counter()
            while time.perf_counter() - begun < SECONDS:
                at = time.perf_counter()
                await asyncio.sleep(0.005)
                lags.append(time.perf_counter() - at - 0.005)
            share = (time.process_time() - cpu) / (time.perf_counter() - begun)
            stop.set()
            writer.join()
            after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
            worst = sorted(lags)
            print(f"following {RATE:,} lines/s: {100 * share:.0f} % of a core (writer included), lag median "
                  f"{1e3 * statistics.median(lags):.1f} ms, p99 {1e3 * worst[int(len(worst) * 0.99)]:.1f} ms, "
                  f"worst {1e3 * worst[-1]:.1f} ms; memory +{(after - before) / 1024:.0f} MB")  # fmt: skip


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
