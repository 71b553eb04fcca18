"""The head of a session in three lines: what it is called and how it stands, what was asked, where and by whom."""

from __future__ import annotations

import time

from rich.cells import cell_len

from maestro_tui.console.fleet import shown_status
from maestro_tui.console.fleet_row import FleetRow
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import Line, at_home, fit, line, short, shorten_middle
from maestro_tui.model.summary import Owner, SessionSummary
from maestro_tui.model.text import clean, format_dollars, format_duration


def header_lines(summary: SessionSummary, now: float, width: int) -> list[Line]:
    """Three lines of at most `width` columns."""
    width = max(width, 20)
    status = shown_status(summary, now)
    words = status_words(summary, status, now)
    if width < len(words) + 12:
        words = short(status, max(1, width - 6))
    room = max(2, width - len(words) - 4)
    name = shorten_middle(clean(summary.session_id, 200), room)
    first = line(
        "name",
        (glyph(status) + " ", COLOURS.get(status, "")),
        (fit(name, room), "bold"),
        "  ",
        (words, "muted"),
    )
    requirement = " ".join(summary.requirement.split()) or "(no requirement)"
    second = line("requirement", (short(clean(requirement), width), ""))
    third = line("facts", (short(" · ".join(facts(summary, now, width)), width), "muted"))
    return [first, second, third]


def status_words(summary: SessionSummary, status: str, now: float) -> str:
    """The status in words, with the time that goes with it."""
    current = summary.current
    if status == "silent":
        return f"running, silent {format_duration(now - summary.updated_at)}"
    if status == "waiting" and current is not None and current.finished_at is not None:
        return f"waiting {format_duration(now - current.finished_at)}"
    if status == "running" and current is not None and current.started_at is not None:
        return f"running {format_duration(now - current.started_at)}"
    if status in ("running", "new"):
        return status
    return f"{status} {format_duration(now - FleetRow(summary, status).since)} ago"


def facts(summary: SessionSummary, now: float, width: int) -> list[str]:
    """Workspace, workflow, owner, age, usage: what is not known is left out, or stays `–` within the usage."""
    found = [short(clean(summary.workflow, 60), 24)]
    if summary.owner is not None:
        found.append(owner_words(summary.owner))
    if summary.foreign:
        found.append(f"{clean(summary.foreign, 60)}, read only")
    found.append(f"begun {_when(summary.created_at, now)}")
    tokens = [count for count in (summary.input_tokens, summary.output_tokens) if count is not None]
    if tokens or summary.cost_usd is not None:
        # Where one of them is known, the other is not nothing but unknown.
        found.append(f"{_thousands(sum(tokens)) if tokens else '–'} tokens")
        found.append("$–" if summary.cost_usd is None else format_dollars(summary.cost_usd))
    place = at_home(clean(summary.workspace, 300)) if summary.workspace else "no workspace"
    # The path gives way first: it is the only one that still tells something when it is cut.
    room = width - sum(cell_len(one) + 3 for one in found)
    return [shorten_middle(place, max(8, room)), *found]


def owner_words(owner: Owner) -> str:
    """`pid 4121 here`, `was pid 4121 on build-7` when that runner is dead."""
    words = clean(owner.words(), 80)
    if owner.alive is False:
        return f"was {words}"
    return words if owner.alive else f"{words} (alive? unknown)"


def _when(at: float, now: float) -> str:
    local, today = time.localtime(at), time.localtime(now)
    return time.strftime("%H:%M" if local[:3] == today[:3] else "%Y-%m-%d %H:%M", local)


def _thousands(count: int) -> str:
    return (
        str(count)
        if count < 1_000
        else f"{count / 1_000:.0f}k"
        if count < 1_000_000
        else f"{count / 1e6:.1f}M"
    )
