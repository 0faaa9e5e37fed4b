"""Words the schema of a scenario is written in: a record of keys, a written quantity, a text, a choice.

Rule: every key has a description and an example, for editors show them.
"""

from __future__ import annotations

from typing import Any

from rtcprobe.scenario.link_schema import QUANTITY

__all__ = ["choice", "quantity", "record", "text", "written"]


def record(properties: dict[str, Any], required: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    """Return the schema of a mapping with these keys and no others."""
    return {
        "type": "object",
        # A key that nobody knows is a slip of the pen, and would else have no effect and say nothing.
        "additionalProperties": False,
        "properties": properties,
        **({"required": list(required)} if required else {}),
        **more,
    }


def quantity(kind: str, description: str, example: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a number with a unit, which the parser of ``kind`` judges."""
    return written(kind, QUANTITY, description, example, **more)


def written(kind: str, pattern: str, description: str, example: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a text that the parser of ``kind`` judges, and editors by ``pattern``."""
    return {
        "type": "string",
        "format": kind,
        "pattern": pattern,
        "description": description,
        "examples": [example],
        **more,
    }


def text(description: str, example: str, **more: Any) -> dict[str, Any]:
    """Return the schema of a text that is not empty."""
    return {"type": "string", "minLength": 1, "description": description, "examples": [example], **more}


def choice(description: str, known: list[str], **more: Any) -> dict[str, Any]:
    """Return the schema of one of several words."""
    return {"enum": known, "description": description, "examples": known[:1], **more}
