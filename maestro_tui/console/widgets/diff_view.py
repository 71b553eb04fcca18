"""The Diff tab: what differs between two commits of the session, or two versions of one of its files."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.message import Message

from maestro_tui.console.diff_sides import Comparison, Side, commit_sides, compare, file_sides
from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.lines import Line, Part, line, shorten_middle
from maestro_tui.console.structural_diff import Change, change_lines
from maestro_tui.console.widgets.line_stack import LineStack, spread
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.errors import StoreError
from maestro_tui.model.summary import AttemptSummary
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoints import CommitInfo

NOTHING = Comparison((), ())
Pair = tuple[Hashable, int, int]
"""What the sides belong to, and the keys of the two that are compared."""


class DiffView(TellsFaults, SearchView):
    """Two sides: `[` `]` choose the older one, `{` `}` the newer one; commits, until a file is chosen."""

    DEFAULT_CSS = """
    DiffView .sides { height: auto; }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left_square_bracket", "side(0, -1)", "Older side back", show=False),
        Binding("right_square_bracket", "side(0, 1)", "Older side on", show=False),
        Binding("left_curly_bracket", "side(1, -1)", "Newer side back", show=False),
        Binding("right_curly_bracket", "side(1, 1)", "Newer side on", show=False),
        Binding("u", "text", "As text", show=False),
        Binding("o", "commits", "Commits again", show=False),
    ]

    class Found(Message):
        """A thread has found the versions of a file."""

        def __init__(self, subject: Hashable, sides: tuple[Side, ...], problem: str | None) -> None:
            super().__init__()
            self.subject = subject
            self.sides = sides
            self.problem = problem

    class Compared(Message):
        """A thread has compared two sides."""

        def __init__(self, pair: Pair, comparison: Comparison) -> None:
            super().__init__()
            self.pair = pair
            self.comparison = comparison

    def __init__(self, id: str | None = None) -> None:
        super().__init__(with_cursor=False, empty="Nothing differs.", id=id)
        self._session = ""
        self._session_dir, self._workspace = Path(), ""
        self._attempts: tuple[tuple[str, int], ...] = ()
        self._commits: tuple[Side, ...] = ()
        self._file: str | None = None
        """Path of the file whose versions are compared; None for the commits of the session."""
        self._sides: tuple[Side, ...] = ()
        self._pair: tuple[int, int] | None = None
        self._chosen = False
        """True when the operator chose the sides; else they go on with the session."""
        self._telling: tuple[int, int] | None = None
        self._compared: Pair | None = None
        self._shown = NOTHING
        self._as_text = False

    def compose(self) -> ComposeResult:
        """The two sides above the changes."""
        yield LineStack(classes="sides")
        yield from super().compose()

    @property
    def pair(self) -> tuple[int, int] | None:
        """The two commits, or the two versions of a file, that are compared."""
        return self._pair

    @property
    def changes(self) -> Sequence[Change]:
        """The differences by structure."""
        return self._shown.changes or ()

    @property
    def _subject(self) -> Hashable:
        return (self._session, self._file)

    def show(
        self,
        session_dir: Path,
        workspace: str | None,
        history: Sequence[CommitInfo],
        attempts: Sequence[AttemptSummary],
    ) -> None:
        """Shows the sides that were chosen, or else those that tell most about the session as it is."""
        if session_dir.name != self._session:
            self._session, self._session_dir, self._file = session_dir.name, session_dir, None
            self._chosen, self._pair, self._compared = False, None, None
        self._workspace = workspace or ""
        self._commits = commit_sides(history)
        self._telling = telling_pair([item for item in history if item.problem is None], attempts)
        before, self._attempts = self._attempts, tuple((one.phase, one.attempt) for one in attempts)
        if self._file is None:
            self._take(self._commits, self._telling)
        elif before != self._attempts:
            self._find()

    def choose(self, old: int, new: int) -> None:
        """Compares two commits that the operator chose."""
        if self._file is not None:
            self._file, self._sides = None, self._commits
        self._choose(old, new)

    def show_file(self, path: str) -> None:
        """Compares the versions of a file of the session, the newest two first."""
        self._file, self._chosen, self._pair = path, False, None
        self._take((), None)
        self._find()

    def action_commits(self) -> None:
        """Back from a file to the commits of the session."""
        if self._file is not None:
            self._file, self._chosen, self._pair = None, False, None
            self._take(self._commits, self._telling)

    def _find(self) -> None:
        self.run_worker(
            partial(self._find_in_thread, self._subject, self._file or "", self._attempts),
            thread=True,
            group="versions",
            exit_on_error=False,
        )

    def _find_in_thread(self, subject: Hashable, path: str, attempts: tuple[tuple[str, int], ...]) -> None:
        sides: tuple[Side, ...] = ()
        problem = None
        try:
            sides = file_sides(self._session_dir, self._workspace or None, path, attempts)
        except StoreError as error:
            problem = clean(error, 300)
        self.post_message(self.Found(subject, sides, problem))

    def on_diff_view_found(self, message: Found) -> None:
        """Shows the newest two versions, unless something else was chosen meanwhile."""
        message.stop()
        if message.subject == self._subject:
            keys = [side.key for side in message.sides]
            self._take(message.sides, (keys[-2], keys[-1]) if len(keys) > 1 else None)
            if message.problem:
                self._show_comparison(Comparison((), (), message.problem))

    def _take(self, sides: tuple[Side, ...], telling: tuple[int, int] | None) -> None:
        self._sides = sides
        if not self._chosen or self._pair is None or not set(self._pair) <= {side.key for side in sides}:
            self._pair = telling
        self._compare_if_seen()
        self._refresh_sides()

    def _choose(self, old: int, new: int) -> None:
        self._pair, self._chosen = (old, new), True
        self._compare_if_seen(force=True)
        self._refresh_sides()

    def on_show(self) -> None:
        """What has changed while the tab was hidden is compared now."""
        self._compare_if_seen()

    def _compare_if_seen(self, force: bool = False) -> None:
        if self._pair is None:
            self._compared = None
            self._show_comparison(NOTHING)
            return
        wanted = (self._subject, *self._pair)
        if wanted == self._compared or not (force or self.display):
            return
        sides = {side.key: side for side in self._sides}
        if not set(self._pair) <= set(sides):
            return
        work = partial(self._compare_in_thread, wanted, sides[self._pair[0]], sides[self._pair[1]])
        self.run_worker(work, thread=True, group="diff", exit_on_error=False)

    def _compare_in_thread(self, pair: Pair, old: Side, new: Side) -> None:
        self.post_message(self.Compared(pair, compare(old, new)))

    def on_diff_view_compared(self, message: Compared) -> None:
        """Shows the differences, unless other sides were chosen meanwhile."""
        message.stop()
        if self._pair is None or message.pair != (self._subject, *self._pair):
            return
        self._compared = message.pair
        self.rows.set_lines([], home=True)
        self._show_comparison(message.comparison)

    def _show_comparison(self, comparison: Comparison) -> None:
        self._shown = comparison
        self.refresh_lines()
        self._refresh_sides()

    def refresh_lines(self) -> None:
        """Makes the lines for the width."""
        shown = self._shown
        if shown.problem:
            self.rows.set_lines([line("problem", (shown.problem, "phase-failed"))])
        elif self._text_only:
            self.rows.set_lines(list(shown.unified))
        else:
            self.rows.set_lines(change_lines(list(shown.changes or ()), self.text_width))
        self.rows.empty = (
            "Nothing differs."
            if self._pair
            else "No other version of this file is kept; git keeps them where it is installed."
            if self._file is not None
            else "There is only one commit: nothing to compare."
        )

    @property
    def _text_only(self) -> bool:
        return self._as_text or self._shown.changes is None

    def action_text(self) -> None:
        """By structure, or as a unified diff of the text."""
        self._as_text = not self._as_text
        self.rows.set_lines([], home=True)
        self.refresh_lines()
        self._refresh_sides()

    def action_side(self, side: int, step: int) -> None:
        """Another commit or version for one side."""
        if self._pair is None:
            return
        keys = [item.key for item in self._sides]
        place = keys.index(self._pair[side]) + step
        if not 0 <= place < len(keys):
            return
        pair = [*self._pair]
        pair[side] = keys[place]
        if pair[0] < pair[1]:
            self._choose(pair[0], pair[1])

    def _refresh_sides(self) -> None:
        self.query_one(".sides", LineStack).show(self._side_lines)

    def _side_lines(self, width: int) -> list[Line]:
        lines: list[Line] = []
        if self._file is not None:
            back = "  o commits again"
            name = shorten_middle(clean(self._file, 1_000), max(8, width - len(back)))
            lines.append(spread("file", [(name, "bold")], [(back.strip(), "muted")], width))
        if self._pair is None:
            return lines
        by_key = {side.key: side.name for side in self._sides}
        word = "commit " if self._file is None and width >= 70 else ""
        parts: list[Part] = []
        for index, key in enumerate(self._pair):
            parts += [("  →  ", "muted")] if index else []
            parts.append((word + by_key.get(key, str(key)), "bold"))
        if self._shown.problem:
            words = ""
        elif self._text_only:
            words = "as text" if self._shown.unified else ""
        else:
            count = len(self.changes)
            words = f"{count:,} difference{'' if count == 1 else 's'}"
        lines.append(spread("sides", parts, [(words, "muted")], width))
        return lines


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
