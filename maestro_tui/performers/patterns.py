"""The keywords of a JSON schema that match patterns, in time that is linear in the text whoever wrote the pattern.

Python's own expressions take exponential time for some (`(a+)+$`), and hold the whole process meanwhile.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pydantic_core import SchemaError, SchemaValidator, core_schema

from maestro_tui.model.text import clean

if TYPE_CHECKING:
    from jsonschema.exceptions import ValidationError
    from jsonschema.protocols import Validator

    Found = Iterator[ValidationError]


class BadPattern(Exception):
    """A pattern cannot be used; `str()` says which and why."""


@lru_cache(maxsize=256)
def _compiled(pattern: str) -> SchemaValidator:
    try:
        return SchemaValidator(core_schema.str_schema(pattern=pattern, regex_engine="rust-regex"))
    except SchemaError as error:
        raise BadPattern(
            f"its pattern {clean(pattern, 80)!r} is no expression of bounded time (look-around and back-references "
            "are not)"
        ) from error


def matches(pattern: str, text: str) -> bool:
    """Whether the pattern is found anywhere in the text. Raises `BadPattern`."""
    return _compiled(pattern).isinstance_python(text)


def pattern(validator: Validator, wanted: Any, instance: Any, _: Any) -> Found:
    """The keyword `pattern`."""
    from jsonschema.exceptions import ValidationError

    if validator.is_type(instance, "string") and not matches(wanted, instance):
        yield ValidationError(f"{instance!r} does not match {wanted!r}")


def pattern_properties(validator: Any, wanted: Mapping[str, Any], instance: Any, _: Any) -> Found:
    """The keyword `patternProperties`."""
    if validator.is_type(instance, "object"):
        for one, schema in wanted.items():
            for key, value in instance.items():
                if matches(one, key):
                    yield from validator.descend(value, schema, path=key, schema_path=one)


def additional_properties(validator: Any, wanted: Any, instance: Any, schema: Mapping[str, Any]) -> Found:
    """The keyword `additionalProperties`: what neither a name nor a pattern speaks of."""
    from jsonschema.exceptions import ValidationError

    if not validator.is_type(instance, "object"):
        return
    named, patterns = schema.get("properties", {}), schema.get("patternProperties", {})
    extra = [key for key in instance if key not in named and not any(matches(one, key) for one in patterns)]
    if validator.is_type(wanted, "object"):
        for key in extra:
            yield from validator.descend(instance[key], wanted, path=key)
    elif not wanted and extra:
        yield ValidationError(f"unexpected: {', '.join(map(repr, sorted(extra)))}")


KEYWORDS = {
    "pattern": pattern,
    "patternProperties": pattern_properties,
    "additionalProperties": additional_properties,
}
