"""What was measured of a phase and what it had to reach: quality table, contract, usage. Pure.

A figure that nobody measured says so; an opinion is called one; what was spent and is not known stays `–`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from maestro_tui.console.lines import Line, column_width, fit, fit_right, line, wrap_words
from maestro_tui.model.text import clean, format_dollars, format_duration

if TYPE_CHECKING:
    from maestro_tui.model.context import ContractCheck, PhaseResult, Usage
    from maestro_tui.model.phase import Phase

MOST = 16
OPINION = "opinion"
"""The metric that is what a reviewer thinks, not what was measured."""


def quality_lines(result: PhaseResult, phase: Phase | None) -> list[Line]:
    """One line for each metric: value, what is asked of it, whether it reaches that."""
    wanted, most = _wanted(result, phase), dict(phase.limits) if phase is not None else {}
    names = [*result.quality, *(name for name in (*wanted, *most) if name not in result.quality)][:MOST]
    if not names:
        return []
    first = column_width((clean(name, 60) for name in names), 8, 28)
    values = {name: _value(result.quality.get(name)) for name in names}
    second = column_width(values.values(), 4, 14)
    out = []
    for name in names:
        asked, missed = _asked(result.quality.get(name), wanted.get(name), most.get(name))
        if name == OPINION:
            asked = " · ".join(part for part in ("an opinion, not a measurement", asked) if part)
        out.append(
            line(
                ("quality", name),
                "  ",
                fit(clean(name, 60), first),
                "  ",
                (fit_right(values[name], second), "muted" if result.quality.get(name) is None else ""),
                ("  " + asked if asked else "", "phase-failed" if missed else "muted"),
            )
        )
    rest = len({*result.quality, *wanted, *most}) - len(names)
    if rest > 0:
        out.append(line(("quality", "rest"), (f"  and {rest} more", "muted")))
    return out


def _wanted(result: PhaseResult, phase: Phase | None) -> dict[str, float]:
    """Metric → the least that the gate asked for; the gate's own word, else the phase's."""
    threshold = result.gate.threshold if result.gate is not None else None
    if threshold is None and phase is not None:
        threshold = phase.threshold
    if threshold is None:
        return {}
    return dict(threshold) if isinstance(threshold, dict) else {"quality": float(threshold)}


def _value(value: float | None) -> str:
    return "not measured" if value is None else f"{value:.4g}"


def _asked(value: float | None, least: float | None, most: float | None) -> tuple[str, bool]:
    """What is asked of a metric in words, and whether it is missed; what was not measured is never a pass."""
    parts = []
    missed = False
    if least is not None:
        parts.append(f"at least {least:g}")
        missed |= value is None or value < least
    if most is not None:
        parts.append(f"at most {most:g}")
        missed |= value is None or value > most
    return " · ".join(parts), missed


def contract_lines(check: ContractCheck, width: int) -> list[Line]:
    """The deliverables, how many files satisfy their schema, and each broken promise as its sentence."""
    out = []
    for name in check.deliverables[:MOST]:
        missing = name in check.missing
        word = ("missing", "phase-failed") if missing else ("there", "muted")
        out.append(line(("contract", name), f"  {clean(name, 120)}: ", word))
    if len(check.deliverables) > MOST:
        out.append(line(("contract", "rest"), (f"  and {len(check.deliverables) - MOST} more", "muted")))
    if check.schemas is not None:
        good, total = check.schemas
        colour = "muted" if good == total else "phase-failed"
        out.append(line(("contract", "schemas"), (f"  {good} of {total} files satisfy their schema", colour)))
    for index, sentence in enumerate(check.violations[:MOST]):
        for part, text in enumerate(wrap_words(clean(sentence, 1_000), max(20, width - 4), 6)):
            lead = "  ! " if part == 0 else "    "
            out.append(line(("violation", index, part), (lead, "phase-failed"), text))
    return out


def usage_words(usage: Usage) -> str:
    """`4m12s · 12,345 tokens in, 2,100 out · $0.41`; what is not known stays `–`."""
    tokens_in = "–" if usage.input_tokens is None else f"{usage.input_tokens:,}"
    tokens_out = "–" if usage.output_tokens is None else f"{usage.output_tokens:,}"
    cost = "–" if usage.cost_usd is None else format_dollars(usage.cost_usd)
    return f"{format_duration(usage.seconds)} · {tokens_in} tokens in, {tokens_out} out · cost {cost}"
