"""Decides whether a persona's finished work of an earlier attempt still stands, and keeps what finishes now."""

from __future__ import annotations

import hashlib
import json
import posixpath
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from maestro_tui.engine.attempt import Attempt
from maestro_tui.engine.blueprints import Blueprint
from maestro_tui.engine.persona_port import PhaseSink
from maestro_tui.model.context import Decision, Usage
from maestro_tui.model.persona import Persona
from maestro_tui.model.text import clean
from maestro_tui.performers.port import PerformerResult
from maestro_tui.performers.toolbox.catalogue import CATALOGUE
from maestro_tui.store.receipts import Receipt, load_receipt, save_receipt
from maestro_tui.store.workspace import FileChange, Tree

PAID = frozenset(["agent_cli", "acp", "llm", "hive"])
"""Performers that cost money or much time: their work is kept even when they work alone."""
FILES_LIMIT = 50_000
REDONE_KINDS = frozenset(["gate", "contract", "rejected"])
"""Errors after which every persona works again: the work itself was not good enough."""

_POLICY = {
    "budget",
    "timeout_seconds",
    "retries",
    "retry_delay_seconds",
    "breaker",
    "max_iterations",
    "limits",
    "approval",
    "personas",
}
"""What says how much a phase may take, how it is judged, and who else works on it: not what there is to do. The
threshold is not among them: performers are told of it."""


@dataclass(frozen=True, slots=True)
class Reused:
    """A result that need not be done again, and what it left in the workspace."""

    result: PerformerResult
    left: tuple[FileChange, ...]


class Receipts:
    """Belongs to one attempt. Methods block on the disk: call them off the event loop."""

    def __init__(self, attempt: Attempt, blueprint: Blueprint, before: Tree, sink: PhaseSink) -> None:
        self._attempt, self._blueprint, self._sink = attempt, blueprint, sink
        self._tree = before
        self._why: dict[tuple[str, str], str] = {}

    def find(self, persona: Persona, step: str, context: Mapping[str, Any]) -> Reused | None:
        """The step's result of the attempt that was broken off, if all that it rests on is as it was."""
        number = self._attempt.reusable
        if number is None or not self.kept(persona):
            return None
        receipt = load_receipt(
            self._attempt.session_dir, self._attempt.phase.name, number, persona.name, step
        )
        if receipt is None:
            return None
        why = self._changed(receipt, self._given(persona, step, context))
        result = _result(receipt.result) if why is None else None
        if result is None:
            self._why[persona.name, step] = why or "its receipt cannot be read"
            return None
        save_receipt(self._attempt.session_dir, replace(receipt, attempt=self._attempt.number))
        self._sink.event(
            "persona_reused",
            persona=persona.name,
            step=step,
            from_attempt=number,
            summary=clean(result.summary, 400),
        )
        self._sink.line(
            persona.name, "engine", f"finished in attempt {number}; its work stands and is not done again"
        )
        return Reused(result, tuple(receipt.left))

    def why_again(self, persona: Persona, step: str) -> dict[str, str]:
        """Why a step that had finished is done again, for the event of its start."""
        why = self._why.get((persona.name, step))
        return {"reason": f"its work of attempt {self._attempt.reusable} is not reused: {why}"} if why else {}

    def write(
        self,
        persona: Persona,
        step: str,
        context: Mapping[str, Any],
        result: PerformerResult,
        folder: str | None,
    ) -> tuple[str, ...]:
        """Keep a finished step; the paths of the files that it left. Raises `StoreError`."""
        if not self.kept(persona):
            return ()
        attempt = self._attempt
        before = self._tree
        after = attempt.workspace.snapshot(f"{attempt.phase.name}/{attempt.number}/by/{persona.name}/{step}")
        changes = attempt.workspace.changes(before, after)
        areas: tuple[str, ...] = ()
        stray: list[str] = []
        if folder is None:
            self._tree = after
        else:
            areas = self._areas(folder.rpartition("/")[0])
            stray = [one.path for one in changes if not one.path.startswith(areas)]
            changes = [one for one in changes if one.path.startswith(f"{folder}/")]
        if stray:
            # Which of those who work side by side wrote it cannot be measured, so nobody's work can be said to stand.
            more = f" and {len(stray) - 1} more" if len(stray) > 1 else ""
            self._sink.line(
                persona.name,
                "engine",
                f"{clean(stray[0], 200)}{more} changed outside the folders of those who work side by side, by this "
                "persona or another one; its work will not be reused",
            )
        touched = {one.path for one in changes}
        untouched = {
            path: state.sha256
            for path, state in before.files.items()
            if path not in touched and not path.startswith(areas)
        }
        if len(untouched) <= FILES_LIMIT and result.failure is None and not stray:
            save_receipt(
                attempt.session_dir,
                Receipt(
                    phase=attempt.phase.name,
                    attempt=attempt.number,
                    persona=persona.name,
                    step=step,
                    given=self._given(persona, step, context),
                    untouched=untouched,
                    left=changes,
                    result=attempt.redactor.data(_as_json(result)),
                ),
            )
        return tuple(one.path for one in changes)

    def kept(self, persona: Persona) -> bool:
        """True when its steps get receipts: several work on the phase, or its work costs money.

        Not for a tool beside others: it costs nothing, and has its folder by what it does, not by its persona.
        """
        if self._blueprint.mode == "parallel" and persona.performer == "toolbox":
            return False
        return len(self._blueprint.personas) > 1 or persona.performer in PAID

    def _areas(self, shared: str) -> tuple[str, ...]:
        """The beginnings of paths where those who work side by side may write."""
        folders = {
            posixpath.dirname(path)
            for tool in CATALOGUE
            for path in tool.deliverables
            if any(one.performer == "toolbox" and one.name == tool.name for one in self._blueprint.personas)
        }
        folders |= {f"{shared}/{one.name}" for one in self._blueprint.personas}
        return tuple(f"{folder}/" for folder in folders)

    def _given(self, persona: Persona, step: str, context: Mapping[str, Any]) -> str:
        shown = {key: value for key, value in context.items() if key != "attempt"}
        feedback = shown.get("feedback")
        if isinstance(feedback, Mapping) and feedback.get("kind") not in (None, *REDONE_KINDS):
            # That the attempt was broken off or the network failed does not change what there was to do.
            del shown["feedback"]
        data = {
            "persona": persona.model_dump(mode="json", exclude_defaults=True, exclude=_POLICY),
            "phase": self._attempt.phase.model_dump(mode="json", exclude_defaults=True, exclude=_POLICY),
            "step": step,
            # Without its secrets, as a receipt holds it: what was reused must not look like something else.
            "context": self._attempt.redactor.data(shown),
        }
        text = json.dumps(data, sort_keys=True, separators=(",", ":"), ensure_ascii=True)
        return hashlib.sha256(text.encode()).hexdigest()

    def _changed(self, receipt: Receipt, given: str) -> str | None:
        if receipt.given != given:
            return "what it is given is not what it was given then"
        files = self._tree.files
        for one in receipt.left:
            now = files[one.path].sha256 if one.path in files else None
            if now != (None if one.change == "deleted" else one.sha256):
                return f"its file {clean(one.path, 120)} is not as it left it"
        for path, sha256 in receipt.untouched.items():
            if path not in files or files[path].sha256 != sha256:
                return f"the file {clean(path, 120)} is not as it found it"
        return None


def with_reused(changes: Sequence[FileChange], reused: Mapping[str, FileChange]) -> list[FileChange]:
    """An attempt's changes by path, with those of work that was reused: it was there before the attempt began."""
    found = {**reused, **{one.path: one for one in changes}}
    for path in [one.path for one in changes if one.path in reused]:
        earlier, now = reused[path].change, found[path]
        if earlier == "new" and now.change == "deleted":
            del found[path]
        elif earlier == "new" or now.change == "new":
            found[path] = replace(now, change="new" if earlier == "new" else "changed")
    return [found[path] for path in sorted(found)]


def _as_json(result: PerformerResult) -> dict[str, Any]:
    return {
        "outputs": dict(result.outputs),
        "decisions": [one.model_dump(mode="json") for one in result.decisions],
        "metrics": dict(result.metrics),
        "summary": result.summary,
        "usage": result.usage.model_dump(mode="json"),
    }


def _result(data: Mapping[str, Any]) -> PerformerResult | None:
    try:
        return PerformerResult(
            outputs=dict(data["outputs"]),
            decisions=tuple(Decision.model_validate(one) for one in data["decisions"]),
            metrics=dict(data["metrics"]),
            summary=str(data["summary"]),
            usage=Usage.model_validate(data["usage"]),
        )
    except (LookupError, TypeError, ValueError):
        return None
