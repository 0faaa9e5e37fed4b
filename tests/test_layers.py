"""Who imports whom, read from the sources: the table of the house, and the one seam."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "rtcprobe"

# Each room may import only rooms of lower levels; rooms of one level never import each other.
LEVELS = (
    ("__init__", "lazily"),
    ("errors",),
    ("textfiles", "shelf"),
    ("strictyaml",),
    ("units", "secrets", "ways", "wrapping"),
    ("link", "audio", "picture", "messages", "playout", "control", "quality", "timeline", "ice"),
    ("recording", "conversation"),
    ("result",),
    ("verdict",),
    ("scenario", "capture", "adaptation"),
    ("fit", "hearing", "model"),
    ("runtime",),
    ("call",),
    ("selftest", "selftest_voice", "probe", "listening"),
    ("placement", "sweep"),
    ("report",),
    ("exporter",),
    ("cli", "pytest_plugin"),
    ("__main__",),
)
LEVEL_OF = {room: level for level, rooms in enumerate(LEVELS) for room in rooms}


@cache
def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "_scenarios" not in path.parts)


def room_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


# Statements stand alone on their lines, which the linter sees to; taking whole syntax trees apart takes a second.
IMPORT = re.compile(r"^ *(?:import (.+)|from (\S+) import (?:\(([^)]*)\)|(.+)))", re.MULTILINE)


@cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    for modules, source, many, few in IMPORT.findall(path.read_text(encoding="utf-8")):
        assert not source.startswith("."), f"{path}: relative imports hide the layer"
        names = [each.split()[0] for each in re.sub("#.*", "", modules or many or few).split(",") if each.strip()]
        yield from (f"{source}.{name}" if source else name for name in names)


def test_a_room_imports_only_rooms_below_it():
    for path in modules():
        here = room_of(path)
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "rtcprobe" or len(parts) < 2:
                continue
            there = parts[1] if parts[1] in LEVEL_OF else "__init__"
            assert there == here or LEVEL_OF[there] < LEVEL_OF[here], f"{path} imports {name}"


def test_aiortc_internals_are_touched_in_the_seam_alone():
    # Public classes are free to use from call/; modules below the packages are not.
    for path in modules():
        room = room_of(path)
        if room == "runtime" and path.stem.endswith("_seam"):
            continue
        stack = [name for name in imported(path) if name.split(".")[0] in {"aiortc", "aioice"}]
        assert not stack or room in {"call", "runtime"}, path
        assert all(not part.startswith("_") for name in stack for part in name.split(".")), path


def test_a_pure_room_has_no_clock_and_no_global_randomness():
    banned = {"time", "asyncio", "random", "socket", "threading", "secrets", "uuid"}
    pure = [path for path in modules() if LEVEL_OF[room_of(path)] < LEVEL_OF["runtime"]]
    assert pure
    for path in pure:
        assert banned.isdisjoint(name.split(".")[0] for name in imported(path)), path


def test_the_maps_name_every_room():
    rooms = {room_of(path) for path in modules()} - {"__init__", "__main__"}
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    drawn = readme[readme.index("## The ten-minute map") :]
    table = re.findall(r"^\| (`.+?`) \|", drawn, re.MULTILINE)
    named = {room.removesuffix(".py").rstrip("/") for row in table for room in re.findall("`([^`]+)`", row)}
    assert named == rooms
    told = set(
        re.findall("``([a-z_]+)``", (ROOT / "__init__.py").read_text(encoding="utf-8").partition("From Python")[0])
    )
    assert told == rooms


def test_every_file_that_the_map_sends_a_newcomer_to_is_there():
    readme = (ROOT.parent / "README.md").read_text(encoding="utf-8")
    drawn = readme[readme.index("## The ten-minute map") : readme.index("## Words")]
    there = {path.relative_to(ROOT).as_posix() for path in modules()}
    named = re.findall(r"`([a-z_/]+\.py)`", drawn)
    assert len(named) > 50
    lost = [name for name in named if not any(path == name or path.endswith(f"/{name}") for path in there)]
    assert not lost
