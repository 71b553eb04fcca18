"""Holds JSON files and outputs against the schema of a contract, which may itself be a file of the workspace."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.launch import parse_json
from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.text import clean
from maestro_tui.performers.schemas import BadSchema, problems_of, validator_for
from maestro_tui.store.durable import read_regular

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

DOCUMENT_LIMIT = 20_000_000
"""Bytes of one file that is checked."""


def validator_of(schema: Mapping[str, Any] | str, workspace: Path) -> Validator:
    """A validator for a schema, or for the file in the workspace that holds it. Raises `BadSchema`."""
    if not isinstance(schema, str):
        return validator_for(dict(schema))
    try:
        loaded = _document(workspace / schema, schema)
    except ValueError as error:
        raise BadSchema(f"its schema {clean(schema, 120)} {error}") from error
    return validator_for(loaded)


def problems_of_file(path: Path, shown: str, validator: Validator) -> list[str]:
    """Like `problems_of` for a JSON file of the workspace."""
    try:
        value = _document(path, shown)
    except ValueError as error:
        return [str(error)]
    return problems_of(value, validator)


def _document(path: Path, shown: str) -> Any:
    """The JSON in a file. Raises `ValueError` with the reason as the end of a sentence."""
    try:
        raw = read_regular(path, DOCUMENT_LIMIT)
    except FileNotFoundError:
        raise ValueError("is not there") from None
    except (OSError, DamagedFile) as error:
        raise ValueError(f"cannot be read ({clean(error, 200)})") from error
    try:
        return parse_json(raw.decode("utf-8-sig"), clean(shown, 120))
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 text (byte {error.start})") from error
    except InputError as error:
        reason = str(error).partition("is not valid JSON: ")[2].removesuffix(" Nothing was run.")
        raise ValueError(f"is no JSON: {reason.rstrip('.')}") from error
