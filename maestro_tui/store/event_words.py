"""Journal records in a few words for people: one sentence for each type of event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from maestro_tui.model.text import clean, format_dollars

WORDS_LIMIT = 200
_LISTED = 4


def event_words(record: Mapping[str, Any], limit: int = WORDS_LIMIT) -> str:
    """A record (`type`, `phase`, `attempt`, `persona`, `data`) in a few clean words, at most `limit` characters."""
    kind = str(record.get("type"))
    data = record.get("data")
    data = data if isinstance(data, Mapping) else {}
    phase, number = record.get("phase"), record.get("attempt")
    where = str(phase) if isinstance(phase, str) else "session"
    if isinstance(number, int) and number > 1:
        where += f" #{number}"
    who = str(record.get("persona") or where)
    words = team_words(kind, who, where, data)
    if words is None:
        words = _words(kind, who, where, data)
    return clean(" ".join(words[: 4 * limit].split()), limit)


def _words(kind: str, who: str, where: str, data: Mapping[str, Any]) -> str:
    said = data.get("summary") or data.get("error") or data.get("reason") or ""
    by = data.get("by") or "someone"
    return {
        "session_started": "began",
        "phase_started": f"{where} began",
        "artifacts_created": f"{where}: {data.get('count', 'some')} files",
        "contract_checked": f"{where}: {_contract(data)}",
        "quality_checked": f"{where}: quality {data.get('verdict') or 'measured'}",
        "gate_waiting": f"{where} waits for approval",
        "gate_decided": f"{where} {str(data.get('verdict', 'decided')).replace('_', ' ')} by {by}{_tail(said)}"
        + (f"; {data['problem']}" if data.get("problem") else ""),
        "phase_committed": f"{where} committed",
        "phase_failed": f"{where} failed{_tail(said)}",
        "phase_cancelled": f"{where} cancelled",
        "phase_retried": f"{who} tries again",
        "session_paused": f"paused{_tail(said)}",
        "session_failed": "failed",
        "session_cancelled": "cancelled",
        "session_completed": "completed",
        "runner_acquired": "taken by a runner",
        "runner_lost": "its runner was lost",
        "journal_lost": f"events are missing{_tail(said)}",
        "edits_applied": f"{where} edited by {by}",
        "question_asked": f"{who} asks{_tail(data.get('question') or '')}",
        "question_answered": f"{who} was answered{_tail(data.get('answer') or '')}",
    }.get(kind, f"{where}: {kind.replace('_', ' ')}")


def team_words(kind: str, who: str, where: str, data: Mapping[str, Any]) -> str | None:
    """The sentence about team work: spending, tools, steps, budgets, advice; None for other types. Not clean yet."""
    reason = _tail(data.get("reason") or "")
    step = data.get("step")
    during = f" ({step})" if isinstance(step, str) and step != "work" else ""
    if kind == "blueprint_selected":
        chosen = data.get("choice")
        team = chosen if isinstance(chosen, str) else f"team {_listed(data.get('personas'))}"
        return f"{where}: {team}" + (f", decided by {data['decided_by']}" if data.get("decided_by") else "")
    if kind == "persona_started":
        again = f", try {data['attempt_try']}" if _count(data.get("attempt_try")) > 1 else ""
        return f"{who} began{during}{again}{reason}"
    if kind == "performer_blocks":
        blocks = "one of its performers" if who == "session" else who
        return f"{blocks} blocks its runner: time limits and cancel wait for it{_tail(data.get('where'))}"
    if kind == "persona_finished":
        ended = "failed" if data.get("ok") is False else "finished"
        return f"{who} {ended}{_tail(data.get('summary') or data.get('error') or '') or reason}"
    if kind == "usage_reported":
        return f"{who} has used {_usage(data)}{during}"
    if kind == "persona_reused":
        done = f"its work of attempt {data.get('from_attempt', '?')} stands"
        return f"{who} is not run again{during}: {done}{_tail(data.get('summary') or '')}"
    if kind == "tool_called":
        denied = " (was not allowed to)" if data.get("denied") is True else ""
        what = data.get("summary") or _listed(data.get("paths"), "")
        return f"{who} uses {data.get('tool') or 'a tool'}{denied}{_tail(what)}"
    if kind == "sub_step":
        return f"{who}: {str(step or 'a step').replace('_', ' ')}{_tail(_pairs(data.get('of')))}"
    if kind == "context_trimmed":
        place = f"; read it in {data['where']}" if data.get("where") else ""
        return f"{who} is not given all: left out {_left_out(data.get('left_out'))}{place}"
    if kind == "budget_spent":
        return f"{where} stopped at a budget{reason}"
    if kind == "budget_raised":
        of = "the session's budget" if where == "session" else f"the budget of {where}"
        return f"{of} was raised by {data.get('by') or 'someone'}: {_more(data.get('more'))} more{reason}"
    if kind == "breaker_opened":
        failures = _count(data.get("failures"))
        return f"{where}: no attempt for a while, {failures or 'several'} failed in a row (circuit breaker)"
    if kind == "advice_failed":
        return f"{'the advisor' if who == where else who} gave no advice; rules decide{reason}"
    if kind == "listener_failed":
        return f"who listens here could not take an event{_tail(data.get('problem'))}"
    if kind == "survivors_ended":
        left = data.get("left")
        return "what its dead runner had left at work was ended" + (
            f", but {_listed(left)} lives on" if _some(left) else ""
        )
    return None


def _contract(data: Mapping[str, Any]) -> str:
    broken = data.get("violations")
    if data.get("missing"):
        return f"misses {_listed(data.get('missing'))}"
    return f"breaks its contract: {_listed(broken)}" if _some(broken) else "delivered"


def _usage(data: Mapping[str, Any]) -> str:
    tokens = [f"{_count(data[key]):,} tokens {word}" for key, word in _TOKENS if _is_number(data.get(key))]
    cost = [f"${data['cost_usd']:.4f}"] if _is_number(data.get("cost_usd")) else []
    return ", ".join([*tokens, *cost]) or "what it does not tell"


_TOKENS = (("input_tokens", "in"), ("output_tokens", "out"))


def _more(more: object) -> str:
    if not isinstance(more, Mapping):
        return "some"
    parts = [format_dollars(more["cost_usd"])] if _is_number(more.get("cost_usd")) else []
    parts += [f"{_count(more['tokens']):,} tokens"] if _is_number(more.get("tokens")) else []
    parts += [f"{_count(more['seconds']):,} s"] if _is_number(more.get("seconds")) else []
    return ", ".join(parts) or "some"


def _left_out(left_out: object) -> str:
    if not isinstance(left_out, list):
        return "a part"
    named = [
        f"{one.get('what')} ({one.get('where')})" if isinstance(one, Mapping) else str(one)
        for one in left_out
    ]
    return _listed(named)


def _pairs(of: object) -> str:
    if not isinstance(of, Mapping):
        return str(of) if isinstance(of, str | int | float) else ""
    return ", ".join(f"{key} {value}" for key, value in list(of.items())[:_LISTED] if not _some(value))


def _tail(text: object) -> str:
    return f": {text}" if text else ""


def _listed(names: object, default: str = "unknown") -> str:
    if not isinstance(names, list) or not names:
        return default
    more = f" and {len(names) - _LISTED} more" if len(names) > _LISTED else ""
    return ", ".join(str(name) for name in names[:_LISTED]) + more


def _some(value: object) -> bool:
    return isinstance(value, Sequence | Mapping) and not isinstance(value, str) and len(value) > 0


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _count(value: object) -> int:
    # Infinite and not-a-number values cannot be counted; the journal of a stranger may hold them.
    if isinstance(value, float) and value - value != 0:
        return 0
    return int(value) if isinstance(value, int | float) else 0
