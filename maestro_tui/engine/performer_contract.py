"""Holds performers to their contract: what they hand back is a result that a checkpoint can hold, or their failure."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Mapping, Sequence
from typing import Any

from maestro_tui.engine.blocked_loop import at_work
from maestro_tui.model.checkpoint import DEPTH_LIMIT, DIGITS_LIMIT, Written
from maestro_tui.model.context import Decision, PhaseResult, PhaseStatus, Usage
from maestro_tui.model.text import clean
from maestro_tui.performers.port import RATIOS, Performer, PerformerFailed, PerformerResult, Port, Task

_SHAPE: Mapping[str, tuple[type | tuple[type, ...], str]] = {
    "outputs": (Mapping, "a mapping"),
    "decisions": (Sequence, "a sequence"),
    "metrics": (Mapping, "a mapping"),
    "summary": (str, "text"),
    "usage": (Usage, "a Usage"),
    "failure": ((str, type(None)), "text or None"),
}


async def perform(performer: Performer, task: Task, port: Port) -> PerformerResult:
    """Let it work: its result, of the right shape. Raises `PerformerFailed` for another one, and what it raises."""
    name = task.persona.name
    try:
        with at_work(task):
            result: Any = await performer.perform(task, port)
    except asyncio.CancelledError as error:
        running = asyncio.current_task()
        if running is None or running.cancelling():
            raise
        # Nobody asked this attempt to stop: as a cancellation it would stop everybody else's work as well.
        raise PerformerFailed(
            f"{name!r} was cancelled from within: something that it waited for was cancelled, and not by the engine."
        ) from error
    if not isinstance(result, PerformerResult):
        raise _bad(f"{name!r} returned {type(result).__name__}, not a PerformerResult.")
    for part, (kind, words) in _SHAPE.items():
        value = getattr(result, part)
        if not isinstance(value, kind):
            raise _bad(f"{name!r} returned a result whose {part} is {type(value).__name__}, not {words}.")
    return result


def check_result(name: str, result: PerformerResult) -> None:
    """Raise `PerformerFailed` where what persona `name` handed back could not be judged, or not be committed."""
    for metric, value in result.metrics.items():
        problem = _metric_problem(metric, value)
        if problem is not None:
            raise _bad(f"{name!r} reported {clean(metric, 60)}{problem}.")
    if not all(isinstance(one, Decision) for one in result.decisions):
        raise _bad(f"{name!r} left decisions that are none (they must be `Decision`s).")
    outputs = dict(result.outputs)
    try:
        json.dumps([outputs, *(one.details for one in result.decisions)], allow_nan=False)
        _check_keys([outputs, *(one.details for one in result.decisions)])
    except RecursionError as error:
        raise _bad(f"{name!r} left outputs that are nested too deeply.") from error
    except (ValueError, TypeError) as error:
        raise _bad(f"{name!r} left outputs that are not JSON ({_why(error)}).") from error
    # Comments on a draft stand deepest in a result; what fits there fits everywhere.
    deepest = {"comments": {"round 1": {name: outputs}}}
    try:
        Written().pieces_of(
            {
                name: PhaseResult(
                    status=PhaseStatus.COMPLETED, outputs=deepest, decisions=tuple(result.decisions)
                )
            }
        )
    except ValueError as error:
        raise _bad(f"{name!r} left outputs that no checkpoint can hold: {_why(error)}.") from error


def _why(error: Exception) -> str:
    """What an encoder says, in words for who looks after the performer."""
    said = str(error)
    if "depth exceeded" in said:
        return f"it is nested deeper than {DEPTH_LIMIT} levels"
    if "set_int_max_str_digits" in said:
        return f"it holds a number of more than {DIGITS_LIMIT:,} digits"
    return clean(said, 200)


def _metric_problem(metric: Any, value: Any) -> str | None:
    """The end of a sentence about a metric that measures nothing; None for one that does, or was not measured."""
    if not isinstance(metric, str):
        return " as a metric, whose name must be text"
    if value is None:
        return None
    try:
        shown, number = clean(value, 60), float(value) if _is_number(value) else math.nan
    except (OverflowError, ValueError):
        return ", which is too large a number"
    if not math.isfinite(number):
        return f" = {shown}, which is no finite number"
    if metric in RATIOS and not 0 <= number <= 1:
        return f" = {shown}; it is a ratio and must lie between 0 and 1"
    return None


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _check_keys(value: Any) -> None:
    """JSON would turn other keys into text, and what is read again would not be what was given."""
    if isinstance(value, dict):
        for key in value:
            if not isinstance(key, str):
                raise ValueError(f"the key {clean(repr(key), 60)} is no text")
    for part in value.values() if isinstance(value, dict) else value:
        if isinstance(part, dict | list | tuple):
            _check_keys(part)


def _bad(sentence: str) -> PerformerFailed:
    return PerformerFailed(sentence, kind="result")
