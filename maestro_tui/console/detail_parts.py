"""What the tabs need of a session's details, in the form in which they need it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from maestro_tui.console.judged_lines import Measured
from maestro_tui.console.widgets.log_view import LogChoice
from maestro_tui.model.context import Decision, PhaseResult
from maestro_tui.store.detail import SessionDetail


def log_choices(session_dir: Path, detail: SessionDetail) -> list[LogChoice]:
    """The logs of the session's attempts in the order in which they began, then those of unknown attempts."""
    written = {(log.phase, log.attempt): log.path for log in detail.logs}
    choices: dict[tuple[str, int], LogChoice] = {}
    for attempt in detail.attempts:
        key = (attempt.phase, attempt.attempt)
        path = written.get(key) or _expected(session_dir, *key)
        if path is not None:
            choices[key] = LogChoice(*key, path, running=attempt.status == "running")
    for key, path in written.items():
        choices.setdefault(key, LogChoice(*key, path))
    return list(choices.values())


def no_log_words(detail: SessionDetail) -> str:
    """What the Log tab says of a session whose attempts have left no log."""
    if detail.summary.status == "running":
        return "It runs; no phase has begun yet."
    return "No phase has run here." if detail.attempts else "No phase has begun yet."


def _expected(session_dir: Path, phase: str, attempt: int) -> Path | None:
    """Where an attempt's log will be; None for a phase whose name would lead elsewhere."""
    if not phase or "/" in phase or "\0" in phase:
        return None
    return session_dir / "logs" / f"{phase}.{attempt}.log"


def missing_deliverables(detail: SessionDetail) -> Mapping[str, Sequence[str]]:
    """Phase → the globs of its contract that nothing in the workspace fulfilled."""
    return {phase: check.missing for phase, check in detail.contracts.items() if check.missing}


def judgements(detail: SessionDetail) -> list[Decision]:
    """The decisions as recorded, and after those of each phase the judgement of its gate."""
    found = list(detail.decisions)
    for phase, result in detail.results.items():
        gate = _gate(phase, result)
        if gate is not None:
            last = max(
                (i for i, decision in enumerate(found) if decision.phase == phase), default=len(found) - 1
            )
            found.insert(last + 1, gate)
    return found


def measured(detail: SessionDetail) -> Measured:
    """Phase → its result and what the workflow asks of it, for the table below its gate."""
    phases = {phase.name: phase for phase in detail.phases}
    return {name: (result, phases.get(name)) for name, result in detail.results.items()}


def _gate(phase: str, result: PhaseResult) -> Decision | None:
    gate = result.gate
    if gate is None:
        return None
    reasons = [*gate.failures, *([gate.reason] if gate.reason else [])]
    return Decision(
        phase=phase,
        about="gate",
        choice=gate.verdict.replace("_", " "),
        rationale="\n".join(reasons),
        score=gate.score,
        decided_by=gate.by or "rules",
        at=gate.at,
    )
