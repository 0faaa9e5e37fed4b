"""Who imports whom, read from the sources: the table of the house, and the one seam."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "rtcprobe"

# Each package may import only those of lower levels; those of one level never import each other.
LEVELS = (
    ("__init__", "lazily"),
    ("errors",),
    ("textfiles",),
    ("strictyaml", "shelf"),
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
LEVEL_OF = {package: level for level, packages in enumerate(LEVELS) for package in packages}


@cache
def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if "_scenarios" not in path.parts)


def package_of(path: Path) -> str:
    first = path.relative_to(ROOT).parts[0]
    return first.removesuffix(".py")


# Statements stand alone on their lines, which the linter sees to; taking whole syntax trees apart takes a second.
IMPORT = re.compile(r"^ *(?:import (.+)|from (\S+) import (?:\(([^)]*)\)|(.+)))", re.MULTILINE)


@cache
def imported(path: Path) -> tuple[str, ...]:
    return tuple(_imported(path))


def _imported(path: Path) -> Iterator[str]:
    yield from _imported_of(path.read_text(encoding="utf-8"), path)


def _imported_of(text: str, path: Path) -> Iterator[str]:
    for modules, source, many, few in IMPORT.findall(text):
        assert not source.startswith("."), f"{path}: relative imports hide the layer"
        names = [each.split()[0] for each in re.sub("#.*", "", modules or many or few).split(",") if each.strip()]
        yield from (f"{source}.{name}" if source else name for name in names)


def test_a_package_imports_only_what_the_map_has_above_it():
    for path in modules():
        here = package_of(path)
        for name in imported(path):
            parts = name.split(".")
            if parts[0] != "rtcprobe" or len(parts) < 2:
                continue
            there = parts[1] if parts[1] in LEVEL_OF else "__init__"
            assert there == here or LEVEL_OF[there] < LEVEL_OF[here], f"{path} imports {name}"


def test_no_module_waits_for_itself_to_be_loaded():
    names = {
        ".".join(path.relative_to(ROOT.parent).with_suffix("").parts).removesuffix(".__init__"): path
        for path in modules()
    }
    needs = {}
    for name, path in names.items():
        # What stands at the margin is loaded with the module; what is indented waits, or is there for types alone.
        at_the_margin = re.sub(r"^ +(?=import |from )", "#", path.read_text(encoding="utf-8"), flags=re.MULTILINE)
        wanted = (each.rpartition(".")[0] if each not in names else each for each in _imported_of(at_the_margin, path))
        needs[name] = {each for each in wanted if each in names} - {name}
    while ready := {name for name, others in needs.items() if not others}:
        needs = {name: others - ready for name, others in needs.items() if name not in ready}
    assert not needs


def test_aiortc_internals_are_touched_in_the_seam_alone():
    # Public classes are free to use from call/; modules below the packages are not.
    for path in modules():
        package = package_of(path)
        if package == "runtime" and path.stem.endswith("_seam"):
            continue
        stack = [name for name in imported(path) if name.split(".")[0] in {"aiortc", "aioice"}]
        assert not stack or package in {"call", "runtime"}, path
        assert all(not part.startswith("_") for name in stack for part in name.split(".")), path


def test_a_pure_package_has_no_clock_and_no_global_randomness():
    banned = {"time", "asyncio", "random", "socket", "threading", "secrets", "uuid"}
    pure = [path for path in modules() if LEVEL_OF[package_of(path)] < LEVEL_OF["runtime"]]
    assert pure
    for path in pure:
        assert banned.isdisjoint(name.split(".")[0] for name in imported(path)), path


def section(name: str, begin: str, end: str) -> str:
    text = (ROOT.parent / name).read_text(encoding="utf-8")
    return text[text.index(begin) : text.index(end)] if end else text[text.index(begin) :]


def test_the_maps_name_every_package_each_below_what_it_imports():
    packages = {package_of(path) for path in modules()} - {"__init__", "__main__"}
    table = section("README.md", "**Packages**", "**I want to add")
    rows = re.findall(r"^\|[^|]*\|([^|]*)\|", table, re.MULTILINE)
    named = [name.removesuffix(".py").rstrip("/") for row in rows for name in re.findall("`([^`]+)`", row)]
    assert sorted(named) == sorted(packages)
    assert [LEVEL_OF[name] for name in named] == sorted(LEVEL_OF[name] for name in named)
    pure = [name for row in rows[: rows.index(" *here time begins* ")] for name in re.findall(r"`(\w+)", row)]
    assert {name for name in packages if LEVEL_OF[name] < LEVEL_OF["runtime"]} == set(pure)
    told = set(
        re.findall("``([a-z_]+)``", (ROOT / "__init__.py").read_text(encoding="utf-8").partition("From Python")[0])
    )
    assert told == packages


@pytest.mark.parametrize(
    "drawn",
    [("README.md", "## The ten-minute map", "MIT licence"), ("CONTRIBUTING.md", "# Working on rtcprobe", "")],
    ids=["README", "CONTRIBUTING"],
)
def test_whatever_the_map_sends_a_newcomer_to_is_there(drawn):
    named = re.findall(r"`([\w./]+(?:\.py|/))(?:::(\w+))?`", section(*drawn))
    assert len(named) > 60
    for path, name in named:
        beside = path.split("/")[0] in {"tests", "scenarios", "benchmarks", ".ci", "rtcprobe"}
        place = (ROOT.parent if beside else ROOT) / path
        assert place.exists(), path
        defined = rf"^(?: *(?:async )?(?:def|class) )?{name}\b"
        assert not name or re.search(defined, place.read_text(encoding="utf-8"), re.MULTILINE), f"{path}::{name}"
