"""The situations that come with rtcprobe, found in a checkout (``scenarios/``) and in an installation alike."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from rtcprobe.errors import BadInputError, nearest, same_name
from rtcprobe.strictyaml import load_yaml
from rtcprobe.textfiles import read_text

if TYPE_CHECKING:
    from rtcprobe.scenario.model import Scenario

__all__ = ["find_scenario", "library", "library_folder", "serves"]

_SUFFIXES = (".yaml", ".yml")


def library_folder() -> Path:
    """Return the folder of the scenarios: ``rtcprobe/_scenarios`` in a wheel, ``scenarios/`` beside the package.

    Raises:
        BadInputError: neither is there.
    """
    package = Path(__file__).parents[1]
    # A wheel carries them within the package; a checkout has them beside it, where they are edited.
    for folder in (package / "_scenarios", package.parent / "scenarios"):
        if folder.is_dir():
            return folder
    raise BadInputError("this installation has no scenarios", "give the path of a scenario file, or install again")


def library() -> tuple[str, ...]:
    """Return the names of the scenarios that come with rtcprobe, in alphabetical order."""
    return tuple(sorted(path.stem for path in library_folder().glob("*.yaml")))


def serves(name: str) -> str:
    """Return whom the scenario ``name`` of the library serves; its situation is not looked at, which takes no time."""
    return str(load_yaml(read_text(library_folder() / f"{name}.yaml"))["serves"])


def find_scenario(name_or_path: str, settings: Sequence[str] = ()) -> Scenario:
    """Return the scenario of that name in the library, or in the file at that path, with ``settings`` changed.

    Raises:
        BadInputError: no such name or file (the nearest names are offered), or a scenario that cannot be meant.
    """
    from rtcprobe.scenario.read import read_scenario  # noqa: PLC0415 - half a second that a list of names need not pay

    path = Path(name_or_path)
    # What looks like a path is one: a name of the library has neither a suffix nor a slash.
    if path.suffix in _SUFFIXES or len(path.parts) > 1:
        return read_scenario(path, settings)
    known = library()
    name = same_name(name_or_path, known)
    if name is not None:
        return read_scenario(library_folder() / f"{name}.yaml", settings, called=f"scenario {name}")
    near = nearest(name_or_path, known)
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}, or give a .yaml file"
    raise BadInputError(f"scenario {name_or_path!r} is not known", hint)
