"""One session as the list shows it. Pure, and small: ten thousand of them are kept at once."""

from __future__ import annotations

import re

from maestro_tui.model.summary import SessionSummary, phase_word

_GENERATED_ID = re.compile(r"\d{8}-\d{6}-(?=.)")


class FleetRow:
    """A session with the status that it shows; compared by identity, and never changed.

    A row stands for ten thousand others, of which forty are painted: what is painted is made when it is asked
    for, and the text that free words of a filter search is kept from its first search on.
    """

    __slots__ = ("_haystack", "session_id", "status", "strip_width", "summary")

    def __init__(self, summary: SessionSummary, status: str) -> None:
        self.summary = summary
        self.status = status
        """The status word that is shown: the session's own, or `silent`."""
        self.session_id = summary.session_id
        self.strip_width = len(summary.phases)
        self._haystack: str | None = None

    @property
    def haystack(self) -> str:
        """Lower-case text of everything that free words search."""
        if self._haystack is None:
            one = self.summary
            words = (one.session_id, one.requirement, one.workflow, one.error, one.last_event)
            self._haystack = "\n".join(word for word in words if word).lower()
        return self._haystack

    @property
    def title(self) -> str:
        """The id without the date that a generated id begins with."""
        return short_id(self.session_id)

    @property
    def strip(self) -> tuple[str, ...]:
        """A status word for each phase, in workflow order."""
        return tuple(phase_word(one, self.status) for one in self.summary.phases)

    @property
    def phase(self) -> str:
        """The phase to talk about; empty when all are done."""
        phase = self.summary.current
        return phase.name if phase is not None else ""

    @property
    def since(self) -> float:
        """The moment that the row's time counts from."""
        summary, phase = self.summary, self.summary.current
        if self.status == "running":
            begun = phase.started_at if phase is not None else None
            return begun if begun is not None else summary.created_at
        if self.status in ("waiting", "failed") and phase is not None and phase.finished_at is not None:
            return phase.finished_at
        return summary.updated_at


def short_id(session_id: str) -> str:
    """The id without the leading date and time of a generated one."""
    return _GENERATED_ID.sub("", session_id, count=1)
