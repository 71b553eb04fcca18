"""When a session that changes may be read again: at once after a rest, less often while it is written without one. Pure."""

from __future__ import annotations

_MOST_REMEMBERED = 512


class Turns:
    """Moments and distances are seconds of one clock that only goes on."""

    def __init__(self, soonest: float, longest: float) -> None:
        """Two readings are `soonest` apart at first; each further one doubles that, up to `longest`."""
        self._soonest, self._longest = soonest, longest
        self._last: dict[str, tuple[float, float]] = {}
        """Session → when it was read last, and how long it is left alone after that."""

    def due(self, name: str, moment: float) -> float:
        """When a change that is seen now may be read."""
        last = self._last.get(name)
        return moment if last is None else max(moment, sum(last))

    def take(self, name: str, moment: float) -> None:
        """It is read now."""
        last = self._last.get(name)
        gap = self._soonest
        if last is not None and not self._rested(last, moment):
            gap = min(2 * last[1], self._longest)
        self._last[name] = (moment, gap)
        if len(self._last) > _MOST_REMEMBERED:
            self._last = {one: then for one, then in self._last.items() if not self._rested(then, moment)}

    def _rested(self, last: tuple[float, float], moment: float) -> bool:
        """True when nothing had to wait for its turn; a busy reader that comes late is no rest."""
        return moment > sum(last) + self._longest / 2
