"""What can be taken out of the console: to the clipboard on the operator's key, or into a new file.

The clipboard is written through the terminal (OSC 52); many terminals take no more than about 74 kB. Every
line is cleaned once more here, so that what is pasted can hold no control character.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from textual.screen import Screen
from textual.widget import Widget

from maestro_tui.console.fleet import time_words
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.widgets.session_list import SessionList
from maestro_tui.model.errors import MaestroError, StoreError
from maestro_tui.model.summary import SessionSummary
from maestro_tui.model.text import clean, encodable, session_id_problem, slug

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

MOST_BYTES = 74_000
MOST_LINES = 2_000
SHOWN = 60


# ── What the focused view shows, as text ──────────────────────────────────────────────────────────────────


def row_text(row: FleetRow, now: float) -> str:
    """A session of the list or the wall in one line."""
    summary = row.summary
    return f"{summary.session_id}  {row.phase or '–'}  {time_words(row, now)}  {summary.error or summary.requirement}"


def line_in_focus(widget: Widget | None, now: float) -> str | None:
    """The line that the cursor stands on; None when the view has no lines."""
    lines, place = _lines(widget, now, around_focus=True)
    return lines[place] if 0 <= place < len(lines) else None


def whole_view(screen: Screen[object], now: float) -> list[str]:
    """All lines of the focused view, bounded; what is painted when it has no lines of its own."""
    lines, _ = _lines(screen.focused, now, around_focus=False)
    return lines or painted(screen)


def painted(screen: Screen[object]) -> list[str]:
    """The screen as it is painted, without colours."""
    strips = screen._compositor.render_strips()
    return ["".join(segment.text for segment in strip).rstrip() for strip in strips]


def _lines(widget: Widget | None, now: float, *, around_focus: bool) -> tuple[list[str], int]:
    """The lines of a view, and which of them is in focus; only that one with `around_focus`."""
    from maestro_tui.console.timeline import exact
    from maestro_tui.console.widgets.log_lines import LogLines
    from maestro_tui.console.widgets.rows_view import RowsView
    from maestro_tui.console.widgets.timeline import Timeline

    read: Callable[[int], str]
    if isinstance(widget, SessionList):
        rows = widget.rows
        count, place, read = len(rows), widget.cursor, lambda index: row_text(rows[index], now)
    elif isinstance(widget, RowsView):
        lines = widget.lines
        count, place = len(lines), widget.cursor if widget.with_cursor else int(widget.scroll_y)
        read = lambda index: lines[index].text  # noqa: E731
    elif isinstance(widget, LogLines):
        log = widget
        count, place, read = log.row_count, log.row_in_focus, lambda index: log.line(index).text
    elif isinstance(widget, Timeline):
        bars = widget.rows
        count, place, read = len(bars), widget.cursor, lambda index: exact(bars[index], now)
    else:
        return [], -1
    if around_focus:
        return ([read(place)], 0) if 0 <= place < count else ([], -1)
    # Of a long log the lines up to the one in focus tell most; of a list the first.
    first = max(0, place + 1 - MOST_LINES) if isinstance(widget, LogLines) else 0
    return [read(index) for index in range(first, min(count, first + MOST_LINES))], place - first


# ── To the clipboard ──────────────────────────────────────────────────────────────────────────────────────


def bounded(lines: Sequence[str]) -> tuple[str, int]:
    """The cleaned lines as one text that a terminal takes, and how many of them are in it."""
    kept: list[str] = []
    size = 0
    for line in lines[:MOST_LINES]:
        text = encodable(clean(line).rstrip())
        size += len(text.encode()) + 1
        if size > MOST_BYTES:
            break
        kept.append(text)
    return "\n".join(kept), len(kept)


def put(console: MaestroApp, lines: Sequence[str]) -> None:
    """Put lines on the clipboard and say so."""
    text, count = bounded(lines)
    if not text:
        console.say("There is nothing to copy here.", severity="warning")
        return
    console.copy_to_clipboard(text)
    if len(lines) == 1:
        console.say(f"Copied: {clean(text, SHOWN)}")
    elif count < len(lines):
        console.say(f"Copied the first {count:,} of {len(lines):,} lines; a terminal takes no more.")
    else:
        console.say(f"Copied {count:,} lines.")


def copy_line(console: MaestroApp) -> None:
    """Copy the line in focus."""
    line = line_in_focus(console.screen.focused, console.clock())
    put(console, [line] if line is not None else [])


def copy_view(console: MaestroApp) -> None:
    """Copy all that the focused view shows."""
    put(console, whole_view(console.screen, console.clock()))


def copy_path(console: MaestroApp, session: SessionSummary) -> None:
    """Copy the path of what is in focus: the log, the artifact, else the session's folder."""
    path = str(path_in_focus(console, session))
    if clean(path) != path:
        # Altered it would name another file, and as it is it could do harm where it is pasted.
        console.say(
            "This path holds characters that are not safe to paste; it was not copied.", severity="warning"
        )
        return
    put(console, [path])


def path_in_focus(console: MaestroApp, session: SessionSummary) -> Path:
    """The file or folder that the focused view is about."""
    from maestro_tui.console.widgets.artifacts_view import ArtifactsView
    from maestro_tui.console.widgets.log_lines import LogLines

    focused = console.screen.focused
    if isinstance(focused, LogLines) and focused.path is not None:
        return focused.path
    for widget in focused.ancestors if focused is not None else ():
        if isinstance(widget, ArtifactsView) and session.workspace is not None:
            key = widget.files.cursor_key
            if isinstance(key, tuple) and len(key) == 3 and key[1] == "file":
                return Path(session.workspace) / str(key[2])
    return console.root / session.session_id


# ── Into files ────────────────────────────────────────────────────────────────────────────────────────────


def save_new(folder: Path, stem: str, suffix: str, text: str) -> Path:
    """Write a file that was not there before; its path. Raises `StoreError`. Never writes over a file."""
    from maestro_tui.store.durable import write_new

    data = encodable(text).encode()
    for number in range(1, 1_000):
        path = folder / f"{stem}{'' if number == 1 else f'-{number}'}{suffix}"
        try:
            write_new(path, data)
        except FileExistsError:
            continue
        return path
    raise StoreError(f"There are too many files named {clean(stem, 80)} in {clean(str(folder), 200)}.")


async def export_report(console: MaestroApp, session: SessionSummary) -> None:
    """Write a session's report into a new Markdown file in the current folder, and say where."""
    now = console.clock()

    def work() -> Path:
        from maestro_tui.engine.report_markdown import read_report

        text = read_report(console.root, session.session_id, now)
        name = session.session_id
        return save_new(
            Path.cwd(), name if session_id_problem(name) is None else slug(name), "-report.md", text
        )

    await _written(console, work)


async def save_picture(console: MaestroApp) -> None:
    """Write the screen as it is now into a new SVG file in the current folder, and say where."""
    picture = console.export_screenshot(title="maestro-tui")
    stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(console.clock()))
    await _written(console, lambda: save_new(Path.cwd(), f"maestro-tui-{stamp}", ".svg", picture))


async def _written(console: MaestroApp, work: Callable[[], Path]) -> None:
    try:
        path = await asyncio.to_thread(work)
    except (MaestroError, OSError) as error:
        console.say(f"Nothing was written: {clean(error, 300)}", severity="error")
    else:
        console.say(f"Written: {clean(str(path), 300)}")


def run_export(console: MaestroApp, session: SessionSummary) -> None:
    """Begin the export; the screen stays free meanwhile."""
    console.run_worker(export_report(console, session), group="export", exit_on_error=False)


def run_picture(console: MaestroApp) -> None:
    """Begin to save the picture."""
    console.run_worker(save_picture(console), group="export", exit_on_error=False)
