"""Holds JSON files and outputs against their schema, and says of each problem where it is and what is there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from maestro_tui.engine.launch import parse_json
from maestro_tui.model.errors import DamagedFile, InputError
from maestro_tui.model.text import clean
from maestro_tui.store.durable import read_regular

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

DOCUMENT_LIMIT = 20_000_000
"""Bytes of one file that is checked."""
PROBLEMS_TOLD = 3


class BadSchema(Exception):
    """The schema itself cannot be used; `str()` is the reason as the end of a sentence."""


def validator_of(schema: Mapping[str, Any] | str, workspace: Path) -> Validator:
    """A validator for a schema, or for the file in the workspace that holds it. Raises `BadSchema`.

    The newest draft is taken unless the schema names another one; references to other documents are never
    fetched.
    """
    # Imported here: most runs have no schema, and it costs 60 ms.
    from jsonschema.exceptions import SchemaError
    from jsonschema.validators import Draft202012Validator, validator_for
    from referencing import Registry

    if isinstance(schema, str):
        try:
            loaded = _document(workspace / schema, schema)
        except ValueError as error:
            raise BadSchema(f"its schema {clean(schema, 120)} {error}") from error
    else:
        loaded = dict(schema)
    if type(loaded) not in (dict, bool):
        raise BadSchema(
            f"its schema is no JSON schema: {type(loaded).__name__} instead of an object or a boolean"
        )
    if isinstance(loaded, dict) and not isinstance(loaded.get("$schema", ""), str):
        raise BadSchema("its schema is no JSON schema: its $schema is no text")
    try:
        kind = validator_for(loaded, default=Draft202012Validator)
        kind.check_schema(loaded)
    except SchemaError as error:
        raise BadSchema(f"its schema is no JSON schema: {clean(error.message, 200)}") from error
    except Exception as error:
        # A schema may come from a model; whatever it breaks in the library, it breaks no session.
        raise BadSchema(f"its schema cannot be used ({_told(error)})") from error
    made: Validator = kind(loaded, registry=Registry())
    return made


def problems_of(value: Any, validator: Validator) -> list[str]:
    """What does not fit, most relevant first, each as `place: what`; empty when all does."""
    from jsonschema.exceptions import relevance
    from referencing.exceptions import Unresolvable

    try:
        found = sorted(validator.iter_errors(value), key=relevance, reverse=True)
    except Unresolvable as error:
        return [f"the schema refers to {clean(error.ref, 120)}, which is not in it"]
    except RecursionError:
        return ["it is nested too deeply"]
    except Exception as error:
        # A number out of range, a pattern that is no regular expression: the schema's, never the session's end.
        return [f"the schema cannot be applied to it ({_told(error)})"]
    return [f"{clean(error.json_path, 120)}: {clean(error.message, 200)}" for error in found]


def problems_of_file(path: Path, shown: str, validator: Validator) -> list[str]:
    """Like `problems_of` for a JSON file of the workspace."""
    try:
        value = _document(path, shown)
    except ValueError as error:
        return [str(error)]
    return problems_of(value, validator)


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {clean(error, 200)}"


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
