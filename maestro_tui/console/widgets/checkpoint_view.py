"""The Checkpoint tab: a commit's JSON as a tree with search, how intact it is, and all commits of the session."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from maestro_tui.console import json_tree
from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.json_file import read_json
from maestro_tui.console.json_tree import NodePath
from maestro_tui.console.lines import Line, Part, line, short
from maestro_tui.console.record_lines import history_lines
from maestro_tui.console.widgets.line_stack import LineStack
from maestro_tui.console.widgets.rows_view import RowsView
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.text import clean
from maestro_tui.store.checkpoints import CommitInfo

BESIDE = 100
"""From this width on the commits stand beside the tree."""
OPEN_AT_FIRST: frozenset[NodePath] = frozenset([("context",), ("context", "phase_results")])


class _Tree(SearchView):
    """The tree; search finds what is folded away too and opens it."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("space", "flip", "Open or close", show=False),
        Binding("right,l", "unfold", "Open", show=False),
        Binding("left,h", "fold", "Close", show=False),
        Binding("n", "next_found(1)", "Next match", show=False),
        Binding("N", "next_found(-1)", "Previous match", show=False),
    ]

    def __init__(self) -> None:
        super().__init__(with_cursor=True, empty="Nothing is committed yet.")
        self.root: Any = None
        self.opened = OPEN_AT_FIRST
        self.found: list[NodePath] = []
        self._at = -1

    def show(self, root: Any) -> None:
        """Shows another value; what is open stays open."""
        self.root = root
        self.refresh_lines()
        if self.query_text:
            self.found = json_tree.find(root, self.query_text)

    def refresh_lines(self) -> None:
        """Makes the lines of the open part."""
        if self.root is not None:
            self.rows.set_lines(json_tree.tree_lines(self.root, self.opened))
        else:
            self.rows.set_lines([])

    def find(self, query: str) -> int:
        """Looks in all keys and values, and goes to the first."""
        self.found = json_tree.find(self.root, query) if query else []
        self._at = -1
        self.rows.search(query)
        if self.found:
            self.action_next_found(1)
        return len(self.found)

    def foot_line(self, width: int) -> list[Line]:
        """What the foot says."""
        if not self.query_text:
            return []
        query = f"“{clean(self.query_text, 40)}”"
        if not self.found:
            return [line("foot", (f"{query} not found", "accent-text"))]
        path = self.found[self._at] if self._at >= 0 else ()
        place = ".".join(clean(step, 80) for step in path)
        words = f"{query} {self._at + 1} of {len(self.found)}"
        return [line("foot", (words, "accent-text"), (short(f"  {place}", width - len(words)), "muted"))]

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """`n` belongs to the search only while there is one."""
        if action == "next_found":
            return bool(self.found)
        return super().check_action(action, parameters)

    def action_next_found(self, step: int) -> None:
        """Goes to the next or previous match and opens what hides it."""
        self._at = (self._at + step) % len(self.found)
        path = self.found[self._at]
        self.opened |= json_tree.ancestors(path)
        self.refresh_lines()
        self.rows.move_to(path, center=True)
        self.refresh_foot()

    def _path(self) -> NodePath | None:
        return cast("NodePath | None", self.rows.cursor_key)

    def on_rows_view_chosen(self, message: RowsView.Chosen) -> None:
        """Enter opens or closes."""
        message.stop()
        self.action_flip()

    def action_flip(self) -> None:
        """Opens or closes the node under the cursor."""
        path = self._path()
        if path is not None:
            self._set_open(path, path not in self.opened)

    def action_unfold(self) -> None:
        """Opens the node, or goes to its first child."""
        path = self._path()
        if path is None:
            return
        if path in self.opened:
            self.rows.action_move(1)
        else:
            self._set_open(path, True)

    def action_fold(self) -> None:
        """Closes the node, or goes to its parent."""
        path = self._path()
        if path is None:
            return
        if path in self.opened:
            self._set_open(path, False)
        elif len(path) > 1:
            self.rows.move_to(path[:-1])

    def _set_open(self, path: NodePath, is_open: bool) -> None:
        self.opened = self.opened | {path} if is_open else self.opened - {path}
        self.refresh_lines()


class CheckpointView(TellsFaults, Vertical):
    """The newest commit, or the one that was chosen from the list."""

    DEFAULT_CSS = """
    CheckpointView {
        height: 1fr;
        .integrity { height: auto; }
        .both { height: 1fr; }
        .tree { width: 1fr; height: 1fr; }
        .commits { width: 1fr; display: none; }
        &.-listing .commits { display: block; }
        &.-listing .tree { display: none; }
        &.-beside .commits { display: block; width: 42; padding-right: 2; }
        &.-beside .tree { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("c", "commits", "Commits", show=False),
        Binding("m", "mark", "Mark for diff", show=False),
        Binding("d", "diff", "Diff", show=False),
    ]

    class Read(Message):
        """A thread has read a commit."""

        def __init__(self, session: str, seq: int, value: Any, problem: str | None) -> None:
            super().__init__()
            self.session = session
            self.seq = seq
            self.value = value
            self.problem = problem

    class DiffWanted(Message):
        """Compare these two commits."""

        def __init__(self, old: int, new: int) -> None:
            super().__init__()
            self.old = old
            self.new = new

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._session = ""
        self._head: Any = None
        self._history: Sequence[CommitInfo] = ()
        self._damage: Sequence[str] = ()
        self._chosen: int | None = None
        """The commit that is shown; None for the newest."""
        self._problem: str | None = None
        self._marked: int | None = None

    def compose(self) -> ComposeResult:
        """Integrity, commits, tree."""
        yield LineStack(classes="integrity")
        with Horizontal(classes="both"):
            yield RowsView(empty="No commit yet.", classes="commits")
            with Vertical(classes="tree"):
                yield _Tree()

    @property
    def commits(self) -> RowsView:
        """The list of commits."""
        return self.query_one(".commits", RowsView)

    @property
    def shown(self) -> _Tree:
        """The tree of the commit that is shown."""
        return self.query_one(_Tree)

    @property
    def shown_seq(self) -> int | None:
        """Number of the commit whose tree is shown."""
        if self._chosen is not None:
            return self._chosen
        return max((commit.seq for commit in self._history if commit.problem is None), default=None)

    def show(self, session: str, head: Any, history: Sequence[CommitInfo], damage: Sequence[str]) -> None:
        """Shows the session's commits; a chosen one stays, the newest goes on with the session."""
        if session != self._session:
            self._session, self._chosen, self._marked, self._problem = session, None, None, None
            self.shown.opened = OPEN_AT_FIRST
            self.remove_class("-listing")
        self._head, self._history, self._damage = head, tuple(history), tuple(damage)
        self._list()
        if self._chosen is None:
            self.shown.show(head)
        self.query_one(".integrity", LineStack).show(self._integrity)

    def _list(self) -> None:
        rows = history_lines(self._history)
        marked = [
            Line(row.key, (("◆" if row.key == self._marked else " ", "accent-text"), *row.parts))
            for row in rows
        ]
        self.commits.set_lines(marked)

    def on_resize(self, event: events.Resize) -> None:
        """The commits stand beside the tree when there is room."""
        self.set_class(event.size.width >= BESIDE, "-beside")

    def _integrity(self, width: int) -> list[Line]:
        seq = self.shown_seq
        commit = next((item for item in self._history if item.seq == seq), None)
        broken = [item for item in self._history if item.problem]
        if commit is None:
            return []
        words: list[Part] = [(f"commit {commit.seq}", "bold")]
        if width >= 70:
            words.append((f"  sha256 {clean(commit.sha256 or '', 64)[:16]}…", "muted"))
        count = len(self._history)
        if self._head and "sha256" not in self._head:
            # Another system's files have no digest of their own that could be right or wrong.
            words.append((f"  read only, {count} file{'' if count == 1 else 's'} without a digest", "muted"))
        elif not broken:
            words.append(("  ✓ ", "phase-completed"))
            words.append((f"digest and chain intact, {count} commit{'' if count == 1 else 's'}", "muted"))
        else:
            words.append(("  ✗ ", "phase-failed"))
            words.append((short(clean(broken[0].problem or "", 400), max(10, width - 44)), ""))
        lines = [Line("integrity", tuple(words))]
        if self._problem:
            lines.append(line("problem", (self._problem, "phase-failed")))
        return lines

    # -- commits

    def action_commits(self) -> None:
        """Shows or hides the list of commits; beside the tree it only takes the focus."""
        if self.has_class("-beside"):
            self.screen.set_focus(self.shown.rows if self.commits.has_focus else self.commits)
            return
        self.toggle_class("-listing")
        self.screen.set_focus(self.commits if self.has_class("-listing") else self.shown.rows)

    def on_rows_view_chosen(self, message: RowsView.Chosen) -> None:
        """Shows the commit's tree."""
        if message.view is self.commits:
            message.stop()
            self._open(message.key)

    def _open(self, key: Hashable) -> None:
        commit = next((item for item in self._history if item.seq == key), None)
        if commit is None:
            return
        self.remove_class("-listing")
        self.screen.set_focus(self.shown.rows)
        if commit.seq == max(item.seq for item in self._history) and commit.problem is None:
            self._chosen = None
            self._problem = None
            self.shown.show(self._head)
            self.query_one(".integrity", LineStack).show(self._integrity)
            return
        work = partial(self._read_in_thread, self._session, commit.seq, Path(commit.path))
        self.run_worker(work, thread=True, group="commit", exit_on_error=False)

    def _read_in_thread(self, session: str, seq: int, path: Path) -> None:
        value, problem = read_json(path)
        self.post_message(self.Read(session, seq, value, problem))

    def on_checkpoint_view_read(self, message: Read) -> None:
        """Shows what was read."""
        message.stop()
        if message.session != self._session:
            return
        self._chosen, self._problem = message.seq, message.problem
        self.shown.show(message.value)
        self.query_one(".integrity", LineStack).show(self._integrity)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Marking needs the list of commits under the hands."""
        return self.commits.has_focus if action == "mark" else True

    def action_mark(self) -> None:
        """Marks the commit under the cursor as the older side of a diff."""
        key = self.commits.cursor_key
        self._marked = None if key == self._marked else cast("int | None", key)
        self._list()

    def action_diff(self) -> None:
        """Compares the commit under the cursor (or the one shown) with the marked one, or the one before."""
        key = self.commits.cursor_key if self.commits.has_focus else self.shown_seq
        if not isinstance(key, int):
            return
        earlier = [item.seq for item in self._history if item.seq < key]
        old = self._marked if self._marked is not None else max(earlier, default=None)
        if old is not None and old != key:
            self.post_message(self.DiffWanted(min(old, key), max(old, key)))
