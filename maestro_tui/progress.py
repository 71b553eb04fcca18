"""Tells a running session's progress on standard error: live on a terminal, plain lines otherwise."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable
from typing import Any, TextIO

from maestro_tui.model.events import Event
from maestro_tui.model.plan import Action, Plan
from maestro_tui.model.text import clean, format_duration, uncoloured
from maestro_tui.model.usual import of_plan
from maestro_tui.streams import silence

_COLOURS = {
    "●": "36", "✓": "32", "✗": "31", "⚑": "33", "‖": "33", "⊘": "35", "■": "35", "↻": "33", "◌": "33", "›": "2",
}  # fmt: skip


class Progress:
    """Listens to events and writes one line for each that an operator cares about."""

    def __init__(
        self,
        stream: TextIO,
        *,
        verbose: bool = False,
        quiet: bool = False,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._stream, self._verbose, self._quiet, self._clock = stream, verbose, quiet, clock
        self._live = stream.isatty() and not quiet
        self._began: dict[str, float] = {}
        self._status_shown = False

    def __call__(self, event: Event) -> None:
        """Write what the event means; the engine calls this from its own loop."""
        phase, data = event.phase or "", event.data
        who = clean(event.persona or "", 64)
        number = f"#{event.attempt}"
        match event.type:
            case "session_started":
                self._say("●", f"session {event.session_id} · workflow {clean(data.get('workflow', ''), 60)}")
            case "survivors_ended":
                count = len(data.get("pids", []))
                self._say(
                    "›", f"ended {count} process{'es' if count != 1 else ''} that the dead runner had left"
                )
            case "phase_started":
                self._began[phase] = event.at
                self._say("●", f"{phase} {number} · {clean(data.get('reason', ''), 160)}")
            case "blueprint_selected":
                self._say(
                    "›", f"{phase} · {clean(data.get('choice', ''), 160)} (by {data.get('decided_by')})"
                )
            case "persona_output" if self._verbose:
                self._say(
                    "›", f"{phase} · {event.persona}: {clean(uncoloured(str(data.get('text', ''))), 400)}"
                )
            case "phase_retried":
                self._say(
                    "↻",
                    f"{phase} {number} · try {data.get('failed_try')} of {data.get('tries')} failed, again in "
                    f"{format_duration(data.get('delay_seconds'))}",
                )
            case "artifacts_created":
                paths = [clean(path, 60) for path in data.get("paths", [])]
                more = f" and {data['count'] - 3} more" if data.get("count", 0) > 3 else ""
                self._say("›", f"{phase} · {', '.join(paths[:3])}{more}")
            case "quality_checked":
                table = data.get("quality", {})
                told = [
                    f"{clean(name, 40)} {'not measured' if value is None else f'{value:g}'}"
                    for name, value in table.items()
                    if name != "quality" or value is not None
                ]
                if told:
                    self._say("›", f"{phase} · {' · '.join(told)}")
            case "phase_committed":
                self._end(phase)
                self._say("✓", f"{phase} {number} committed as {data.get('seq')} · {self._took(data)}")
            case "phase_failed":
                self._end(phase)
                self._say(
                    "✗", f"{phase} {number} failed · {self._took(data)} · {clean(data.get('error', ''), 600)}"
                )
            case "phase_cancelled":
                self._end(phase)
                # A spent budget is told by an event of its own, with the way on.
                if data.get("status") != "pending":
                    self._say("■", f"{phase} {number} cancelled")
            case "advice_failed":
                self._say("›", clean(data.get("reason", ""), 600))
            case "budget_spent":
                self._say("‖", f"{phase} {number} stopped · {clean(data.get('reason', ''), 600)}")
            case "breaker_opened":
                self._say(
                    "⊘", f"{phase} failed {data.get('failures')} times in a row: its circuit breaker is open"
                )
            case "persona_reused":
                self._say(
                    "✓",
                    f"{phase} · {who} finished in attempt {data.get('from_attempt')}; it is not done again",
                )
            case "performer_blocks":
                blocks = f"{phase} · {who}" if phase else "one of its performers"
                self._say(
                    "◌",
                    f"{blocks} blocks its runner in {clean(data.get('where', ''), 120)}: time limits and cancel wait for it",
                )
            case "context_trimmed":
                left = data.get("left_out")
                names = (
                    [clean(one.get("what", ""), 40) for one in left if isinstance(one, dict)]
                    if isinstance(left, list)
                    else []
                )
                self._say("›", f"{phase} · {who} is not given whole: {', '.join(names) or 'some parts'}")
            case "gate_waiting":
                self._say("⚑", f"{phase} waits for approval: maestro-tui approve {event.session_id} {phase}")
            case "gate_decided":
                self._say(
                    "⚑", f"{phase} {clean(data.get('verdict', ''), 20)} by {clean(data.get('by', ''), 60)}"
                )
            case "question_asked":
                self._ask(event)
            case "question_answered":
                answer, by = clean(data.get("answer", ""), 200), clean(data.get("by", ""), 60)
                self._say("⚑", f"{phase} · {event.persona} was answered: {answer} (by {by})")
            case "session_paused":
                reason = clean(data.get("reason", ""), 60)
                # One phase alone leaves a session as far as it was, which may be at its end.
                asked = reason == "asked phases are done"
                sign, what = ("✓", "what was asked for is done") if asked else ("‖", f"paused ({reason})")
                self._say(sign, f"{what} · {self._way_on(reason, event.session_id)}")
            case "session_failed":
                self._say(
                    "✗", f"stopped; committed phases are safe · go on: maestro-tui resume {event.session_id}"
                )
            case "session_cancelled":
                self._say(
                    "■",
                    f"cancelled; committed phases are safe · go on: maestro-tui resume {event.session_id}",
                )
            case "session_completed":
                stale = ", ".join(clean(name, 64) for name in data.get("stale", []))
                what = "the selected phases are completed" if data.get("selected") else "completed"
                self._say("✓", f"session {event.session_id}: {what}{f' · stale: {stale}' if stale else ''}")
                if stale:
                    again = clean(data["stale"][0], 64)
                    self._say("›", f"run those again: maestro-tui resume {event.session_id} --from {again}")

    def _way_on(self, reason: str, session_id: str) -> str:
        resume = f"maestro-tui resume {session_id}"
        if reason == "budget":
            # A resume that finds it spent runs nothing, and so nothing else has said what comes first.
            return f"allow more: maestro-tui raise {session_id} (--help), then go on: {resume}"
        return f"then go on: {resume}" if reason == "approval" else f"go on: {resume}"

    def _ask(self, event: Event) -> None:
        data = event.data
        until = f", until {clean(data['expires_at'], 40)}" if data.get("expires_at") else ""
        options = " · ".join(
            f"{number} {clean(option, 80)}" for number, option in enumerate(data.get("options", []), 1)
        )
        for line in (
            f"{event.phase} · {event.persona} asks: {clean(data.get('question', ''), 400)}",
            f"  {options}  (without an answer{until}: {clean(data.get('default', ''), 80)})",
            f"  answer it: maestro-tui answer {event.session_id} CHOICE --question {data.get('id')}",
        ):
            self._say("⚑", line)

    def _took(self, data: Any) -> str:
        seconds = data.get("duration_seconds")
        if seconds is None:
            return "–"
        return f"{seconds:.1f}s" if seconds < 60 else format_duration(seconds)

    def _end(self, phase: str) -> None:
        self._began.pop(phase, None)

    def _say(self, sign: str, text: str) -> None:
        if self._quiet:
            return
        self._wipe()
        if self._live:
            moment = time.strftime("%H:%M:%S", time.localtime(self._clock()))
            self._put(f"\x1b[2m{moment}\x1b[0m \x1b[{_COLOURS[sign]}m{sign}\x1b[0m {text}\n")
        else:
            self._put(f"{sign} {text}\n")

    def lines(self, lines: Iterable[str]) -> None:
        """Write lines as they are, a plan for one."""
        if not self._quiet:
            self._put("".join(f"{line}\n" for line in lines))

    def _put(self, text: str) -> None:
        try:
            self._stream.write(text)
            self._stream.flush()
        except (OSError, ValueError):
            # Whoever read it has gone. The work goes on: its state is on disk, where everybody finds it.
            self._quiet, self._live, self._status_shown = True, False, False
            silence(self._stream)

    def _wipe(self) -> None:
        if self._status_shown:
            self._put("\r\x1b[2K")
            self._status_shown = False

    async def tick(self) -> None:
        """On a terminal, keep a last line with what runs and for how long; until cancelled."""
        if not self._live:
            return
        try:
            while self._live:
                if self._began:
                    now = self._clock()
                    parts = [f"{name} {format_duration(now - at)}" for name, at in self._began.items()]
                    self._status_shown = True
                    self._put(
                        f"\r\x1b[2K\x1b[36m●\x1b[0m {' · '.join(parts)[:70]}  \x1b[2m^C stops, resumably\x1b[0m"
                    )
                await asyncio.sleep(0.5)
        finally:
            self._wipe()


def plan_lines(plan: Plan) -> list[str]:
    """A plan for people: a line a phase, then what is overwritten, what all of it takes and what would change."""
    signs = {
        Action.REUSE: "✓",
        Action.RUN: "●",
        Action.PROVIDED: "◇",
        Action.SKIP: "↷",
        Action.BLOCKED: "○",
    }
    width = max(len(planned.phase) for planned in plan.phases)
    lines = [f"Plan for {plan.session_id}: {plan.request}"]
    for planned in plan.phases:
        usual = ""
        if planned.estimate.seconds is not None:
            usual = f"  usual {format_duration(planned.estimate.seconds)}"
        attempt = f" #{planned.attempt}" if planned.attempt and planned.attempt > 1 else ""
        notes = "".join(
            [
                "  runs, then waits for your approval" if planned.approval else "",
                "  then stops for review" if planned.pause else "",
                "  goes stale" if planned.goes_stale else "",
            ]
        )
        lines.append(
            f"  {signs[planned.action]} {planned.phase:<{width}}  {planned.action:<8}{attempt}  "
            f"{planned.reason}{usual}{notes}"
        )
    overwrites = sorted({path for planned in plan.phases for path in planned.overwrites})
    if overwrites:
        shown = ", ".join(clean(path, 60) for path in overwrites[:5])
        more = f" and {len(overwrites) - 5} more" if len(overwrites) > 5 else ""
        lines.append(f"  may overwrite: {shown}{more}")
    if plan.runs and any(planned.estimate.runs for planned in plan.phases):
        lines.append(f"  usually: {of_plan(plan).words()}")
    lines.extend(f"  changed: {change}" for change in plan.changes)
    return lines
