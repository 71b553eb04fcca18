"""The form of a checkpoint file: an envelope with its own digest around the whole context of a session."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

import pydantic_core
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from maestro_tui.model.checkpoint_bytes import FORMAT, SIZE_LIMIT, ZEROS, digest_problem, parse, parse_own
from maestro_tui.model.context import PhaseResult, TeamExecutionContext
from maestro_tui.model.errors import DamagedFile
from maestro_tui.model.facts import UtcTime
from maestro_tui.model.text import clean, encodable
from maestro_tui.model.workflow import Workflow

DEPTH_LIMIT = 180
"""Levels of nesting in a whole file. The strictest of the usual JSON readers stops at 200."""
DIGITS_LIMIT = 4_000
"""Digits of a number. Python's own JSON reader stops at 4,300."""

_WORKFLOW = b'\n  "workflow": '
_CONTEXT = b'\n  "context": {\n'
_AFTER_RESULTS = b'\n    "session_decisions": '
_TOO_DEEP = b"\n" + b"  " * (DEPTH_LIMIT + 1)


class Checkpoint(BaseModel):
    """One commit of a session. `sha256` is the digest of the file's bytes with these 64 characters zeroed."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    sha256: str = ""
    format: str = FORMAT
    seq: int = Field(strict=True)
    prev: str | None
    session_id: str
    phase: str
    attempt: int = Field(strict=True)
    epoch: int = Field(strict=True)
    created_at: UtcTime
    workflow: Workflow
    context: TeamExecutionContext


class Written:
    """The bytes of results as they were written before, so that a commit writes only its own result anew.

    A result is known by identity: whoever changes the dictionaries within one after its commit changes
    nothing on disk.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[PhaseResult, bytes]] = {}
        self._read: dict[str, PhaseResult] = {}
        self._workflow: tuple[Workflow, bytes] | None = None
        self._readable: Workflow | None = None
        """That which was found to be readable."""
        self.rest = b""
        """The context without workflow and results, as JSON."""

    def workflow(self, workflow: Workflow) -> bytes:
        """The workflow's definition as it stands within a checkpoint."""
        if self._workflow is None or self._workflow[0] is not workflow:
            text = _json(workflow).replace(b"\n", b"\n  ")
            _check_readable(text)
            self._workflow = (workflow, text)
        return self._workflow[1]

    def pieces_of(self, results: Mapping[str, PhaseResult]) -> list[bytes]:
        """The object of all results in pieces, indented as it stands within a checkpoint."""
        known: dict[str, tuple[PhaseResult, bytes]] = {}
        pieces = [b"{"]
        for name, result in results.items():
            if not isinstance(result, PhaseResult):
                raise TypeError(f"the result of {clean(name, 80)} is no result")
            before = self._known.get(name)
            if before is None or before[0] is not result:
                # Line breaks within JSON are always between its parts, never within a text.
                text = _json(result).replace(b"\n", b"\n      ")
                _check_readable(text)
                before = (result, b"\n      " + _quoted(name) + b": " + text)
            known[name] = before
            pieces += (before[1], b",")
        self._known = known
        if len(pieces) > 1:
            pieces[-1] = b"\n    "
        return [*pieces, b"}"]

    def read_back(self, checkpoint: Checkpoint) -> Checkpoint:
        """What `decode` would read from the bytes of the commit that was encoded last, reading only what is new.

        Its parts are shared from commit to commit: nobody may change them. Raises `ValueError` for what `decode`
        would refuse: a part that was copied with changes was checked by nobody.
        """
        results: dict[str, PhaseResult] = {}
        for name, (result, text) in self._known.items():
            if self._read.get(name) is not result:
                value = parse_own(b"{" + text + b"}")[name]
                result = PhaseResult.model_validate(value)
                self._known[name] = (result, text)
            results[name] = result
        self._read = results
        if self._readable is not checkpoint.workflow:
            Workflow.model_validate(checkpoint.workflow.model_dump(mode="json"))
            self._readable = checkpoint.workflow
        value = {**parse_own(self.rest), "workflow": checkpoint.workflow}
        context = TeamExecutionContext.model_validate(value).model_copy(update={"phase_results": results})
        return checkpoint.model_copy(update={"context": context})


def encode(checkpoint: Checkpoint, written: Written | None = None) -> tuple[bytes, str]:
    """The file's bytes and their digest; what this writes, `decode` reads. `written` only makes it quicker.

    The workflow's definition stands once, in the envelope; the context keeps its name. NaN and infinities in
    outputs become null, characters that UTF-8 cannot carry become `?`. Raises `ValueError` for values that
    JSON cannot hold (unknown types, circles, nesting beyond 180 levels, numbers of more than 4,000 digits).
    """
    blank = checkpoint.model_copy(update={"sha256": ZEROS.decode()})
    raw = _json(blank, exclude={"workflow": True, "context": {"workflow", "phase_results"}})
    _check_readable(raw)
    # Keys with two and with four blanks before them occur only in the envelope and right below it.
    first = raw.index(_CONTEXT) + len(_CONTEXT)
    second = raw.index(_AFTER_RESULTS, first)
    start = raw.index(ZEROS)
    name = b'    "workflow": ' + _quoted(checkpoint.workflow.name) + b",\n"
    written = written or Written()
    pieces = [raw[:start], ZEROS, raw[start + 64 : first - len(_CONTEXT)]]
    pieces += (_WORKFLOW, written.workflow(checkpoint.workflow), b",", _CONTEXT, name, raw[first:second])
    pieces.append(b'\n    "phase_results": ')
    pieces += written.pieces_of(checkpoint.context.phase_results)
    written.rest = b"{" + raw[first : raw.rindex(b"}")]
    pieces += (b",", raw[second:], b"\n")
    size = sum(map(len, pieces))
    if size > SIZE_LIMIT:
        raise ValueError(f"it has {size:,} bytes, more than {SIZE_LIMIT:,}; put large things into files")
    sha256 = hashlib.sha256()
    for piece in pieces:
        sha256.update(piece)
    digest = sha256.hexdigest()
    pieces[1] = digest.encode()
    return b"".join(pieces), digest


def _json(model: BaseModel, exclude: Any = None) -> bytes:
    try:
        return model.__pydantic_serializer__.to_json(model, indent=2, exclude=exclude, warnings="error")
    except pydantic_core.PydanticSerializationError as error:
        if "surrogates" not in str(error):
            raise
    data = _encodable(model.model_dump(exclude=exclude, warnings="error"))
    return pydantic_core.to_json(data, indent=2, inf_nan_mode="null")


def _quoted(name: str) -> bytes:
    return json.dumps(encodable(name), ensure_ascii=False).encode()


def _encodable(value: Any) -> Any:
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, dict):
        return {_encodable(key): _encodable(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_encodable(item) for item in value]
    return value


def _check_readable(raw: bytes) -> None:
    """Refuse what could be written but not be read again. Every value stands on a line of its own."""
    if _TOO_DEEP in raw:
        raise ValueError(f"it is nested deeper than {DEPTH_LIMIT} levels")
    start = 0
    while len(raw) - start > DIGITS_LIMIT:
        end = raw.rfind(b"\n", start, start + DIGITS_LIMIT)
        if end < 0:
            end = raw.find(b"\n", start + DIGITS_LIMIT)
            if raw[start:end].rstrip(b",")[-1:].isdigit():
                raise ValueError(f"it holds a number of more than {DIGITS_LIMIT:,} digits")
        start = end + 1


def _object(data: bytes) -> Any:
    # The one stops at 200 levels and at surrogates, the other at what is there twice.
    value = pydantic_core.from_json(data, allow_inf_nan=False)
    parse(data)
    return value


def _check_written(workflow: Any, context: Any) -> None:
    """Raise `KeyError` for parts that have a standard value elsewhere and that every checkpoint writes out.

    The list reads them without the models: it must not see another session than the engine.
    """
    for phase in workflow["phases"]:
        phase["needs"]
    context["edits"]
    for result in context["phase_results"].values():
        for key in ("inputs", "outputs", "artifacts", "attempt"):
            result[key]


def validation_words(error: ValidationError) -> str:
    """The first thing that is wrong: its place and why."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(str(part) for part in first["loc"])
    return f"{clean(place, 120)}: {clean(first['msg'], 120)}"


def decode(data: bytes, source: str) -> Checkpoint:
    """The checkpoint in a file's bytes; `source` names it in errors. Raises `DamagedFile`, one line."""
    if len(data) > SIZE_LIMIT:
        raise DamagedFile(f"{source}: it has {len(data):,} bytes, at most {SIZE_LIMIT:,} are read")
    problem = digest_problem(data)
    if problem is not None:
        raise DamagedFile(f"{source}: {problem}")
    try:
        value = _object(data)
    except ValueError as error:
        raise DamagedFile(f"{source}: it is not readable as JSON ({clean(error, 120)})") from error
    told = value.get("format") if isinstance(value, dict) else None
    if told != FORMAT:
        raise DamagedFile(
            f"{source}: its format is {clean(told, 60)!r}, and this version reads {FORMAT!r}; a newer maestro-tui may"
        )
    try:
        _check_readable(data)
        context = value["context"]
        if context["workflow"] != value["workflow"]["name"]:
            raise ValueError("context.workflow is not the workflow's name")
        _check_written(value["workflow"], context)
        workflow = Workflow.model_validate(value["workflow"])
        context = {**context, "workflow": workflow}
        return Checkpoint.model_validate({**value, "workflow": workflow, "context": context})
    except ValidationError as error:
        raise DamagedFile(
            f"{source}: its content is not a checkpoint's ({validation_words(error)})"
        ) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedFile(f"{source}: its content is not a checkpoint's ({clean(error, 120)})") from error
