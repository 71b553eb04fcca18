"""Prints figures in one form: median, p99, worst, the ratio to the baseline, and whether an aim is met."""

from __future__ import annotations

import os
import platform
import statistics
from collections.abc import Sequence


def p99(samples: Sequence[float]) -> float:
    """The 99th percentile, the higher of two neighbours (the worst, below a hundred samples)."""
    ordered = sorted(samples)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def head(title: str) -> None:
    """Say what is measured, on what, under which load."""
    one, five, _ = os.getloadavg()
    print(
        f"{title}\nPython {platform.python_version()}, {os.cpu_count()} cores, load {one:.1f} (1 min) {five:.1f} (5 min)"
    )


def line(
    name: str, samples: Sequence[float], baseline: Sequence[float] | None = None, unit: str = "ms"
) -> None:
    """A line of figures; the samples of times are seconds and are shown in ms."""
    scale = 1e3 if unit == "ms" else 1.0
    text = (
        f"  {name:<46} median {scale * statistics.median(samples):8.2f} {unit}   p99 {scale * p99(samples):8.2f}"
        f"   worst {scale * max(samples):8.2f}   n={len(samples)}"
    )
    if baseline is not None:
        medians = statistics.median(samples) / statistics.median(baseline)
        text += f"   ×{medians:.2f} of the baseline (p99 ×{p99(samples) / p99(baseline):.2f})"
    print(text, flush=True)


def aim(words: str, met: bool) -> None:
    """Say whether an aim is met."""
    print(f"  {'met    ' if met else 'MISSED '} {words}", flush=True)


def tail() -> None:
    """The load at the end: others may have used the machine meanwhile."""
    print(f"  load at the end {os.getloadavg()[0]:.1f}", flush=True)
