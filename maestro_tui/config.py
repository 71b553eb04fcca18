"""Finds the workflow to run, and remembers which workflows the operator trusts to start commands."""

from __future__ import annotations

import json
import os
import traceback
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path

from maestro_tui.model.errors import InputError, MaestroError, StoreError, WorkflowError
from maestro_tui.model.sdlc import STANDARD, sdlc
from maestro_tui.model.text import clean
from maestro_tui.model.workflow import WORKFLOW_FILE, Workflow
from maestro_tui.store import durable
from maestro_tui.store.redaction import Redactor

_TRUST_LIMIT = 4_000_000


class UntrustedWorkflow(InputError):
    """A workflow names commands, and nobody has approved this exact content yet."""

    def __init__(self, workflow: Workflow, source: str) -> None:
        self.workflow = workflow
        self.commands = workflow.commands
        self.content_hash = workflow.content_hash()
        self.source = source
        count = len(self.commands)
        super().__init__(
            f"{source} would start {count} command{'s' if count != 1 else ''} on this computer and is not "
            "trusted yet; nothing was run. Read it, then approve it on a terminal, or pass --trust."
        )


def find_workflow(named: str | None, workspace: Path) -> tuple[Workflow, Path | None]:
    """The workflow to run and the file it came from.

    `named` is `sdlc`, a file, or None: then `maestro.toml` in the workspace if there is one, else `sdlc`.
    Raises `WorkflowError`.
    """
    if named == STANDARD:
        return sdlc(), None
    if not named:
        own = workspace / WORKFLOW_FILE
        return (Workflow.load(own), own.resolve()) if own.is_file() else (sdlc(), None)
    path = Path(named).expanduser()
    if path.is_dir() and (path / WORKFLOW_FILE).is_file():
        path = path / WORKFLOW_FILE
    if not path.is_file() and not path.suffix and os.sep not in named:
        raise WorkflowError(
            f"There is no workflow called {clean(named, 80)!r} and no file of that name; "
            f"name {STANDARD!r} or a TOML file. Nothing was run."
        )
    return Workflow.load(path), path.resolve()


def named_from_here(workflow: Workflow | str | Path | None) -> Workflow | str | None:
    """A workflow as it was named, a file by its absolute path: the current folder may change later."""
    if workflow is None or isinstance(workflow, Workflow) or workflow == STANDARD:
        return workflow or None
    path = Path(workflow).expanduser()
    is_file = path.suffix or os.sep in str(workflow) or path.exists()
    return str(path.absolute()) if is_file else str(workflow)


def state_dir(environ: Mapping[str, str] | None = None) -> Path:
    """Where this user's own state lies: `$XDG_STATE_HOME/maestro-tui`, else `~/.local/state/maestro-tui`.

    Raises `InputError` for a user without a home folder.
    """
    env = os.environ if environ is None else environ
    base = env.get("XDG_STATE_HOME")
    try:
        return (Path(base) if base else Path.home() / ".local" / "state") / "maestro-tui"
    except RuntimeError:
        raise InputError(
            "This user has no home folder, so there is no place for approvals: set HOME or XDG_STATE_HOME. Nothing "
            "was run."
        ) from None


def write_crash(error: BaseException) -> str:
    """Write a fault's traceback to a file, without secrets; where it is, as the end of a sentence."""
    redactor = Redactor()
    try:
        path = state_dir() / "crash.log"
        durable.make_dir(path.parent)
        told = redactor.text("".join(traceback.format_exception(error)))
        durable.replace(path, told.encode("utf-8", "replace"))
    except (MaestroError, OSError):
        return f"it says: {clean(redactor.text(str(error)), 300)}"
    return f"details are in {durable.shown(path)}"


class TrustBook:
    """The workflows that the operator approved, by the hash of their whole content."""

    def __init__(self, path: Path | None = None) -> None:
        self._path = path

    @property
    def path(self) -> Path:
        """Its file. Raises `InputError` for a user without a home folder."""
        return self._path or state_dir() / "trusted.json"

    def trusts(self, workflow: Workflow) -> bool:
        """True when the workflow starts no commands, or its exact content was approved before."""
        return not workflow.commands or workflow.content_hash() in self._read()

    def remember(self, workflow: Workflow, source: str) -> None:
        """Record the approval. Raises `StoreError` when it cannot be written."""
        entries = self._read()
        entries[workflow.content_hash()] = {
            "workflow": workflow.name,
            "source": source,
            "at": datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z"),
        }
        durable.make_dir(self.path.parent)
        durable.replace(self.path, (json.dumps(entries, indent=2) + "\n").encode())

    def require(self, workflow: Workflow, source: str, *, trust: bool = False) -> None:
        """Pass when trusted; with `trust`, approve it now and remember. Raises `UntrustedWorkflow`."""
        if self.trusts(workflow):
            return
        if not trust:
            raise UntrustedWorkflow(workflow, clean(source, 300))
        self.remember(workflow, source)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            data = json.loads(durable.read_regular(self.path, _TRUST_LIMIT))
        except FileNotFoundError:
            return {}
        except (StoreError, ValueError, RecursionError):
            # An unreadable book trusts nothing: the operator is asked again.
            return {}
        return data if isinstance(data, dict) else {}
