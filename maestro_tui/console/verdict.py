"""Says in a few lines how a session stands: what runs or failed, what is safe, what is next or to be done."""

from __future__ import annotations

from collections.abc import Sequence

from maestro_tui.console.fleet import shown_status
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import Line, line, short, shorten_middle, wrap_words
from maestro_tui.model.summary import AttemptSummary, PhaseSummary, SessionSummary
from maestro_tui.model.text import clean, format_duration

MOST_LINES = 3


def failing_attempt(summary: SessionSummary, attempts: Sequence[AttemptSummary]) -> AttemptSummary | None:
    """The newest attempt of the phase that the session is at; for a finished session the newest of all."""
    current = summary.current
    of_phase = [attempt for attempt in attempts if current is not None and attempt.phase == current.name]
    candidates = of_phase or list(attempts)
    return max(candidates, key=lambda attempt: (attempt.started_at, attempt.attempt), default=None)


def safe_words(phases: Sequence[PhaseSummary]) -> str:
    """Which phases are committed and will not run again."""
    names = [
        phase.name for phase in phases if phase.status in ("completed", "provided") and not phase.waiting
    ]
    if not names:
        return "No phase is committed yet."
    if len(names) > 3:
        return f"{names[0]} to {names[-1]} ({len(names)} phases) are safe."
    return f"{_and(names)} {'is' if len(names) == 1 else 'are'} safe."


def verdict(
    summary: SessionSummary,
    attempts: Sequence[AttemptSummary],
    now: float,
    width: int,
    most: int = MOST_LINES,
    *,
    act: bool = True,
) -> list[Line]:
    """The lines under a session, at most `most` for what happened; one while nothing needs to be done."""
    status = summary.status.value
    said, then = said_and_then(summary, attempts, now, act=act)
    lines: list[Line] = []
    width = max(20, width)
    if said:
        # What an error ends with tells more than its middle.
        said = shorten_middle(said, most * (width - 8)) if most > 1 else said
        for index, text in enumerate(_bounded(wrap_words(said, width - 2, most + 1), most, width - 2)):
            mark = (glyph(status) + " ", COLOURS.get(status, "")) if index == 0 else ("  ", "")
            lines.append(line(("said", index), mark, text))
        for index, text in enumerate(_bounded(wrap_words(then, width - 2, 3), 2, width - 2)):
            lines.append(line(("then", index), "  ", (text, "muted")))
    for index, damage in enumerate(summary.damage[:2]):
        lines.append(line(("damage", index), ("! ", "phase-failed"), short(clean(damage, 400), width - 2)))
    if len(summary.damage) > 2:
        lines.append(line("more damage", ("  " + _more(len(summary.damage) - 2), "muted")))
    return lines


def said_and_then(
    summary: SessionSummary,
    attempts: Sequence[AttemptSummary] = (),
    now: float | None = None,
    *,
    silent: bool = False,
    act: bool = True,
) -> tuple[str, str]:
    """What happened, and what is safe and what to do; without `now` no word that changes as time passes.

    `silent`: it is known that a running session has long been so. Without `act` no key is named that does more
    than look.
    """
    status = summary.status.value
    current = summary.current
    name = current.name if current is not None else ""
    safe = safe_words(summary.phases)
    said, then = "", ""
    if status == "failed" and current is not None:
        newest = failing_attempt(summary, attempts)
        number = f" #{newest.attempt}" if newest is not None and newest.phase == name else ""
        reason = clean(current.error or summary.error or "no reason was recorded", 1_000)
        said = f"{name}{number} failed: {reason}"
        then = f"{safe} r resumes at {name}."
    elif status == "interrupted":
        owner = summary.owner
        who = (
            f"Its runner ({clean(owner.words(), 80)}) is dead" if owner is not None else "Its runner is gone"
        )
        said = f"{who}; it was at {name}." if name else f"{who}."
        then = f"{safe} r resumes at {name} as a new attempt." if name else safe
    elif status == "waiting" and current is not None and current.waiting:
        since = ""
        if now is not None and current.finished_at is not None:
            since = f" {format_duration(now - current.finished_at)} ago"
        said = f"{name} was done{since} and waits for your approval."
        then = f"{safe} a opens the review; until then nothing after it runs."
    elif status == "waiting":
        asking = next((clean(phase.name, 64) for phase in summary.phases if phase.asking is not None), name)
        said = f"{asking} asks a question." if asking else "A performer asks a question."
        then = f"{safe} a opens the question; its performer waits meanwhile."
    elif status == "paused" and current is not None and current.error:
        # Only a spent budget leaves a phase open with an error.
        said = f"Paused at {name}: {clean(current.error, 1_000)}"
        then = f"{safe} b allows more, then r goes on."
    elif status == "paused":
        said = f"Paused before {name}." if name else "Paused."
        then = f"{safe} r goes on."
    elif status == "cancelled":
        said = f"Cancelled at {name}." if name else "Cancelled."
        then = f"{safe} r resumes at {name}." if name else safe
    elif status == "running":
        silence = f"for {format_duration(now - summary.updated_at)}" if now is not None else "for long"
        if now is not None:
            silent = shown_status(summary, now) == "silent"
        said = _running(summary, silence if silent else "", act)
    elif status == "new":
        said = f"Nothing has run yet. r begins with {name}." if name and act else "Nothing has run yet."
    elif status == "completed":
        said = _completed(summary.phases, act) if summary.foreign is None else "All is done."
    if summary.foreign is not None and then:
        then = f"It is history of {clean(summary.foreign, 60)}: 'maestro-tui import' takes it over."
    return said, then if act or not then else safe


def _running(summary: SessionSummary, silence: str, act: bool) -> str:
    """Which phases run, since when nothing was heard where that is long, and what comes after them."""
    under_way = [phase.name for phase in summary.phases if phase.status == "running"]
    ahead = [phase.name for phase in summary.phases if phase.status == "pending" and phase.selected]
    if not under_way:
        said = "Its runner prepares the next phase"
    else:
        said = f"{_and(under_way)} {'runs' if len(under_way) == 1 else 'run'}"
    if silence:
        return f"{said}, silent {silence}. D looks at its runner{', x cancels' if act else ''}."
    return f"{said}; next: {ahead[0]}." if ahead else f"{said}; it is the last."


def _completed(phases: Sequence[PhaseSummary], act: bool) -> str:
    stale = [phase.name for phase in phases if phase.stale]
    left_out = [phase.name for phase in phases if not phase.selected and phase.status == "pending"]
    if stale:
        again = " R runs again from there." if act else ""
        return f"All is done, but {_and(stale)} {'is' if len(stale) == 1 else 'are'} stale.{again}"
    if left_out:
        return (
            f"All that was asked for is done; {_and(left_out)} {'was' if len(left_out) == 1 else 'were'} not."
        )
    return "All is done. R runs again from a phase." if act else "All is done."


def _and(names: Sequence[str]) -> str:
    if len(names) > 3:
        return f"{names[0]} and {len(names) - 1} more"
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


def _more(count: int) -> str:
    return f"and {count} more damaged file{'' if count == 1 else 's'}"


def _bounded(texts: list[str], most: int, width: int) -> list[str]:
    if not texts or texts == [""]:
        return []
    return texts if len(texts) <= most else [*texts[: most - 1], short(texts[most - 1] + " …", width)]
