"""Says in words and columns what a plan would do: phases with reasons, what is overwritten, how long, how much.

Pure: lines and sentences only.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.cells import cell_len

from maestro_tui.console.fleet import ago
from maestro_tui.console.glyphs import COLOURS, glyph
from maestro_tui.console.lines import Line, column_width, fit, line, short, wrap_words
from maestro_tui.model.summary import Owner
from maestro_tui.model.text import clean, format_dollars, format_duration

if TYPE_CHECKING:
    from maestro_tui.model.plan import Estimate, Plan, PlannedPhase
    from maestro_tui.model.policy import Budget

_STATUS: Mapping[str, str] = {
    "reuse": "completed",
    "run": "running",
    "provided": "provided",
    "skip": "skipped",
    "blocked": "interrupted",
}


def plan_lines(plan: Plan, width: int, ascii_only: bool = False, *, whole: bool = False) -> list[Line]:
    """One line for each phase: sign, phase, action, reason, what it usually takes.

    With `whole` a reason that is too long for its column stands below its phase instead of being cut.
    """
    names = column_width([one.phase for one in plan.phases], 8, max(10, width // 4))
    ends = [_usual(one) for one in plan.phases]
    tail = column_width(ends, 0, 24)
    actions = column_width([one.action.value for one in plan.phases], 3, 8)
    room = max(10, width - 2 - names - 2 - actions - 2 - (tail + 2 if tail else 0))
    out = []
    for one, end in zip(plan.phases, ends, strict=True):
        status = "waiting" if one.approval else _STATUS.get(one.action.value, "pending")
        runs = one.action.value == "run"
        reason = _reason(one)
        below = whole and cell_len(reason) > room
        out.append(
            line(
                one.phase,
                (glyph(status, ascii_only) + " ", COLOURS.get(status, "muted")),
                (fit(one.phase, names) + "  ", "bold" if runs else ""),
                (fit(one.action.value, actions) + "  ", "" if runs else "muted"),
                (fit("" if below else reason, room), "" if runs else "muted"),
                ("  " + end.rjust(tail) if tail else "", "muted"),
            )
        )
        if below:
            words = wrap_words(reason, max(10, width - 4))
            out += [line((one.phase, n), ("    " + part, "muted")) for n, part in enumerate(words)]
    return out


def _reason(one: PlannedPhase) -> str:
    parts = [clean(one.reason)]
    if one.goes_stale:
        parts.insert(0, "goes stale")
    if one.approval:
        parts.insert(0, "stops for your approval")
    elif one.pause:
        parts.insert(0, "stops for review after it")
    return "; ".join(parts)


def _usual(one: PlannedPhase) -> str:
    return usual_words(one.estimate) if one.action.value == "run" else ""


def usual_words(estimate: Estimate) -> str:
    """`usual 2m $0.12`; empty where nothing was measured."""
    seconds = f"usual {ago(estimate.seconds)}" if estimate.seconds is not None else ""
    cost = f" {format_dollars(estimate.cost_usd)}" if estimate.cost_usd is not None else ""
    return seconds + cost


def total_words(plan: Plan) -> str:
    """`about 10m, about $2.02 (from 11 earlier runs)`; says so when nothing was measured yet."""
    from maestro_tui.model.usual import of_plan

    return of_plan(plan).words() if plan.runs else "Nothing would run."


def limit_words(seconds: float | None, budget: Budget | None) -> str:
    """`at most 30m, $5.00`: the timeout of one attempt and what may be spent; empty where nothing limits."""
    parts = [format_duration(seconds)] if seconds is not None else []
    if budget is not None:
        parts += [f"{format_duration(budget.seconds)} in all"] if budget.seconds is not None else []
        parts += [f"{budget.tokens:,} tokens"] if budget.tokens is not None else []
        parts += [format_dollars(budget.cost_usd)] if budget.cost_usd is not None else []
    return "at most " + ", ".join(parts) if parts else ""


def overwrite_words(plan: Plan, most: int = 4) -> str:
    """`overwrites: docs/design.md and 3 more`; empty when nothing is."""
    paths = list(dict.fromkeys(clean(path, 120) for one in plan.phases for path in one.overwrites))
    if not paths:
        return ""
    rest = f" and {len(paths) - most} more" if len(paths) > most else ""
    return "may overwrite " + ", ".join(paths[:most]) + rest


def stale_words(plan: Plan) -> str:
    """Which committed phases become stale; empty when none does."""
    names = [one.phase for one in plan.phases if one.goes_stale]
    return f"goes stale, is kept: {', '.join(names)}" if names else ""


def holder_words(owner: Owner | None, now: float) -> str:
    """`nobody holds this session (pid 4121 ended 3m ago)`, or who does."""
    if owner is None:
        return "nobody holds this session"
    if owner.alive is False:
        return f"nobody holds this session ({owner.words()} ended, last sign {ago(now - owner.heartbeat_at)} ago)"
    return f"{owner.words()} ({owner.user}) holds this session since {ago(now - owner.started_at)}"


def command_words(kind: str, session_id: str, phase: str | None, root: str = "") -> str:
    """The command line that does the same."""
    words = ["maestro-tui"]
    if root:
        words += ["--checkpoint-dir", root]
    if kind == "phase" and phase is not None:
        words += ["phase", session_id, phase]
    else:
        words += ["resume", session_id]
        if phase is not None:
            words += ["--from", phase]
    return shlex.join(words)


def sums_words(plan: Plan) -> str:
    """What would run, how long and for how much, what is overwritten and goes stale, in one sentence."""
    if not plan.runs:
        return "nothing is left to run"
    names = ", ".join(clean(name, 40) for name in plan.runs)
    usual = total_words(plan).rstrip(".")
    parts = [f"runs {names}", usual[:1].lower() + usual[1:], overwrite_words(plan), stale_words(plan)]
    return "; ".join(part for part in parts if part)


def then_words(plan: Plan) -> str:
    """What becomes of a session that goes on with this plan, as the end of a sentence."""
    if plan.runs:
        return "it goes on"
    blocked = next((one for one in plan.phases if one.action.value == "blocked"), None)
    return f"{blocked.phase} {clean(blocked.reason, 120)}" if blocked is not None else "it is completed"


def run_words(plan: Plan, width: int) -> str:
    """What would run, in a few words for a list of sessions."""
    return short("runs " + ", ".join(plan.runs) if plan.runs else "nothing would run", width)
