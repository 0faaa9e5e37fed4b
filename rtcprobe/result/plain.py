"""Frozen records to JSON values and back, by one rule for all: seconds inside, milliseconds outside.

Rules:
    1. A field or key that ends in ``_s`` is written as ``_ms``; so are the values of a field marked ``SECONDS``.
    2. A field marked ``MEASURED`` is a plain mapping of words to numbers whose keys follow rule 1 at any depth.
    3. Numbers are rounded to 10⁻⁶ ms or nine decimals; NaN and infinity become null; order is that of the fields.
    4. A field marked ``SPARSE`` is left out where it has its default, and may be absent.
    5. A class with ``to_dict`` / ``from_dict`` of its own decides for itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import Any, Final, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rtcprobe.errors import BadInputError
from rtcprobe.secrets import WORDS

__all__ = ["MEASURED", "SECONDS", "SPARSE", "from_plain", "number", "scaled", "to_plain", "unscaled"]

SECONDS: Final = {"rtcprobe": "seconds"}
"""Field metadata: a mapping of names to seconds."""

MEASURED: Final = {"rtcprobe": "measured", **WORDS}
"""Field metadata: a plain mapping as the room that measured it laid it down."""

SPARSE: Final = {"sparse": True}
"""Field metadata: written only where it says something."""

_MS_DIGITS: Final = 6
_DIGITS: Final = 9
_T = TypeVar("_T")


def to_plain(record: Any) -> dict[str, Any]:
    """Return the JSON values of a record."""
    out: dict[str, Any] = {}
    for each in _fields(cast("Any", type(record))):
        value = getattr(record, each.name)
        kind = each.metadata.get("rtcprobe")
        if "sparse" in each.metadata and value == _default(each):
            continue
        if kind == "seconds":
            out[each.name] = {name: scaled(at_s) for name, at_s in value.items()}
        elif kind == "measured" or not each.name.endswith("_s"):
            out[each.name] = _outward(value, measured=kind == "measured")
        else:
            out[_edge_name(each.name)] = _times(value, scaled)
    return out


def from_plain(cls: type[_T], data: Any) -> _T:
    """Return the record that ``to_plain`` wrote.

    Raises:
        KeyError: a part is missing.
        TypeError, ValueError: a value of the wrong kind.
    """
    if not isinstance(data, Mapping):
        raise TypeError(f"{cls.__name__} is written as keys, not as {data!r}")
    hints = _hints(cast("Any", cls))
    values: dict[str, Any] = {}
    for each in _fields(cast("Any", cls)):
        kind = each.metadata.get("rtcprobe")
        if "sparse" in each.metadata and each.name not in data:
            continue
        if kind == "seconds":
            values[each.name] = {name: unscaled(at_ms) for name, at_ms in data[each.name].items()}
        elif kind == "measured":
            values[each.name] = _inward(data[each.name])
        elif each.name.endswith("_s"):
            values[each.name] = _times(data[_edge_name(each.name)], unscaled)
        else:
            reader = _reader(hints[each.name])
            values[each.name] = data[each.name] if reader is None else reader(data[each.name])
    return cls(**values)


def number(value: float | None, digits: int = _DIGITS) -> float | None:
    """Return ``value`` rounded; None for NaN and infinity, and never minus zero."""
    if value is None or not math.isfinite(value):
        return None
    return round(float(value), digits) + 0.0


def scaled(value: float | None, factor: float = 1e3) -> float | None:
    """Return ``value`` times ``factor`` as JSON has it (seconds to milliseconds unless told)."""
    return None if value is None else number(value * factor, _MS_DIGITS if factor == 1e3 else _DIGITS)


def unscaled(value: float | None, factor: float = 1e3) -> float | None:
    """Undo ``scaled``."""
    return None if value is None else value / factor


def _outward(value: Any, *, measured: bool) -> Any:
    if isinstance(value, float):  # most of a result
        return number(value)
    if value is None or isinstance(value, (bool, str, int)):
        return value
    if is_dataclass(value):
        return value.to_dict() if hasattr(value, "to_dict") else to_plain(value)
    if isinstance(value, Mapping):
        return dict(_outward_item(str(key), each, measured=measured) for key, each in value.items())
    if isinstance(value, Sequence):
        return [_outward(each, measured=measured) for each in value]
    if hasattr(value, "tolist"):  # numpy scalars and arrays
        return _outward(value.tolist(), measured=measured)
    raise BadInputError(f"{value!r} has no place in a result", "give numbers, words, lists and mappings")


def _outward_item(key: str, value: Any, *, measured: bool) -> tuple[str, Any]:
    if measured and key.endswith("_s"):
        return _edge_name(key), _times(value, scaled)
    return key, _outward(value, measured=measured)


def _inward(value: Any) -> Any:
    """Return a measured mapping in seconds again."""
    if isinstance(value, Mapping):
        return dict(
            (f"{key.removesuffix('_ms')}_s", _times(each, unscaled)) if key.endswith("_ms") else (key, _inward(each))
            for key, each in value.items()
        )
    return [_inward(each) for each in value] if isinstance(value, list) else value


def _default(each: Field[Any]) -> Any:
    return each.default if each.default_factory is MISSING else each.default_factory()


def _edge_name(name: str) -> str:
    return f"{name.removesuffix('_s')}_ms"


def _times(value: Any, change: Any) -> Any:
    """Change a number, or every number of a sequence."""
    if hasattr(value, "tolist"):
        value = value.tolist()
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_times(each, change) for each in value]
    return change(value)


@cache
def _fields(cls: Any) -> tuple[Field[Any], ...]:
    return fields(cls)


@cache
def _hints(cls: Any) -> dict[str, Any]:
    return get_type_hints(cls)


def _as_it_is(value: Any) -> Any:
    return value


@cache
def _reader(hint: Any) -> Callable[[Any], Any] | None:
    """Return what makes of a value what the type hint says: records and tuples built, mappings filled.

    None where a value is taken as it is.
    """
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        given = _reader(next(each for each in arguments if each is not NoneType))
        if given is None or NoneType not in arguments:
            return given
        return lambda value: None if value is None else given(value)
    if origin is tuple:
        part = _reader(arguments[0]) or _as_it_is
        return lambda value: tuple([part(each) for each in value])
    if origin is not None and isinstance(origin, type) and issubclass(origin, Mapping):
        part = _reader(arguments[1]) or _as_it_is
        return lambda value: {key: part(each) for key, each in value.items()}
    if is_dataclass(hint) and isinstance(hint, type):
        return getattr(hint, "from_dict", None) or partial(from_plain, hint)
    return None
