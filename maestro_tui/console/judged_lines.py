"""The decisions of a session as lines, and below each gate's judgement what it was made from. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from maestro_tui.console.lines import Line, line
from maestro_tui.console.quality_lines import contract_lines, quality_lines, usage_words
from maestro_tui.console.record_lines import decision_lines
from maestro_tui.model.context import Decision, PhaseResult

if TYPE_CHECKING:
    from maestro_tui.model.phase import Phase

Measured = Mapping[str, tuple[PhaseResult, "Phase | None"]]
"""Phase → its result, and the phase as the workflow defines it where that is known."""


def judged_lines(decisions: Sequence[Decision], measured: Measured, width: int) -> list[Line]:
    """Each decision; after the one of a gate the quality table, the contract and the usage of its phase."""
    lines: list[Line] = []
    for index, decision in enumerate(decisions):
        if index:
            lines.append(line((index, "gap"), " "))
        own = decision_lines([decision], width)
        lines += [line((index, *_key(one)), *one.parts) for one in own]
        known = measured.get(decision.phase or "") if decision.about == "gate" else None
        if known is None:
            continue
        result, phase = known
        below = quality_lines(result, phase)
        if result.contract is not None:
            below += contract_lines(result.contract, width - 2)
        below.append(line("usage", (f"  {usage_words(result.usage)}", "muted")))
        lines += [line((index, "measured", one.key), "  ", *one.parts) for one in below]
    return lines


def _key(one: Line) -> tuple[object, ...]:
    return one.key if isinstance(one.key, tuple) else (one.key,)
