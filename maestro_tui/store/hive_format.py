"""Reads one file of Maestro Hive: a v1.0 checkpoint, one of two synthetic forms, or a session file. Never writes.

What a file is, its content says, not its name. What their own loader would refuse and can be read all the same is
read, with a note; what cannot be read raises `DamagedFile`, one line. Times without a zone are UTC or local as
their writer meant them; local is this computer's zone.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.text import clean, encodable
from maestro_tui.store.durable import read_regular

HIVE = "hive 1.0"
"""What `SessionSummary.foreign` says of such history."""
VERSION = "1.0"
PHASES = ("requirements", "design", "implementation", "testing", "deployment")
THRESHOLDS = dict(zip(PHASES, (0.75, 0.80, 0.70, 0.85, 0.90), strict=True))
"""Their quality gates: where no file tells whether a phase passed its gate, its score decides."""
EXPORTED = "maestro_tui"
"""Key in `workflow_context.metadata` of what our exports say beyond their format."""
SIZE_LIMIT = 64_000_000
DEPTH_LIMIT = 150
_DIGITS_LIMIT = 4_000
_NAME_LIMIT = 200
_LIGHT_REQUIREMENT = 2_000
_TOP = ("checkpoint_metadata", "workflow_context", "team_execution_state")
_METADATA = frozenset(
    """version created_at workflow_id phase_completed awaiting_phase checkpoint_type awaiting_human_review
    human_edits_applied quality_gate_passed quality_score""".split()
)
_SYNTHETIC = frozenset("synthetic synthetic_source external_data_keys checkpoint_path".split())
_KINDS = frozenset("phase_boundary human_review error_recovery batch_complete".split())
_STATUSES = {
    "completed": "completed",
    "failed": "failed",
    "skipped": "skipped",
    "pending": "pending",
    "in_progress": "pending",
}

Kind = Literal["checkpoint", "synthetic", "injected", "session"]


class NotHive(Exception):
    """It is JSON of somebody else's."""


@dataclass(frozen=True, slots=True)
class HivePhase:
    """One phase as a file tells it. Names and texts are as they came."""

    name: str
    status: str
    """`completed`, `failed`, `skipped` or `pending`."""
    outputs: Mapping[str, Any] = field(default_factory=dict)
    started_at: datetime | None = None
    finished_at: datetime | None = None
    duration: float | None = None
    """Seconds."""
    error: str | None = None
    personas: tuple[str, ...] = ()
    quality: float | None = None
    """Their score from 0 to 1; an opinion, for nothing of it was measured here."""
    gate_passed: bool | None = None
    """Whether it passed its gate, where the file was written by us."""


@dataclass(frozen=True, slots=True)
class HiveFile:
    """One file. `data` is all of it as JSON values, where NaN and infinities have become null."""

    path: Path
    kind: Kind
    workflow_id: str
    requirement: str
    phases: tuple[HivePhase, ...]
    """In the order of their first execution."""
    sha256: str
    size: int
    written_at: float
    """Time of the file's last change, seconds since the epoch."""
    created_at: datetime | None = None
    """When its run began, not the file: the same in all files of a run."""
    completed: str | None = None
    """The phase that was executed last, failed or not."""
    gate_passed: bool | None = None
    """Whether that phase passed its quality gate; None when the file does not say."""
    awaiting_review: bool = False
    edits: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Phase → outputs that a person set."""
    notes: tuple[str, ...] = ()
    """What is odd about it and did no harm, one clean line each."""
    data: Mapping[str, Any] = field(default_factory=dict)

    def light(self) -> HiveFile:
        """The same without what is large: what a list of thousands can keep."""
        return replace(
            self,
            requirement=self.requirement[:_LIGHT_REQUIREMENT],
            phases=tuple(replace(phase, outputs={}) for phase in self.phases),
            edits={name: {} for name in self.edits},
            data={},
        )


def read_hive(path: Path) -> HiveFile:
    """The file's content. Raises `NotHive`, `DamagedFile` (one line: name and reason), `FileNotFoundError`."""
    raw = read_regular(path, SIZE_LIMIT)
    name = clean(path.name, _NAME_LIMIT)
    try:
        value, lost = _parse(raw)
        return _understood(path, raw, value, lost)
    except _Wrong as error:
        raise DamagedFile(f"{name}: {error}") from error


class _Wrong(Exception):
    """Why a file cannot be used, as the end of a sentence."""


# ── JSON ──────────────────────────────────────────────────────────────────────────────────────────────────


def _parse(raw: bytes) -> tuple[Any, int]:
    """The value, and how many numbers in it were none."""
    if not raw.strip():
        raise _Wrong("it is empty")
    if raw.startswith(b"\xef\xbb\xbf"):
        raise _Wrong("it begins with a byte order mark, which Maestro Hive refuses as well")
    try:
        value = json.loads(raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise _Wrong(f"it is not UTF-8 text (byte {error.start})") from error
    except RecursionError as error:
        raise _Wrong("it is nested too deeply") from error
    except json.JSONDecodeError as error:
        where = "it is no JSON" if raw.rstrip().endswith((b"}", b"]")) else "it breaks off"
        raise _Wrong(f"{where} (line {error.lineno}: {clean(error.msg, 80)})") from error
    except ValueError as error:
        raise _Wrong(f"it is no JSON ({clean(error, 120)})") from error
    lost = [0]
    return _plain(value, 0, lost), lost[0]


def _plain(value: Any, depth: int, lost: list[int]) -> Any:
    if depth > DEPTH_LIMIT:
        raise _Wrong(f"it is nested deeper than {DEPTH_LIMIT} levels")
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {encodable(key): _plain(item, depth + 1, lost) for key, item in value.items()}
    if isinstance(value, list):
        return [_plain(item, depth + 1, lost) for item in value]
    if isinstance(value, float) and not math.isfinite(value):
        lost[0] += 1
        return None
    if isinstance(value, int) and value.bit_length() > _DIGITS_LIMIT * 3:
        raise _Wrong("it holds a number of too many digits")
    return value


# ── What it is ────────────────────────────────────────────────────────────────────────────────────────────


def _understood(path: Path, raw: bytes, value: Any, lost: int) -> HiveFile:
    if not isinstance(value, dict):
        raise _Wrong(f"it holds {_kind_of(value)}, where an object was expected")
    facts = {
        "path": path,
        "sha256": hashlib.sha256(raw).hexdigest(),
        "size": len(raw),
        "written_at": os.stat(path).st_mtime,  # noqa: PTH116
        "data": value,
    }
    if any(key in value for key in _TOP):
        found = _checkpoint(value, facts)
    elif "injected_phases" in value:
        found = _injected(value, facts)
    elif "session_id" in value and ("completed_personas" in value or "files_registry" in value):
        found = _session(value, facts)
    else:
        raise NotHive
    if lost:
        note = f"NaN or infinite, so not measured: {lost} of its numbers"
        found = replace(found, notes=(*found.notes, note))
    return found


def _checkpoint(value: Mapping[str, Any], facts: dict[str, Any]) -> HiveFile:
    for key in _TOP:
        if key not in value:
            raise _Wrong(f"{key!r} is missing")
        if not isinstance(value[key], dict):
            raise _Wrong(f"{key!r} is {_kind_of(value[key])}, where an object was expected")
    metadata, context, state = (value[key] for key in _TOP)
    version = metadata.get("version")
    if version != VERSION:
        raise _Wrong(f"its version is {clean(version, 40)!r}; {VERSION!r} is read")
    workflow_id = _text(metadata, "workflow_id") or _text(context, "workflow_id")
    if not workflow_id:
        raise _Wrong("'workflow_id' is missing or empty")
    notes = list(_metadata_notes(metadata))
    if _text(context, "workflow_id") not in (None, workflow_id):
        notes.append("its two parts name different workflows; that of the metadata counts")
    scores = state.get("quality_metrics")
    phases = _phases(context, scores if isinstance(scores, dict) else {}, notes)
    passed = metadata.get("quality_gate_passed")
    first = context.get("metadata")
    phases = tuple(_with_gates(phases, first))
    return HiveFile(
        kind="synthetic" if metadata.get("synthetic") is True else "checkpoint",
        workflow_id=workflow_id,
        requirement=(_text(first, "initial_requirement") if isinstance(first, dict) else None) or "",
        phases=phases,
        created_at=_moment(metadata.get("created_at"), utc=True),
        completed=_text(metadata, "phase_completed"),
        gate_passed=passed if isinstance(passed, bool) else None,
        awaiting_review=metadata.get("awaiting_human_review") is True
        or context.get("awaiting_human_review") is True,
        edits=_edits(context.get("human_edits")),
        notes=tuple(notes),
        **facts,
    )


def _metadata_notes(metadata: Mapping[str, Any]) -> Iterator[str]:
    further = sorted(
        metadata.keys() - _METADATA - (_SYNTHETIC if metadata.get("synthetic") is True else set())
    )
    if further:
        yield f"Maestro Hive itself refuses it: 'checkpoint_metadata' has the unknown key {clean(further[0], 60)!r}"
    kind = metadata.get("checkpoint_type", "phase_boundary")
    if kind not in _KINDS:
        yield f"Maestro Hive itself refuses it: its checkpoint_type is {clean(kind, 60)!r}"
    created = metadata.get("created_at")
    if created is not None and _moment(created, utc=True) is None:
        yield f"Maestro Hive itself refuses it: its created_at is {clean(created, 60)!r}, which is no time"


def _phases(context: Mapping[str, Any], scores: Mapping[str, Any], notes: list[str]) -> tuple[HivePhase, ...]:
    results = context.get("phase_results")
    if not isinstance(results, dict):
        raise _Wrong(f"'phase_results' is {_kind_of(results)}, where an object was expected")
    order = context.get("phase_order")
    names = [name for name in order if isinstance(name, str)] if isinstance(order, list) else []
    names = list(dict.fromkeys([*(name for name in names if name in results), *results]))
    return tuple(_phase(name, results[name], scores.get(name), notes) for name in names)


def _with_gates(phases: tuple[HivePhase, ...], metadata: Any) -> Iterator[HivePhase]:
    """The phases with what an export of ours tells of their gates; their own files tell only of the last one."""
    ours = metadata.get(EXPORTED) if isinstance(metadata, dict) else None
    gates = ours.get("gates") if isinstance(ours, dict) else None
    for phase in phases:
        passed = gates.get(phase.name) if isinstance(gates, dict) else None
        yield replace(phase, gate_passed=passed) if isinstance(passed, bool) else phase


def _phase(name: str, result: Any, scores: Any, notes: list[str]) -> HivePhase:
    shown = clean(name, 60)
    if not isinstance(result, dict):
        raise _Wrong(f"the result of {shown!r} is {_kind_of(result)}, where an object was expected")
    outputs = result.get("outputs", {})
    if not isinstance(outputs, dict):
        raise _Wrong(f"the outputs of {shown!r} are {_kind_of(outputs)}, where an object was expected")
    told = result.get("status")
    if not isinstance(told, str):
        raise _Wrong(f"the status of {shown!r} is {_kind_of(told)}, where text was expected")
    status = _STATUSES.get(told)
    if status is None:
        notes.append(f"the status of {shown} is {clean(told, 40)!r}, which is none: taken as not done")
    summary = outputs.get("execution_summary")
    personas = summary.get("personas") if isinstance(summary, dict) else result.get("artifacts_created")
    quality = scores.get("overall_quality") if isinstance(scores, dict) else None
    return HivePhase(
        name=name,
        status=status or "pending",
        outputs=outputs,
        started_at=_moment(result.get("started_at")),
        finished_at=_moment(result.get("completed_at")),
        duration=_number(result.get("duration_seconds")),
        error=_text(result, "error_message"),
        personas=tuple(one for one in personas if isinstance(one, str)) if isinstance(personas, list) else (),
        quality=_number(quality),
    )


def _edits(value: Any) -> dict[str, Mapping[str, Any]]:
    if not isinstance(value, dict):
        return {}
    found = {name: edit.get("outputs", edit) for name, edit in value.items() if isinstance(edit, dict)}
    return {name: outputs for name, outputs in found.items() if isinstance(outputs, dict) and outputs}


def _injected(value: Mapping[str, Any], facts: dict[str, Any]) -> HiveFile:
    """The form of `execution`: phases done elsewhere, and the one to run next."""
    injected = value["injected_phases"]
    if not isinstance(injected, list):
        raise _Wrong(f"'injected_phases' is {_kind_of(injected)}, where a list was expected")
    workflow_id = _text(value, "workflow_id")
    if not workflow_id:
        raise _Wrong("'workflow_id' is missing or empty")
    notes: list[str] = []
    phases = []
    for entry in injected:
        name = _text(entry, "phase_name") if isinstance(entry, dict) else None
        if name is None:
            raise _Wrong("an entry of 'injected_phases' has no 'phase_name'")
        at = {"started_at": entry.get("injected_at"), "completed_at": entry.get("injected_at")}
        phases.append(_phase(name, {**entry, **at}, None, notes))
    return HiveFile(
        kind="injected",
        workflow_id=workflow_id,
        requirement=_said_requirement(phases),
        phases=tuple(phases),
        created_at=_moment(value.get("created_at"), utc=True),
        completed=phases[-1].name if phases else None,
        notes=tuple(notes),
        **facts,
    )


def _said_requirement(phases: list[HivePhase]) -> str:
    for phase in phases:
        for key in ("requirement", "classified_requirement"):
            text = phase.outputs.get(key)
            if isinstance(text, str) and text.strip():
                return text
    return ""


def _session(value: Mapping[str, Any], facts: dict[str, Any]) -> HiveFile:
    """A file of `sdlc_sessions`: who worked, and in some of them how far the phases came."""
    session_id = _text(value, "session_id")
    if not session_id:
        raise _Wrong("'session_id' is missing or empty")
    metadata = value.get("metadata")
    history = metadata.get("phase_history") if isinstance(metadata, dict) else None
    phases: dict[str, HivePhase] = {}
    for entry in history if isinstance(history, list) else ():
        name = _text(entry, "phase") if isinstance(entry, dict) else None
        if name is not None:
            state = str(entry.get("state", "")).lower()
            score = _number(entry.get("quality_score"))
            phases[name.lower()] = HivePhase(name.lower(), _STATUSES.get(state, "pending"), quality=score)
    now = _text(metadata, "current_phase") if isinstance(metadata, dict) else None
    return HiveFile(
        kind="session",
        workflow_id=session_id,
        requirement=_text(value, "requirement") or "",
        phases=tuple(phases.values()),
        created_at=_moment(value.get("created_at")),
        completed=now.lower() if now else None,
        **facts,
    )


# ── Small things ──────────────────────────────────────────────────────────────────────────────────────────


def _text(table: Any, key: str) -> str | None:
    value = table.get(key) if isinstance(table, dict) else None
    return value if isinstance(value, str) and value.strip() else None


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _moment(value: Any, *, utc: bool = False) -> datetime | None:
    """A moment in UTC; None for what is none."""
    if not isinstance(value, str):
        return None
    try:
        at = datetime.fromisoformat(value)
        if at.tzinfo is None and utc:
            at = at.replace(tzinfo=UTC)
        at = at.astimezone(UTC)
    except (ValueError, OverflowError, OSError):
        return None
    return at if 1971 <= at.year <= 5000 else None


def _kind_of(value: Any) -> str:
    names = {type(None): "null", bool: "true or false", str: "text", int: "a number", float: "a number"}
    return names.get(type(value), "a list" if isinstance(value, list) else "an object")
