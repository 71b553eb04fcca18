"""The Artifacts tab: the files of every phase beside a preview; on a narrow screen Enter opens the preview."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, ClassVar, cast

from textual import events
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.message import Message

from maestro_tui.console.faults import TellsFaults
from maestro_tui.console.highlight import preview_lines
from maestro_tui.console.lines import Line, line, shorten_middle
from maestro_tui.console.preview import Preview, file_mark, read_preview
from maestro_tui.console.record_lines import artifact_lines
from maestro_tui.console.widgets.line_stack import LineStack
from maestro_tui.console.widgets.rows_view import RowsView
from maestro_tui.console.widgets.search_view import SearchView
from maestro_tui.model.context import Artifact
from maestro_tui.model.errors import MaestroError
from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from maestro_tui.console.app import MaestroApp

BESIDE = 84
"""From this width on the preview stands beside the list."""
BELOW = 18
"""On a narrow screen, from this height on the preview stands below the list."""


class _PreviewPane(SearchView):
    """The content of the file under the cursor."""

    def __init__(self) -> None:
        super().__init__(with_cursor=False)
        self._preview: Preview | None = None
        self._path = ""

    def show(self, path: str, preview: Preview | None, *, home: bool) -> None:
        """Shows a preview; from its top when it is another file."""
        self._preview, self._path = preview, path
        self.refresh_lines(home=home)

    def refresh_lines(self, home: bool = False) -> None:
        """Makes the lines for the width."""
        preview = self._preview
        self.rows.set_lines(preview_lines(preview, self._path, self.text_width) if preview else [], home=home)


class ArtifactsView(TellsFaults, Vertical):
    """Files of the session, by phase."""

    DEFAULT_CSS = """
    ArtifactsView {
        height: 1fr;
        .both { height: 1fr; }
        .list { width: 1fr; }
        .preview { width: 1fr; display: none; }
        .title { height: auto; }
        &.-beside .list { width: 2fr; max-width: 64; }
        &.-beside .preview { display: block; width: 3fr; padding-left: 2; }
        &.-below .both { layout: vertical; }
        &.-below .list { height: 2fr; max-height: 12; }
        &.-below .preview { display: block; height: 3fr; padding-top: 1; }
        &.-reading .list { display: none; }
        &.-reading .preview { display: block; }
    }
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "back", "Back to the list", show=False),
        Binding("e", "outside('editor')", "Open in $EDITOR", show=False),
        Binding("v", "outside('pager')", "Open in $PAGER", show=False),
        Binding("d", "versions", "Versions of the file", show=False),
    ]

    class VersionsWanted(Message):
        """The versions of a file are to be compared."""

        def __init__(self, path: str) -> None:
            super().__init__()
            self.path = path

    class FileEdited(Message):
        """The operator changed a file of a phase in the editor; `size` is its bytes now."""

        def __init__(self, artifact: Artifact, size: int) -> None:
            super().__init__()
            self.artifact = artifact
            self.size = size

    class Read(Message):
        """A thread has read the file under the cursor."""

        def __init__(self, key: Hashable, preview: Preview) -> None:
            super().__init__()
            self.key = key
            self.preview = preview

    def __init__(self, id: str | None = None) -> None:
        super().__init__(id=id)
        self._artifacts: Sequence[Artifact] = ()
        self._missing: Mapping[str, Sequence[str]] = {}
        self._workspace: str | None = None
        self._session = ""
        self._shown: Artifact | None = None
        self._preview: Preview | None = None

    def compose(self) -> ComposeResult:
        """The list and the preview."""
        with Horizontal(classes="both"):
            yield RowsView(empty="No file was made yet.", classes="list")
            with Vertical(classes="preview"):
                yield LineStack(classes="title")
                yield _PreviewPane()

    @property
    def files(self) -> RowsView:
        """The list."""
        return self.query_one(".list", RowsView)

    def show(
        self,
        session: str,
        workspace: str | None,
        artifacts: Sequence[Artifact],
        missing: Mapping[str, Sequence[str]],
    ) -> None:
        """Shows the files of a session; cursor and preview stay on their file."""
        other = session != self._session
        changed = (workspace, artifacts, missing) != (self._workspace, self._artifacts, self._missing)
        self._session, self._workspace = session, workspace
        self._artifacts, self._missing = artifacts, missing
        if other:
            self.remove_class("-reading")
            self._shown = self._preview = None
        self._refresh_list(home=other)
        if changed or other:
            self._read()

    def _refresh_list(self, home: bool = False) -> None:
        width = self.files.size.width or self.size.width or 60
        self.files.set_lines(artifact_lines(self._artifacts, self._missing, width - 1), home=home)
        if home and len(self.files.lines) > 1:
            self.files.cursor = 1

    def on_resize(self, event: events.Resize) -> None:
        """The preview stands beside or below the list when there is room."""
        beside = event.size.width >= BESIDE
        below = not beside and event.size.height >= BELOW
        self.set_class(beside, "-beside")
        self.set_class(below, "-below")
        if beside or below:
            self.remove_class("-reading")
        self.call_after_refresh(self._refresh_list)

    # -- the preview

    def _under_cursor(self) -> Artifact | None:
        key = self.files.cursor_key
        return next((item for item in self._artifacts if (item.phase, "file", item.path) == key), None)

    def on_rows_view_moved(self, message: RowsView.Moved) -> None:
        """Another file is under the cursor."""
        if message.view is self.files:
            message.stop()
            self._read()

    def on_rows_view_chosen(self, message: RowsView.Chosen) -> None:
        """Opens the preview."""
        if message.view is self.files:
            message.stop()
            if self._under_cursor() is not None:
                if not (self.has_class("-beside") or self.has_class("-below")):
                    self.add_class("-reading")
                self.screen.set_focus(self.query_one(_PreviewPane).rows)

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """Escape goes back to the list from the preview; else it belongs to the screen."""
        return not self.files.has_focus if action == "back" else True

    def action_outside(self, kind: str) -> None:
        """Open the file under the cursor in the operator's editor or pager."""
        from maestro_tui.console.shell_out import open_in_editor, open_in_pager

        artifact, app = self._under_cursor(), cast("MaestroApp", self.app)
        if artifact is None:
            return
        if kind == "editor" and app.read_only:
            app.say("This console only reads; v shows the file in the pager.", severity="warning")
            return
        before = file_mark(self._workspace, artifact.path)
        try:
            (open_in_editor if kind == "editor" else open_in_pager)(app, self._workspace, artifact.path)
        except MaestroError as error:
            app.say(clean(error, 400), severity="warning")
        self._read()
        after = file_mark(self._workspace, artifact.path)
        if kind == "editor" and after is not None and after != before:
            self.post_message(self.FileEdited(artifact, after[0]))

    def action_versions(self) -> None:
        """Compare what the file under the cursor was at each attempt."""
        artifact = self._under_cursor()
        if artifact is not None:
            self.post_message(self.VersionsWanted(artifact.path))

    def action_back(self) -> None:
        """From the preview to the list."""
        self.remove_class("-reading")
        self.screen.set_focus(self.files)

    def _read(self) -> None:
        artifact = self._under_cursor()
        if artifact is None:
            self._shown = self._preview = None
            self._show_preview(home=True)
            return
        work = partial(self._read_in_thread, artifact, self._workspace)
        self.run_worker(work, thread=True, group="preview", exit_on_error=False)

    def _read_in_thread(self, artifact: Artifact, workspace: str | None) -> None:
        preview = read_preview(workspace, artifact.path, artifact.size, artifact.sha256, artifact.change)
        self.post_message(self.Read(artifact, preview))

    def on_artifacts_view_read(self, message: Read) -> None:
        """Shows what was read, unless the cursor has gone on."""
        message.stop()
        artifact = self._under_cursor()
        if artifact is None or artifact != message.key:
            return
        home = self._shown is None or (self._shown.phase, self._shown.path) != (artifact.phase, artifact.path)
        if not home and message.preview == self._preview:
            return
        self._shown, self._preview = artifact, message.preview
        self._show_preview(home=home)

    def _show_preview(self, *, home: bool) -> None:
        self.query_one(".title", LineStack).show(self._title)
        path = self._shown.path if self._shown is not None else ""
        self.query_one(_PreviewPane).show(path, self._preview, home=home)

    def _title(self, width: int) -> list[Line]:
        if self._shown is None or self._preview is None:
            return []
        return [
            line("path", (shorten_middle(clean(self._shown.path, 1_000), width), "bold")),
            line("facts", (self._preview.facts, "muted")),
        ]
