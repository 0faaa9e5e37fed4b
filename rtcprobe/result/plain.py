"""Frozen records to JSON values and back, by one rule for all: seconds inside, milliseconds outside.

Rules:
    1. A field or key that ends in ``_s`` is written as ``_ms``; so are the values of a field marked ``SECONDS``.
    2. A field marked ``MEASURED`` is a plain mapping of words to numbers whose keys follow rule 1 at any depth.
    3. Numbers are rounded to 10⁻⁶ ms or nine decimals; NaN and infinity become null; order is that of the fields.
    4. A field marked ``SPARSE`` is left out where it has its default, and may be absent.
    5. What is read is judged by the type hints of the record: kinds, finite numbers, words of closed lists.
    6. A class with ``to_dict`` / ``from_dict`` of its own decides for itself. A field marked ``OWN`` is left to the
       class that has it: it is not written, and read as it is given.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, Field, fields, is_dataclass
from functools import cache, partial
from types import NoneType, UnionType
from typing import Annotated, Any, Final, Literal, TypeVar, Union, cast, get_args, get_origin, get_type_hints

from rtcprobe.errors import BadInputError
from rtcprobe.secrets import WORDS

__all__ = [
    "MEASURED",
    "OWN",
    "SECONDS",
    "SPARSE",
    "UnfitError",
    "from_plain",
    "number",
    "read_as",
    "scaled",
    "to_plain",
    "unscaled",
]

SECONDS: Final = {"rtcprobe": "seconds"}
"""Field metadata: a mapping of names to seconds."""

MEASURED: Final = {"rtcprobe": "measured", **WORDS}
"""Field metadata: a plain mapping as the room that measured it laid it down."""

SPARSE: Final = {"sparse": True}
"""Field metadata: written only where it says something."""

OWN: Final = {"rtcprobe": "own"}
"""Field metadata: written and read by the record itself."""

_LARGEST: Final = 1e15
"""Beyond it lies nothing that was measured: a bit rate of 10¹⁵, 30,000 years in ms."""
_MOST: Final = 10**40
"""Of a whole number: seeds may be long."""
# Characters of a value that a refusal quotes: a damaged file may hold a megabyte in one.
_MOST_SAID: Final = 60
# A nanosecond either way: floating point's own noise would make equal results differ.
_MS_DIGITS: Final = 6
# Of shares and bare numbers (rule 3): beyond lies what floating point makes of equal sums.
_DIGITS: Final = 9
_T = TypeVar("_T")


def to_plain(record: Any) -> dict[str, Any]:
    """Return the JSON values of a record."""
    out: dict[str, Any] = {}
    for each in _fields(cast("Any", type(record))):
        value = getattr(record, each.name)
        kind = each.metadata.get("rtcprobe")
        # What has its default is not written: a new field leaves results that do not have it as they were, to the byte.
        if kind == "own" or ("sparse" in each.metadata and value == _default(each)):
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
        UnfitError: a value of the wrong kind.
    """
    hints = _hints(cast("Any", cls))
    values: dict[str, Any] = {}
    for each in _fields(cast("Any", cls)):
        kind = each.metadata.get("rtcprobe")
        key = _edge_name(each.name) if kind is None and each.name.endswith("_s") else each.name
        # And so results from before the field are read.
        if "sparse" in each.metadata and key not in data:
            continue
        try:
            if kind == "own":
                values[each.name] = data[key]
            elif kind == "measured":
                values[each.name] = _inward(_mapping(data[key]))
            else:
                value = _reader(hints[each.name])(data[key])
                if kind == "seconds" and value is not None:
                    value = {name: unscaled(at_ms) for name, at_ms in value.items()}
                # The key differs from the name only where seconds were written as milliseconds.
                values[each.name] = value if key is each.name else _inside(value)
        except UnfitError as error:
            raise error.within(key) from None
    return cls(**values)


class UnfitError(ValueError):
    """A value of the wrong kind; ``within`` says where it stood."""

    def within(self, place: object) -> UnfitError:
        """Return the same, found in ``place``: ``"samples.3.delay_ms"``."""
        said = str(self)
        # Places are told from the inside out: each container puts its own in front.
        return UnfitError(f"{place}{'' if said[:1] == ' ' else '.'}{said}")


def read_as(hint: Any, data: Mapping[str, Any], key: str) -> Any:
    """Return ``data[key]`` as the type ``hint`` has it.

    Raises:
        KeyError: it is missing.
        UnfitError: it is of another kind.
    """
    try:
        return _reader(hint)(data[key])
    except UnfitError as error:
        raise error.within(key) from None


def _mapping(value: Any) -> Mapping[str, Any]:
    """Return ``value``, which has keys and holds finite numbers alone.

    Raises:
        UnfitError: it has not, or does not.
    """
    if not isinstance(value, Mapping):
        raise _unfit(value, "no set of keys")
    _need_finite(value)
    return value


def number(value: float | None, digits: int = _DIGITS) -> float | None:
    """Return ``value`` rounded; None for NaN and infinity, and never minus zero."""
    if value is None or not math.isfinite(value):
        return None
    # Adding 0.0 takes the sign from −0.0, which equal runs on two machines may or may not have.
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
            (f"{key.removesuffix('_ms')}_s", _time_inward(key, each)) if key.endswith("_ms") else (key, _inward(each))
            for key, each in value.items()
        )
    return [_inward(each) for each in value] if isinstance(value, list) else value


def _time_inward(key: str, value: Any) -> Any:
    """Return milliseconds as seconds: a number, none, or a list of these."""
    try:
        return _times(value, lambda at_ms: None if at_ms is None else unscaled(_float(at_ms)))
    except UnfitError as error:
        raise error.within(key) from None


def _inside(value: Any) -> Any:
    """Return milliseconds, or a tuple of them, in seconds."""
    return tuple(map(_inside, value)) if isinstance(value, tuple) else unscaled(value)


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
    return get_type_hints(cls, include_extras=True)


def _unfit(value: Any, what: str) -> UnfitError:
    said = repr(value)
    return UnfitError(f" {said if len(said) <= _MOST_SAID else said[:_MOST_SAID] + '…'} is {what}")


def _need_finite(value: Any) -> Any:
    """Return a plain value in which every number is finite and one that was ever measured."""
    # "not <=" instead of ">": NaN compares false to everything, and is refused so.
    if isinstance(value, float) and not abs(value) <= _LARGEST:
        raise _unfit(value, "no number that was measured")
    if isinstance(value, int) and abs(value) > _MOST:
        raise _unfit(value, "no number that was measured")
    if isinstance(value, (Mapping, list)):
        for key, each in value.items() if isinstance(value, Mapping) else enumerate(value):
            try:
                _need_finite(each)
            except UnfitError as error:
                raise error.within(key) from None
    return value


def _float(value: Any) -> float:
    # JSON's true is a bool, and to Python an int: "heard": true is no count of one.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _LARGEST:
        raise _unfit(value, "no number that was measured")
    return value


def _int(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not abs(value) <= _MOST or value % 1:
        raise _unfit(value, "no whole number")
    return int(value)


def _bool(value: Any) -> bool:
    if not isinstance(value, bool):
        raise _unfit(value, "neither true nor false")
    return value


def _str(value: Any) -> str:
    if not isinstance(value, str):
        raise _unfit(value, "no text")
    return value


_SIMPLE: Final[Mapping[Any, Callable[[Any], Any]]] = {
    float: _float,
    int: _int,
    bool: _bool,
    str: _str,
    Any: _need_finite,
}


@cache
def _reader(hint: Any) -> Callable[[Any], Any]:
    """Return what makes of a value what the type hint says, or says that it cannot (``UnfitError``)."""
    origin, arguments = get_origin(hint), get_args(hint)
    reader = _SIMPLE.get(hint)
    if reader is not None:
        return reader
    # Of unions only "or None" occurs: anything else would have to be told apart by what it holds.
    if origin in (Union, UnionType) and NoneType in arguments and len(arguments) == 2:
        reader = partial(_perhaps, _reader(next(each for each in arguments if each is not NoneType)))
    # Way, Leg and their like: texts whose constructors judge themselves.
    elif isinstance(hint, type) and issubclass(hint, str):
        reader = partial(_name, hint)
    elif origin is Literal:
        reader = partial(_one_of, arguments)
    elif origin is Annotated:
        reader = partial(_between, _reader(arguments[0]), *arguments[1:])
    elif origin is tuple:
        reader = partial(_sequence, _reader(arguments[0]))
    elif isinstance(origin, type) and issubclass(origin, Mapping):
        reader = partial(_filled, _reader(arguments[0]), _reader(arguments[1]))
    # After Mapping and Literal, which are no dataclasses, and before giving up: a type that nobody taught it is our
    # fault.
    elif is_dataclass(hint) and isinstance(hint, type):
        reader = partial(_record, hint)
    if reader is None:
        raise TypeError(f"{hint!r} is no type of a result")
    return reader


def _perhaps(given: Callable[[Any], Any], value: Any) -> Any:
    return None if value is None else given(value)


def _between(given: Callable[[Any], Any], low: float, high: float, value: Any) -> Any:
    found = given(value)
    if not low <= found <= high:
        # A bound of ``_LARGEST`` is none that a reader should be told.
        raise _unfit(value, f"impossible: it lies in {low:g} to {high:g}" if high < _LARGEST else "below zero")
    return found


def _name(cls: Callable[[str], Any], value: Any) -> Any:
    try:
        return cls(_str(value))
    except BadInputError as error:
        raise UnfitError(f" {error}") from None


def _one_of(words: tuple[str, ...], value: Any) -> str:
    if not isinstance(value, str) or value not in words:
        raise _unfit(value, f"none of {', '.join(words)}")
    return value


def _sequence(part: Callable[[Any], Any], value: Any) -> tuple[Any, ...]:
    if not isinstance(value, (list, tuple)):
        raise _unfit(value, "no list")
    done: list[Any] = []
    try:
        # As many as were read before the one that is unfit: so many is its place.
        done.extend(map(part, value))
    except UnfitError as error:
        raise error.within(len(done)) from None
    return tuple(done)


def _filled(name: Callable[[Any], Any], part: Callable[[Any], Any], value: Any) -> dict[str, Any]:
    if not isinstance(value, Mapping):
        raise _unfit(value, "no set of keys")
    done: dict[str, Any] = {}
    for key, each in value.items():
        try:
            done[name(key)] = part(each)
        except UnfitError as error:
            raise error.within(key) from None
    return done


def _record(cls: Any, value: Any) -> Any:
    if not isinstance(value, Mapping):
        raise _unfit(value, "no set of keys")
    return cls.from_dict(value) if hasattr(cls, "from_dict") else from_plain(cls, value)
