"""How large a function, a class and a module may be."""

import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "rtcprobe"

MOST = {"function": 50, "class": 200, "module": 400}
"""Lines, docstrings included, decorators not."""

DATA = {"report/words/zh.py"}
"""Tables, of which a module may be as long as it likes."""

OPENED = re.compile(r"( *)(?:async )?(def|class) (\w+)")


def sizes(path: Path) -> Iterator[tuple[str, str, int]]:
    """Yield kind, name and lines of a module, its classes and functions: what is indented deeper belongs to it."""
    name = path.relative_to(ROOT).as_posix()
    lines = path.read_text(encoding="utf-8").splitlines()
    yield "module", name, len(lines)
    within: list[tuple[int, str, str, int]] = []  # indentation, kind, name, first line
    last = 0  # the last line that is not empty
    for number, line in enumerate([*lines, "end"], 1):
        bare = line.lstrip()
        if not bare or bare.startswith(")"):  # a signature that ends on a line of its own
            last = number if bare else last
            continue
        while within and len(line) - len(bare) <= within[-1][0]:
            _, kind, inner, first = within.pop()
            yield kind, f"{name} {inner}", last - first + 1
        opened = OPENED.match(line)
        if opened:
            outer = f"{within[-1][2]}." if within else ""
            kind = "function" if opened[2] == "def" else "class"
            within.append((len(opened[1]), kind, f"{outer}{opened[3]}", number))
        last = number


def test_no_function_class_or_module_is_larger_than_can_be_taken_in_at_once():
    too_large = {
        name: lines
        for path in sorted(ROOT.rglob("*.py"))
        if "_scenarios" not in path.parts
        for kind, name, lines in sizes(path)
        if lines > MOST[kind] and name not in DATA
    }
    assert not too_large, f"divide these: {too_large}"


def test_what_is_measured_is_what_python_reads(tmp_path, monkeypatch):
    monkeypatch.setitem(globals(), "ROOT", tmp_path)
    path = tmp_path / "example.py"
    text = """
    class One:
        @property
        def short(self):
            return 1

        def long(
            self,
        ):
            def inner():
                pass

            return inner


    def last(): return 2
    """
    path.write_text("\n".join(line[4:] for line in text.splitlines()[1:-1]), encoding="utf-8")
    assert {name: lines for _, name, lines in sizes(path)} == {
        "example.py": 15,
        "example.py One": 12,
        "example.py One.short": 2,
        "example.py One.long": 7,
        "example.py One.long.inner": 2,
        "example.py last": 1,
    }
