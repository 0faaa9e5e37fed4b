"""Links and accesses that stand in files of their own: ``"file:office.link"`` where a link is written.

A file holds a link as a scenario would: one line, as ``rtcprobe link fit`` prints it, or keys; that of an access has
``up`` and ``down``, or one line for both.

Rule: what a file holds takes the place of its name before anything is judged. Settings and digest then say what was
    run, and a result can be run again without the file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from rtcprobe.errors import BadInputError
from rtcprobe.strictyaml import load_yaml
from rtcprobe.textfiles import read_text

__all__ = ["FILE", "value_with_files_read", "with_files_read"]

FILE: Final = "file:"
_LINES: Final = ("link", "legs")
_ACCESS: Final = "access"
_DEEPEST: Final = 2
"""An access's file may name one for each way; what goes deeper goes in circles."""
_SIDES: Final = ("caller", "callee")


def with_files_read(written: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """Return a scenario as it was written, with the text of files named as link, leg or access in place of the names.

    Raises:
        BadInputError: a file that cannot be read, or holds neither a line nor keys.
    """
    found = dict(written)
    for key in _LINES:
        if key in found:
            found[key] = _read(found[key], key, folder)
    for key in _SIDES:
        if isinstance(found.get(key), Mapping):
            found[key] = _placed(found[key], key, folder)
    parties = found.get("parties")
    if isinstance(parties, Mapping):
        found["parties"] = {
            name: _placed(each, f"parties.{name}", folder) if isinstance(each, Mapping) else each
            for name, each in parties.items()
        }
    return found


def value_with_files_read(keys: Sequence[str], value: Any, folder: Path) -> Any:
    """Return the ``value`` of one setting (``keys`` down to it) likewise: a file is looked for where it was named."""
    lines = keys[0] in _LINES or _ACCESS in keys
    found = _read(value, ".".join(keys), folder) if lines else value
    return _both_ways(found) if keys[-1] == _ACCESS and found is not value else found


def _placed(party: Mapping[str, Any], place: str, folder: Path) -> Mapping[str, Any]:
    access = party.get(_ACCESS)
    found = _read(access, f"{place}.{_ACCESS}", folder)
    return party if found is access else {**party, _ACCESS: _both_ways(found)}


def _both_ways(found: Any) -> Any:
    """Return what an access's file holds; of one line, that there and back."""
    return {"up": found, "down": found} if isinstance(found, str) else found


def _read(written: Any, place: str, folder: Path, depth: int = 0) -> Any:
    """Return ``written`` with files read; of keys, such as those of an access, each by itself."""
    if isinstance(written, Mapping):
        found = {key: _read(each, f"{place}.{key}", folder, depth) for key, each in written.items()}
        # The very same mapping where no file was named: what nobody changed stays what was written, to the byte of its
        # digest.
        return found if any(found[key] is not each for key, each in written.items()) else written
    if not isinstance(written, str) or not written.startswith(FILE):
        return written
    path = folder / written.removeprefix(FILE)
    if depth == _DEEPEST:
        raise BadInputError(f"{place}: {path} is named by a file that a file names", "write the link itself")
    try:
        inside = load_yaml(read_text(path))
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"{place}: {path} cannot be read", str(reason)) from error
    except BadInputError as error:
        raise error.within(f"{place}: {path}") from error
    if not isinstance(inside, str | Mapping):
        raise BadInputError(f"{place}: {path} holds no link", "write a line like delay 40ms loss 1%, or keys")
    # Names in a file are seen from that file's own folder.
    return _read(inside, place, path.parent, depth + 1)
