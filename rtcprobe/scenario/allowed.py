"""Whether a schema plainly allows a value, told without loading what can say why it does not.

Facts:
    Nearly every situation that is read is a right one, and ``jsonschema`` takes 50 ms of CPU to be loaded, a
    thirtieth of what a run does. Its sentences are needed for the others.

Rules:
    1. Yes means that ``jsonschema`` finds nothing either: ``tests/test_scenario_allowed.py`` holds the two together.
    2. No means no more than that it is to be asked: for a keyword that is not known here, a value of a class of its
       own (1.0 for 1), or a value that is wrong.

Source: JSON Schema 2020-12, Core §10 and Validation §6, of which these are the keywords that our schema has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any, Final

from rtcprobe.errors import BadInputError

__all__ = ["JUDGES", "SAYS_NOTHING", "Formats", "plainly_allows"]

Formats = Mapping[str, Callable[[object], object]]
"""Of each ``format`` the parser that refuses what is not one (``BadInputError``)."""

_Schema = Mapping[str, Any]
_Rule = Callable[[Any, Any, _Schema, Formats], bool]

_TYPES: Final[Mapping[str, tuple[type, ...]]] = {
    "array": (list,),
    "boolean": (bool,),
    "integer": (int,),
    "number": (int, float),
    "object": (dict,),
    "string": (str,),
}

SAYS_NOTHING: Final = frozenset({"$schema", "default", "description", "examples", "title"})
"""Keywords that tell people something, and judge no value."""


def plainly_allows(schema: _Schema, value: object, formats: Formats) -> bool:
    """Return whether every keyword of ``schema`` is known here and allows ``value``."""
    return all(
        keyword in SAYS_NOTHING or (keyword in JUDGES and JUDGES[keyword](said, value, schema, formats))
        for keyword, said in schema.items()
    )


def _of_type(said: Any, value: object, _schema: _Schema, _formats: Formats) -> bool:
    """Exactly: Python's ``True`` is an ``int``, which no integer of JSON is."""
    return any(type(value) in _TYPES.get(name, ()) for name in ([said] if isinstance(said, str) else said))


def _enumerated(said: Any, value: object, _schema: _Schema, _formats: Formats) -> bool:
    # 1 == True to Python, and 1.0 == 1: equal values of another kind are jsonschema's to judge.
    return any(type(value) is type(each) and value == each for each in said)


def _of_format(said: Any, value: object, _schema: _Schema, formats: Formats) -> bool:
    try:
        # A format without a parser of ours is a KeyError: jsonschema ignores what it does not know, so it is to be
        # asked.
        formats[said](value)
    except (BadInputError, KeyError):
        return False
    return True


def _properties(said: Any, value: Any, _schema: _Schema, formats: Formats) -> bool:
    return type(value) is not dict or all(
        plainly_allows(said[key], each, formats) for key, each in value.items() if key in said
    )


def _others(said: Any, value: Any, schema: _Schema, formats: Formats) -> bool:
    if type(value) is not dict:
        return True
    # A schema without "properties" is of free names: all of its keys are others.
    others = [each for key, each in value.items() if key not in schema.get("properties", ())]
    # Of booleans ours are all false: no other key may be.
    return not others if isinstance(said, bool) else all(plainly_allows(said, each, formats) for each in others)


JUDGES: Final[Mapping[str, _Rule]] = {
    "type": _of_type,
    "enum": _enumerated,
    "format": _of_format,
    "properties": _properties,
    "additionalProperties": _others,
    "required": lambda said, value, *_: type(value) is not dict or all(key in value for key in said),
    "minProperties": lambda said, value, *_: type(value) is not dict or len(value) >= said,
    "propertyNames": lambda said, value, _, formats: (
        type(value) is not dict or all(plainly_allows(said, key, formats) for key in value)
    ),
    "items": lambda said, value, _, formats: (
        type(value) is not list or all(plainly_allows(said, each, formats) for each in value)
    ),
    "minItems": lambda said, value, *_: type(value) is not list or len(value) >= said,
    "anyOf": lambda said, value, _, formats: any(plainly_allows(each, value, formats) for each in said),
    "pattern": lambda said, value, *_: type(value) is not str or re.search(said, value) is not None,
    "minLength": lambda said, value, *_: type(value) is not str or len(value) >= said,
    "minimum": lambda said, value, *_: type(value) not in (int, float) or value >= said,
    "maximum": lambda said, value, *_: type(value) not in (int, float) or value <= said,
}
"""Keywords that judge: each is given what the schema says, the value, the schema around it, and the formats."""
