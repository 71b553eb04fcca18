"""The Diff tab: what differs between two commits of the session, by structure or as text."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from maestro_tui.console import json_tree
from maestro_tui.console.json_file import read_json
from maestro_tui.console.lines import Line, Part, line
from maestro_tui.console.structural_diff import Change, change_lines, json_changes, text_diff_lines
from maestro_tui.console.widgets.line_stack import LineStack, spread
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.summary import AttemptSummary
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoints import CommitInfo

# These differ between any two commits and say nothing about the work.
ALWAYS_DIFFERENT = frozenset(["sha256", "prev", "seq", "created_at", "epoch"])


class DiffView(SearchView):
    """Two commits: `[` `]` choose the older side, `{` `}` the newer one."""

    DEFAULT_CSS = """
    DiffView .sides { height: 1; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "side(0, -1)", "Older side back", show=False),
        Binding("right_square_bracket", "side(0, 1)", "Older side on", show=False),
        Binding("left_curly_bracket", "side(1, -1)", "Newer side back", show=False),
        Binding("right_curly_bracket", "side(1, 1)", "Newer side on", show=False),
        Binding("u", "text", "As text", show=False),
    ]

    class Compared(Message):
        """A thread has compared two commits."""

        def __init__(
            self, pair: tuple[str, int, int], changes: list[Change], unified: list[Line], problem: str | None
        ) -> None:
            super().__init__()
            self.pair = pair
            self.changes = changes
            self.unified = unified
            self.problem = problem

    def __init__(self, id: str | None = None) -> None:
        super().__init__(with_cursor=False, empty="Nothing differs.", id=id)
        self._session = ""
        self._history: tuple[CommitInfo, ...] = ()
        self._pair: tuple[int, int] | None = None
        self._chosen = False
        """True when the operator chose the sides; else they go on with the session."""
        self._compared: tuple[str, int, int] | None = None
        self._changes: list[Change] = []
        self._unified: list[Line] = []
        self._problem: str | None = None
        self._as_text = False

    def compose(self) -> ComposeResult:
        """The two sides above the changes."""
        yield LineStack(classes="sides")
        yield from super().compose()

    @property
    def pair(self) -> tuple[int, int] | None:
        """The two commits that are compared."""
        return self._pair

    @property
    def changes(self) -> Sequence[Change]:
        """The differences that are shown."""
        return self._changes

    def show(self, session: str, history: Sequence[CommitInfo], attempts: Sequence[AttemptSummary]) -> None:
        """Shows the sides that were chosen, or else those that tell most about the session as it is."""
        if session != self._session:
            self._session, self._chosen, self._pair, self._compared = session, False, None, None
        self._history = tuple(item for item in history if item.problem is None)
        known = {item.seq for item in self._history}
        if not self._chosen or self._pair is None or not set(self._pair) <= known:
            self._pair = telling_pair(self._history, attempts)
        self._compare_if_seen()
        self._refresh_sides()

    def choose(self, old: int, new: int) -> None:
        """Compares two commits that the operator chose."""
        self._pair, self._chosen = (old, new), True
        self._compare_if_seen(force=True)
        self._refresh_sides()

    def on_show(self) -> None:
        """What has changed while the tab was hidden is compared now."""
        self._compare_if_seen()

    def _compare_if_seen(self, force: bool = False) -> None:
        if self._pair is None:
            self._changes, self._unified, self._problem = [], [], None
            self.refresh_lines()
            return
        wanted = (self._session, *self._pair)
        if wanted == self._compared or not (force or self.display):
            return
        paths = {item.seq: Path(item.path) for item in self._history}
        if not set(self._pair) <= set(paths):
            return
        work = partial(self._compare_in_thread, wanted, paths[self._pair[0]], paths[self._pair[1]])
        self.run_worker(work, thread=True, group="diff", exit_on_error=False)

    def _compare_in_thread(self, pair: tuple[str, int, int], old_path: Path, new_path: Path) -> None:
        old, old_problem = read_json(old_path)
        new, new_problem = read_json(new_path)
        problem = old_problem or new_problem
        changes: list[Change] = []
        unified: list[Line] = []
        if problem is None:
            changes = json_changes(old, new, ALWAYS_DIFFERENT)
            names = (f"commit {pair[1]}", f"commit {pair[2]}")
            unified = text_diff_lines(_text(old), _text(new), *names)
        self.post_message(self.Compared(pair, changes, unified, problem))

    def on_diff_view_compared(self, message: Compared) -> None:
        """Shows the differences, unless other sides were chosen meanwhile."""
        message.stop()
        if self._pair is None or message.pair != (self._session, *self._pair):
            return
        self._compared = message.pair
        self._changes, self._unified, self._problem = message.changes, message.unified, message.problem
        self.rows.set_lines([], home=True)
        self.refresh_lines()
        self._refresh_sides()

    def refresh_lines(self) -> None:
        """Makes the lines for the width."""
        if self._problem:
            self.rows.set_lines([line("problem", (self._problem, "phase-failed"))])
        elif self._as_text:
            self.rows.set_lines(self._unified)
        else:
            self.rows.set_lines(change_lines(self._changes, self.text_width))
        self.rows.empty = (
            "Nothing differs." if self._pair else "There is only one commit: nothing to compare."
        )

    def action_text(self) -> None:
        """By structure, or as a unified diff of the text."""
        self._as_text = not self._as_text
        self.rows.set_lines([], home=True)
        self.refresh_lines()
        self._refresh_sides()

    def action_side(self, side: int, step: int) -> None:
        """Another commit for one side."""
        if self._pair is None:
            return
        seqs = [item.seq for item in self._history]
        place = seqs.index(self._pair[side]) + step
        if not 0 <= place < len(seqs):
            return
        pair = [*self._pair]
        pair[side] = seqs[place]
        if pair[0] < pair[1]:
            self.choose(pair[0], pair[1])

    def _refresh_sides(self) -> None:
        self.query_one(".sides", LineStack).show(self._sides)

    def _sides(self, width: int) -> list[Line]:
        if self._pair is None:
            return []
        by_seq = {item.seq: item for item in self._history}
        parts: list[Part] = []
        for index, seq in enumerate(self._pair):
            item = by_seq.get(seq)
            name = f"commit {seq}" if width >= 70 else str(seq)
            if item is not None:
                attempt = f" #{item.attempt}" if item.attempt else ""
                name += f" {clean(item.phase or '', 40)}{attempt} {clean(item.status or '', 16)}"
            parts += [("  →  ", "muted")] if index else []
            parts.append((name.strip(), "bold"))
        count = len(self._changes)
        words = "as text" if self._as_text else f"{count:,} difference{'' if count == 1 else 's'}"
        return [spread("sides", parts, [(words, "muted")], width)]


def _text(value: Any) -> str:
    return json_tree.pretty(value, limit=2_000_000)


def telling_pair(history: Sequence[CommitInfo], attempts: Sequence[AttemptSummary]) -> tuple[int, int] | None:
    """The commits of a phase's last two attempts when its newest one failed, else the last two commits."""
    seqs = sorted(item.seq for item in history)
    if len(seqs) < 2:
        return None
    last = next((item for item in history if item.seq == seqs[-1]), None)
    if last is not None and last.phase:
        same = sorted(
            attempt.seq
            for attempt in attempts
            if attempt.phase == last.phase and attempt.seq is not None and attempt.seq in seqs
        )
        if len(same) >= 2:
            return same[-2], same[-1]
    return seqs[-2], seqs[-1]
