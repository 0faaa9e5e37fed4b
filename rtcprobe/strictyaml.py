"""YAML without its surprises.

Facts:
    A few lines of YAML can stand for more values than fit into memory (aliases of aliases), hold themselves, or be
    nested deeper than a parser can follow.

Rules:
    1. Keys are words, and stand once; merged ones (``<<``) may be replaced.
    2. Documents are bounded: in length, in depth, in the values they stand for.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TypeVar

import yaml

from rtcprobe.errors import BadInputError
from rtcprobe.textfiles import read_text

__all__ = ["load_yaml", "read_yaml"]

T = TypeVar("T")

_MOST_YAML: Final = 2**20
"""Characters; the parser takes some ten seconds for them."""
_DEEPEST: Final = 50
"""The deepest thing that rtcprobe reads is six levels deep."""
# Ten lines of aliases stand for a billion values ("billion laughs"); a long script of cues is some thousands.
_MOST_VALUES: Final = 200_000
_MERGE: Final = "tag:yaml.org,2002:merge"


def load_yaml(text: str) -> Any:
    """Return what the YAML ``text`` says (rules 1 and 2).

    Raises:
        BadInputError: it is not YAML, has a key twice or one that is not a word, or is larger than anything meant.
    """
    if len(text) > _MOST_YAML:
        raise BadInputError(f"this is {len(text):,} characters of YAML", f"{_MOST_YAML:,} are read")
    try:
        return _loaded(text.removeprefix("\ufeff"))
    except yaml.MarkedYAMLError as error:
        line = "" if error.problem_mark is None else f"line {error.problem_mark.line + 1}: "
        raise BadInputError(f"{line}this is not YAML", f"{error.problem or error.context}") from error
    except yaml.YAMLError as error:
        raise BadInputError("this is not YAML", " ".join(str(error).split())) from error


def read_yaml(path: Path, meant: Callable[[Any], T], *, called: str | None = None) -> T:
    """Return what ``meant`` makes of what the file at ``path`` says.

    ``called`` is what an error calls a file that cannot be read: its path unless given.

    Raises:
        BadInputError: it cannot be read, is not YAML, or ``meant`` refuses it; led by the path.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"{called or path} cannot be read", str(reason)) from error
    try:
        return meant(load_yaml(text))
    except BadInputError as error:
        raise error.within(str(path)) from error


def _loaded(text: str) -> Any:
    loader = _Loader(text)
    try:
        node = loader.get_single_node()
        if node is None:
            return None
        _need_bounded(node)
        return loader.construct_document(node)
    finally:
        loader.dispose()


class _Loader(yaml.SafeLoader):
    """YAML without surprises."""

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._depth = 0
        self._flat: set[yaml.Node] = set()

    def compose_node(self, parent: yaml.Node | None, index: int) -> yaml.Node | None:
        # Counted by us, for the parser recurses and would end in Python's own limit, in an error without a
        # line.
        if self._depth == _DEEPEST:
            line = self.line + 1
            raise BadInputError(f"line {line}: this is nested more than {_DEEPEST} deep", "nothing rtcprobe reads is")
        self._depth += 1
        try:
            return super().compose_node(parent, index)
        finally:
            self._depth -= 1

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep=deep)
        except (ValueError, ArithmeticError, LookupError, TypeError, AttributeError) as error:
            # A date that is none, a number of thousands of digits, `!!bool maybe`: each ends in its own way.
            if not isinstance(node, yaml.ScalarNode):
                raise
            line = node.start_mark.line + 1
            raise BadInputError(f"line {line}: {node.value[:40]!r} cannot be read", "put it in quotes") from error

    def flatten_mapping(self, node: yaml.MappingNode) -> None:
        """Put merged keys (``<<``) in, once the node's own are known to stand once: those may replace merged ones."""
        if node not in self._flat:
            self._flat.add(node)
            seen: set[object] = set()
            for key_node, _ in node.value:
                if key_node.tag == _MERGE:
                    continue
                key = self.construct_object(key_node)
                line = key_node.start_mark.line + 1
                if not isinstance(key, str):
                    raise BadInputError(f"line {line}: the key {key!r} is not a word", "put it in quotes")
                if key in seen:
                    raise BadInputError(f"line {line}: {key} is given twice", "leave one out")
                seen.add(key)
        super().flatten_mapping(node)


def _need_bounded(top: yaml.Node) -> None:
    """Refuse a document that stands for more values than are read, its aliases followed, or for itself."""
    # Per node: 0 while its own parts are being counted, so meeting a 0 again is a node inside itself; then
    # how many values it stands for. Each node is counted once, however many aliases name it: time goes by the
    # text, not by its meaning.
    sizes: dict[int, int] = {}

    def size(node: yaml.Node) -> int:
        known = sizes.get(id(node))
        line = node.start_mark.line + 1
        if known == 0:
            raise BadInputError(f"line {line}: this holds itself", "write it out, as deep as it is meant")
        if known is not None:
            return known
        sizes[id(node)] = 0
        below: list[yaml.Node] = []
        if isinstance(node, yaml.MappingNode):
            below = [each for pair in node.value for each in pair]
        elif isinstance(node, yaml.SequenceNode):
            below = node.value
        total = sizes[id(node)] = 1 + sum(map(size, below))
        if total > _MOST_VALUES:
            raise BadInputError(f"line {line}: this stands for more than {_MOST_VALUES:,} values", "write fewer")
        return total

    size(top)
