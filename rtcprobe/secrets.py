"""Secrets: values that print as ``***``, where they are read from, and the one ``scrub`` for text that leaves.

Rules:
    1. A secret is named, never written: ``env:NAME`` or ``file:PATH``. A literal would stand in the shell's history and
       in every list of processes.
    2. No sentence quotes a refused literal.
    3. Every secret a user named is known to ``scrub``, in the forms it takes on its way through URLs, JSON and HTML: a
       server may echo it back. Text that leaves (screen, file, log, error) passes ``scrub`` once; HTML is scrubbed
       before it is rendered.
    4. A secret shorter than ``_SHORT`` hides only where it stands alone: the PIN 1234 may not eat a measured 0.12345.
    5. Only free text is scrubbed: never keys, enum words, names and numbers (``scrubbed``). Whoever chooses a secret
       would choose what a result says otherwise.
    6. What a server gives, or what is made for one call, is hidden within that run alone (``hiding``), and not where it
       is short: the server chose it.
    7. What is known is bounded; who comes back stays.
"""

from __future__ import annotations

import dataclasses
import errno
import html
import json
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, lru_cache
from pathlib import Path
from types import UnionType
from typing import Any, Final, Literal, NoReturn, TypeVar, Union, get_args, get_origin, get_type_hints
from urllib.parse import quote, quote_plus

from rtcprobe.errors import BadInputError, RtcprobeError
from rtcprobe.textfiles import read_text

__all__ = ["HIDDEN", "NAME", "WORDS", "Secret", "hiding", "read_secret", "scrub", "scrubbed"]

HIDDEN: Final = "***"
# What is shorter (a PIN, a room's word) turns up in figures and in prose by chance: rule 4.
_SHORT: Final = 8
# A token is a line; a private key of 4,096 bits takes a fifth of that.
_MOST_BYTES: Final = 16_384
_CURE: Final = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"

NAME: Final = {"text": "name"}
"""Field metadata: a name or a word of ours, which ``scrubbed`` leaves as it is."""

WORDS: Final = {"text": "words"}
"""Field metadata: a mapping whose single words are ours (enums, amounts); its URLs and sentences are scrubbed."""

# What configurations name stays known; what a server said on its way (a session's own secret) makes room for later
# ones.
_MOST_KNOWN: Final = 256
_MOST_PASSING: Final = 64

# Each is linear: what it repeats cannot begin what it looks for.
_USERINFO = re.compile(r"(?<=[a-z0-9+.-]://)[^/\s@\"'<>?#]*@", re.IGNORECASE)
_CLEAR: Final = r"(?!\*{3}(?!\w))"
"""Not hidden yet: scrubbed again, a sentence may not lose what stands behind."""
# A query's, a form's or a fragment's parameter of a telling name: NAME "=" value, up to what ends a value in a URL.
_PARAMETER = re.compile(
    r"([?&;#](?:access_token|id_token|token|jwt|auth|authorization|api_?key|key|secret|apisecret|client_secret|"
    rf"password|passwd|pwd|pin|credential|sig|signature)=){_CLEAR}[^&\s#\"'<>]+",
    re.IGNORECASE,
)
# A header as any log writes it: Authorization: Bearer xyz, "authorization": "Basic xyz", authorization=Digest ....
_AUTHORIZATION = re.compile(
    rf"(authorization[\"']?\s*[:=]\s*[\"']?(?:bearer|basic|digest)\s+){_CLEAR}[^\s\"']+", re.IGNORECASE
)

_T = TypeVar("_T")


class Secret:
    """A value to be used and never shown; ``source`` says where it came from, such as ``env:WHIP_TOKEN``.

    ``passing``: a server gave it, or it was made for one call (rule 6).
    """

    __slots__ = ("_value", "source")

    def __init__(self, value: str, source: str = "", *, passing: bool = False) -> None:
        self._value = value
        self.source = source
        if not passing:
            _remember(_known, value, _MOST_KNOWN)
        elif len(value) >= _SHORT:
            within = _passing.get()
            _remember(_stray if within is None else within, value, _MOST_PASSING)

    def reveal(self) -> str:
        """Return the value, for the wire alone."""
        return self._value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        return hash(self._value)

    def __str__(self) -> str:
        return HIDDEN

    def __repr__(self) -> str:
        return f"Secret({self.source!r})"

    def __format__(self, format_spec: str) -> str:
        return format(HIDDEN, format_spec)

    def __reduce__(self) -> tuple[type[Secret], tuple[str, str]]:
        return Secret, (self._value, self.source)  # a worker process must know it too, to hide it


def read_secret(written: object, what: str = "the token") -> Secret:
    """Return the secret that ``env:NAME`` or ``file:PATH`` names.

    Raises:
        BadInputError: a literal value; a variable that is not set; a file that cannot be read, or holds nothing, too
            much, or several lines.
    """
    text = written if isinstance(written, str) else ""
    kind, colon, name = text.partition(":")
    # The value itself may well hold a colon: what follows ``env:`` and is no name of a variable is a literal,
    # too.
    if not colon or kind not in {"env", "file"} or (kind == "env" and name and not name.isidentifier()):
        raise BadInputError(f"{what} is written out", _CURE)
    if not name:
        raise BadInputError(f"{what} {text!r} names nothing", _CURE)
    # A line break in a token would end the header it is put into, and begin another one.
    value = _from_environment(what, name) if kind == "env" else _from_file(what, Path(name))
    if any(ord(character) < 0x20 or ord(character) == 0x7F for character in value):
        _refuse(what, text, "holds several lines or control characters", "one line, please")
    return Secret(value, text)


@contextmanager
def hiding() -> Iterator[None]:
    """Within it, secrets that pass through (rule 6) are hidden; an error that leaves it is scrubbed of them."""
    before = _passing.set({})
    try:
        yield
    except RtcprobeError as error:
        message, hint = scrub(error.message), scrub(error.hint)
        if (message, hint) == (error.message, error.hint):
            raise
        raise type(error)(message, hint) from error
    finally:
        _passing.reset(before)


def scrub(text: str) -> str:
    """Return ``text`` without any secret: known ones, passwords in URLs, tokens in queries and headers."""
    known = (*_known, *(_passing.get() or ()), *_stray)
    # Longest first, so that a secret which holds a shorter one is hidden whole, not in parts.
    for form, pattern in _sought(known):
        if form in text:
            text = text.replace(form, HIDDEN) if pattern is None else pattern.sub(HIDDEN, text)
    if "://" in text:
        text = _USERINFO.sub(f"{HIDDEN}@", text)
    if "=" in text or ":" in text:
        text = _AUTHORIZATION.sub(rf"\g<1>{HIDDEN}", text)
        text = _PARAMETER.sub(rf"\g<1>{HIDDEN}", text)
    return text


def scrubbed(value: _T) -> _T:
    """Return ``value`` with the free text in it scrubbed (rule 5): plain structures and frozen dataclasses alike."""
    return _scrubbed(value, "free")  # type: ignore[no-any-return] # the same shape comes back


def _scrubbed(value: Any, kind: str) -> Any:
    if isinstance(value, str):
        return value if kind == "words" and not _SENTENCE.intersection(value) else scrub(value)
    if isinstance(value, Mapping):
        return {key: _scrubbed(each, kind) for key, each in value.items()}
    # A named tuple takes its fields one by one, not as one sequence; those of results hold no text of
    # strangers.
    if isinstance(value, (list, tuple)) and not hasattr(value, "_fields"):
        return type(value)(_scrubbed(each, kind) for each in value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        before = {name: getattr(value, name) for name in _texts(type(value))}
        after = {name: _scrubbed(each, _texts(type(value))[name]) for name, each in before.items()}
        return dataclasses.replace(value, **after) if after != before else value
    return value


_SENTENCE: Final = frozenset(" /:@=?&")
"""What a URL or a sentence has, and a word or an amount has not."""


@cache
def _texts(record: type[Any]) -> dict[str, str]:
    """Return the fields of a record that may hold free text, and the kind of each."""
    hints = get_type_hints(record)
    fields = [each for each in dataclasses.fields(record) if each.init and not _is_closed(hints[each.name])]
    kinds = {each.name: str(each.metadata.get("text", "free")) for each in fields}
    return {name: kind for name, kind in kinds.items() if kind != "name"}


def _is_closed(hint: Any) -> bool:
    """Whether a type holds no free text: numbers, and words of a closed list."""
    origin = get_origin(hint)
    if origin in (Union, UnionType, tuple):
        return all(each is Ellipsis or _is_closed(each) for each in get_args(hint))
    return origin is Literal or hint in (int, float, bool, type(None))


_known: dict[str, None] = {}
_stray: dict[str, None] = {}
"""Passing secrets met outside any run."""
_passing: ContextVar[dict[str, None] | None] = ContextVar("passing", default=None)


def _remember(where: dict[str, None], value: str, most: int) -> None:
    """Put ``value`` last, and forget what was not met for longest."""
    where.pop(value, None)
    where[value] = None
    if len(where) > most:
        del where[next(iter(where))]


@lru_cache(maxsize=4)
def _sought(known: tuple[str, ...]) -> tuple[tuple[str, re.Pattern[str] | None], ...]:
    """Return what to look for, longest secrets first; with a pattern where it must stand alone."""
    found: dict[str, re.Pattern[str] | None] = {}
    for value in sorted(known, key=len, reverse=True):
        alone = len(value) < _SHORT
        for form in _forms(value):
            # Alone: no letter or digit beside it, nor a decimal point before it.
            edges = rf"(?<![A-Za-z0-9.]){re.escape(form)}(?![A-Za-z0-9])"
            found.setdefault(form, re.compile(edges) if alone else None)
    return tuple(found.items())


@lru_cache(maxsize=2 * _MOST_KNOWN)
def _forms(value: str) -> frozenset[str]:
    """Return how ``value`` looks on its way through URLs, JSON, HTML and Python's own quoting."""
    if not value:
        return frozenset()
    quoted = json.dumps(value)[1:-1]
    return frozenset(
        {
            value,
            quote(value, safe=""),
            quote(value),
            quote_plus(value),
            quoted,
            html.escape(value),
            repr(value)[1:-1],
        }
    )


def _from_environment(what: str, name: str) -> str:
    value = os.environ.get(name)
    if value is None:
        _refuse(what, f"env:{name}", "is not set", f"export {name} first")
    if not value:
        _refuse(what, f"env:{name}", "is empty", f"put the value into {name}")
    return value


def _from_file(what: str, path: Path) -> str:
    written = f"file:{path}"
    try:
        value = read_text(path.expanduser(), most=_MOST_BYTES).strip()
    except OSError as error:
        if error.errno == errno.EFBIG:
            _refuse(what, written, f"is larger than {_MOST_BYTES} bytes", "name a file that holds the value alone")
        _refuse(what, written, "cannot be read", error.strerror or str(error))
    except UnicodeError:
        _refuse(what, written, "is not text", "name a file that holds the value alone, in UTF-8")
    if not value:
        _refuse(what, written, "is empty", "put the value into it")
    return value


def _refuse(what: str, written: str, fact: str, cure: str) -> NoReturn:
    raise BadInputError(f"{what} {written!r} {fact}", cure)
