"""Holds JSON values against a JSON schema, and says of each problem where it is and what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

PROBLEMS_TOLD = 3


class BadSchema(Exception):
    """The schema itself cannot be used; `str()` is the reason as the end of a sentence."""


def validator_for(schema: Any) -> Validator:
    """A validator for a schema. Raises `BadSchema`.

    The newest draft is taken unless the schema names another one; references to other documents are never
    fetched.
    """
    # Imported here: most runs have no schema, and it costs 60 ms.
    from jsonschema import validators
    from jsonschema.exceptions import SchemaError
    from referencing import Registry

    if type(schema) not in (dict, bool):
        raise BadSchema(
            f"its schema is no JSON schema: {type(schema).__name__} instead of an object or a boolean"
        )
    if isinstance(schema, dict) and not isinstance(schema.get("$schema", ""), str):
        raise BadSchema("its schema is no JSON schema: its $schema is no text")
    try:
        kind = validators.validator_for(schema, default=validators.Draft202012Validator)
        kind.check_schema(schema)
    except SchemaError as error:
        raise BadSchema(f"its schema is no JSON schema: {clean(error.message, 200)}") from error
    except Exception as error:
        # A schema may come from a model; whatever it breaks in the library, it breaks no session.
        raise BadSchema(f"its schema cannot be used ({_told(error)})") from error
    made: Validator = kind(schema, registry=Registry())
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


def _told(error: Exception) -> str:
    return f"{type(error).__name__}: {clean(error, 200)}"
