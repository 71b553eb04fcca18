"""Draws the README's pictures from the real app over real sessions: `python screenshots/make.py [--png]`.

The sample project of `maestro-tui demo` is run in a temporary folder by real processes; the console is then
opened on its checkpoint directory. `--png` also renders PNG files with chromium, to look at.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ["TEXTUAL_ANIMATIONS"] = "none"
os.environ.pop("NO_COLOR", None)
os.environ["XDG_STATE_HOME"] = tempfile.mkdtemp(prefix="maestro-shots-")
os.environ["XDG_CONFIG_HOME"] = os.environ["XDG_STATE_HOME"]

from maestro_tui.console.app import MaestroApp
from maestro_tui.demo import Demo

HERE = Path(__file__).resolve().parent
SIZES = {"120x40": (120, 40), "80x24": (80, 24)}


def sessions() -> tuple[Demo, list[subprocess.Popen[bytes]]]:
    """A failed session, one that waits for approval, a completed, a paused and a running one."""
    demo = Demo(Path(tempfile.mkdtemp(prefix="maestro-shots-")) / "tally")
    for process in demo.start():
        process.wait(300)

    def run(*words: str) -> list[str]:
        return [sys.executable, "-m", "maestro_tui", "--checkpoint-dir", str(demo.root), "run", *words]

    folder = ["--workspace", str(demo.folder), "--trust"]
    release = ["--workflow", str(demo.release), "--workspace", str(demo.release_folder), "--trust"]
    for session_id, words in {
        "rounding-survey": [
            "Every amount must be rounded to the cent",
            "--phases",
            "requirements,design",
            *folder,
        ],
        "notes-review": ["Release notes must name every module", "--pause-after", "notes", *release],
    }.items():
        subprocess.run(run(*words, "--session-id", session_id), capture_output=True, timeout=300, check=False)
    slow = demo.folder / "slow.toml"
    slow.write_text(
        'name = "nightly"\n[[phases]]\nname = "fetch"\n[[phases.personas]]\nname = "fetcher"\nshell = "echo fetched 812 rows"\n'
        '[[phases]]\nname = "crunch"\n[[phases.personas]]\nname = "cruncher"\n'
        'shell = "for n in $(seq 1 3000); do echo row $n: checked; sleep 0.2; done"\n[[phases]]\nname = "report"\n'
        '[[phases.personas]]\nname = "reporter"\nshell = "true"\n',
        encoding="utf-8",
    )
    words = run(
        "Count last night's invoices again", "--workflow", str(slow), *folder, "--session-id", "nightly-count"
    )
    running = subprocess.Popen(
        words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    )
    return demo, [running]


async def until(condition: Callable[[], bool], pilot: object, what: str) -> None:
    """Let the app work until something is so."""
    deadline = time.monotonic() + 30
    while not condition():
        if time.monotonic() > deadline:
            raise SystemExit(f"never happened: {what}")
        await pilot.pause(0.1)


SHOTS: tuple[tuple[str, str, tuple[str, ...]], ...] = (
    ("waiting", "release-1.4.0", ()),
    ("main", "invoices", ()),
    ("session", "invoices", ("enter", "1")),
    ("artifacts", "invoices", ("enter", "2", "down")),
    ("checkpoint", "invoices", ("enter", "3")),
    ("decisions", "invoices", ("enter", "4")),
    ("events", "invoices", ("enter", "5")),
    ("diff", "invoices", ("enter", "6")),
    ("plan", "invoices", ("enter", "7")),
    ("resume", "invoices", ("r",)),
    ("rerun", "invoices", ("R",)),
    ("skip", "invoices", ("K", "enter")),
    ("fork", "invoices", ("F",)),
    ("doctor", "nightly-count", ("D",)),
    ("stop", "nightly-count", ("X",)),
    ("review", "release-1.4.0", ("a",)),
    ("marked", "invoices", ("asterisk", "r")),
    ("prune", "rounding-survey", ("P", "o", "o")),
    ("launch", "invoices", ("n",)),
    ("wall", "invoices", ("w",)),
    ("palette", "invoices", ("colon", *"rev")),
    ("help", "invoices", ("question_mark",)),
)
"""Name, the session under the cursor, and the keys that lead to it from the list."""


async def draw(demo: Demo, size: str) -> list[Path]:
    """All pictures of one size."""
    made: list[Path] = []
    app = MaestroApp(demo.root)
    async with app.run_test(size=SIZES[size]) as pilot:
        await until(lambda: len(app.snapshot.sessions) == 5, pilot, "five sessions")
        await pilot.pause(1.0)
        for name, session_id, keys in SHOTS:
            app.main.go_to(session_id)
            app.main.set_detail(False)
            await pilot.pause(0.8)
            for key in keys:
                await pilot.press(key)
                await pilot.pause(0.4)
            await pilot.pause(0.8)
            path = HERE / f"{name}-{size}.svg"
            path.write_text(app.export_screenshot(title="maestro-tui"), encoding="utf-8")
            made.append(path)
            while len(app.screen_stack) > 1:
                await pilot.press("escape")
                await pilot.pause(0.3)
            if app.main.marked:
                await pilot.press("U")
    return made


def render(paths: list[Path], folder: Path) -> None:
    """PNG files beside nothing: for a person to look at."""
    chromium = shutil.which("chromium")
    if chromium is None:
        raise SystemExit("chromium is not installed; the SVG files are written")
    for path in paths:
        words = [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--hide-scrollbars",
            "--window-size=1500,1050",
        ]
        words += [
            f"--user-data-dir={folder}/profile",
            f"--screenshot={folder / path.stem}.png",
            path.as_uri(),
        ]
        subprocess.run(words, capture_output=True, timeout=120, check=True)


def main() -> None:
    """Run the sessions, draw both sizes."""
    demo, running = sessions()
    try:
        made = [path for size in SIZES for path in asyncio.run(draw(demo, size))]
    finally:
        for process in running:
            process.terminate()
            process.wait(30)
    if "--png" in sys.argv:
        folder = Path(tempfile.mkdtemp(prefix="maestro-png-"))
        render(made, folder)
        print(folder)
    print(*(path.name for path in made), sep="\n")


if __name__ == "__main__":
    main()
