"""Reads from a session's journal what attempts without an outcome have spent so far, whoever runs them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from pathlib import Path

from pydantic import ValidationError

from maestro_tui.engine.attempts import JOURNAL, OUTCOMES
from maestro_tui.engine.ledger import Elsewhere
from maestro_tui.model.context import Usage
from maestro_tui.model.events import Event
from maestro_tui.model.policy import Budget
from maestro_tui.model.workflow import Workflow
from maestro_tui.store.checkpoints import CheckpointStore
from maestro_tui.store.journal import read_events
from maestro_tui.store.lease import phases_held


class _Span:
    """Seconds between moments of the journal (epoch seconds), without those in which it stood still."""

    def __init__(self, at: float) -> None:
        self._before, self._since = 0.0, at
        self.still = False

    def until(self, at: float) -> float:
        return self._before + (0.0 if self.still else max(0.0, at - self._since))

    def turn(self, at: float, still: bool) -> None:
        self._before, self._since, self.still = self.until(at), at, still


class OpenAttempt:
    """An attempt that began and has no outcome in the journal; made from its events in their order."""

    def __init__(self, number: int, at: float) -> None:
        self.number = number
        self._tries: dict[tuple[str, str, str], Usage] = {}
        self._span, self._last = _Span(at), at
        self._people: dict[str, _Span] = {}
        self._at_work: set[str] = set()
        self._questions: dict[object, str] = {}
        """Question → the persona that waits for its answer."""

    def take(self, event: Event) -> None:
        """One more event of this attempt."""
        self._last = max(self._last, event.at)
        who, data = event.persona or "", event.data
        if event.type == "usage_reported":
            known = {key: data[key] for key in Usage.model_fields if key in data}
            try:
                # Each event of one try tells the whole of that try.
                one_try = (who, str(data.get("step")), str(data.get("attempt_try")))
                self._tries[one_try] = Usage.model_validate(known)
            except ValidationError:
                return
        elif event.type == "persona_started":
            self._at_work.add(who)
        elif event.type == "persona_finished":
            self._at_work.discard(who)
        elif event.type == "question_asked":
            self._questions[data.get("id")] = who
        elif event.type == "question_answered":
            self._questions.pop(data.get("id"), None)
        else:
            return
        waiting = self._at_work & set(self._questions.values())
        self._span.turn(event.at, bool(waiting) and waiting == self._at_work)
        if who in self._at_work or who in self._people:
            idle = who in waiting or who not in self._at_work
            self._people.setdefault(who, _Span(event.at)).turn(event.at, idle)

    @property
    def works(self) -> bool:
        """False while all who work on it wait for a person's answer."""
        return not self._span.still

    def seconds(self, now: float | None = None) -> float:
        """Seconds of work up to now (epoch seconds), or to its last sign of life."""
        return self._span.until(self._last if now is None else max(now, self._last))

    def by_persona(self) -> dict[str, Usage]:
        """Who has spent what, with the seconds of each up to the attempt's last sign of life."""
        by = {who: Usage(seconds=round(span.until(self._last), 3)) for who, span in self._people.items()}
        for (who, _, _), usage in self._tries.items():
            by[who] = by.get(who, Usage()).plus(usage)
        return by

    @property
    def usage(self) -> Usage:
        """Tokens and money of all its tries."""
        total = Usage()
        for usage in self._tries.values():
            total = total.plus(usage)
        return total


class SpendingReader:
    """Follows one session's journal: what was read once is not read again."""

    def __init__(self, session_dir: Path) -> None:
        self._path = session_dir / JOURNAL
        self._begin(0)

    def _begin(self, inode: int) -> None:
        self._inode, self._offset = inode, 0
        self._open: dict[str, OpenAttempt] = {}

    def read(self) -> Mapping[str, OpenAttempt]:
        """Phase → its open attempt, as the journal is now. Damaged records are passed over."""
        try:
            facts = self._path.stat(follow_symlinks=False)
        except OSError:
            self._begin(0)
            return self._open
        if facts.st_ino != self._inode or facts.st_size < self._offset:
            self._begin(facts.st_ino)
        self._offset = read_events(self._path, self._offset, take=self._take).next_offset
        return self._open

    def _take(self, event: Event) -> None:
        if event.phase is None or event.attempt is None:
            return
        if event.type == "phase_started":
            self._open[event.phase] = OpenAttempt(event.attempt, event.at)
            return
        found = self._open.get(event.phase)
        if found is None or found.number != event.attempt:
            return
        if event.type in OUTCOMES:
            del self._open[event.phase]
        else:
            found.take(event)


def spent_elsewhere(
    store: CheckpointStore, session_id: str, reader: SpendingReader, own: Collection[str], now: float
) -> Elsewhere:
    """What runners of phases that are not our `own` have committed and spent until `now` (epoch seconds)."""
    # The journal before the head: what is committed in between is in both, and is left out of the first.
    opened = reader.read()
    context = (store.own_head(session_id) or store.head(session_id)).context
    held = phases_held(store.session_dir(session_id))
    usage, working = Usage(), 0
    for name, attempt in opened.items():
        result = context.phase_results.get(name)
        told = max(context.recovered.get(name, 0), result.attempt if result is not None else 0)
        if name in own or attempt.number <= told:
            continue
        seconds = attempt.seconds(now if name in held else None)
        usage = usage.plus(attempt.usage).plus(Usage(seconds=round(seconds, 3)))
        working += name in held and attempt.works
    return Elsewhere(context, usage, working)


def lost_spending(
    session_dir: Path,
    unfinished: Mapping[str, int],
    recovered: Mapping[str, int],
    workflow: Workflow,
) -> dict[str, tuple[int, Usage, dict[str, Usage]]]:
    """Phase → the attempt that was broken off, what it had spent and who, as far as the journal tells.

    `recovered` names the attempts whose spending was added before. Seconds are told where a budget counts them.
    """
    wanted = {name: number for name, number in unfinished.items() if recovered.get(name, 0) < number}
    if not wanted:
        return {}
    found: dict[str, tuple[int, Usage, dict[str, Usage]]] = {}
    for name, opened in SpendingReader(session_dir).read().items():
        if wanted.get(name) != opened.number:
            continue
        total = opened.usage
        phase = workflow.phase(name) if name in workflow.names else None
        if _counts_seconds(workflow.budget) or (phase is not None and _counts_seconds(phase.budget)):
            total = total.plus(Usage(seconds=round(opened.seconds(), 3)))
        timed = {
            one.name
            for one in (*workflow.personas, *(phase.personas if phase is not None else ()))
            if _counts_seconds(one.budget)
        }
        by = {
            who: usage if who in timed else usage.model_copy(update={"seconds": None})
            for who, usage in opened.by_persona().items()
        }
        by = {who: usage for who, usage in by.items() if usage != Usage()}
        if total != Usage() or by:
            found[name] = (opened.number, total, by)
    return found


def _counts_seconds(budget: Budget | None) -> bool:
    return budget is not None and budget.seconds is not None
