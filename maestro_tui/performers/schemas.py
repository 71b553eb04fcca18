"""Holds JSON values against a JSON schema, and says of each problem where it is and what is there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from maestro_tui.model.text import clean
from maestro_tui.performers.patterns import KEYWORDS, BadPattern, matches

if TYPE_CHECKING:
    from jsonschema.protocols import Validator

PROBLEMS_TOLD = 3


class BadSchema(Exception):
    """The schema itself cannot be used; `str()` is the reason as the end of a sentence."""


def validator_for(schema: Any) -> Validator:
    """A validator for a schema. Raises `BadSchema`.

    The newest draft is taken unless the schema names another one; references to other documents are never
    fetched. Patterns have no look-around and no back-references.
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
        _check_patterns(schema)
    except BadPattern as error:
        raise BadSchema(str(error)) from error
    except SchemaError as error:
        raise BadSchema(f"its schema is no JSON schema: {clean(error.message, 200)}") from error
    except Exception as error:
        # A schema may come from a model; whatever it breaks in the library, it breaks no session.
        raise BadSchema(f"its schema cannot be used ({_told(error)})") from error
    if isinstance(schema, dict):
        # Where it stands, the library would take its own reading of the keywords again.
        schema = {key: value for key, value in schema.items() if key != "$schema"}
    extended = validators.extend(kind, KEYWORDS)  # type: ignore[no-untyped-call]
    made: Validator = extended(schema, registry=Registry())
    return made


_VALUES = frozenset(["const", "default", "enum", "examples"])


def _check_patterns(schema: Any) -> None:
    """Raise `BadPattern` for a schema with a pattern that cannot be used, or read in another way, wherever in it."""
    todo, keywords = [schema], set[str]()
    while todo:
        one = todo.pop()
        if isinstance(one, list):
            todo += one
        if not isinstance(one, dict):
            continue
        if one is not schema and isinstance(one.get("$schema"), str):
            raise BadPattern("it names a $schema for a part of it; only the whole may")
        keywords.update(one)
        named = one.get("patternProperties")
        for pattern in (one.get("pattern"), *(named if isinstance(named, dict) else ())):
            if isinstance(pattern, str):
                matches(pattern, "")
        todo += [value for key, value in one.items() if key not in _VALUES]
    if {"patternProperties", "unevaluatedProperties"} <= keywords:
        raise BadPattern("it has patternProperties beside unevaluatedProperties, which are not read together")


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
