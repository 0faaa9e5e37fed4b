"""A number, or a pattern, at the top of a module says where it is from or what it bounds."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent / "rtcprobe"

WITHOUT: dict[str, int] = {}
"""How many may still stand without a word, by room: none."""

ASSIGNED = re.compile(r"[A-Z_][A-Z0-9_, ]*(?:: [\w\[\]., ]+)? = (?:[-(]*\.?\d|re\.compile\()")


def wordless(path: Path) -> Iterator[str]:
    """Yield the lines that assign a number or a pattern and have no comment above or beside, and no words below."""
    lines = path.read_text(encoding="utf-8").splitlines()
    for place, line in enumerate(lines):
        if not ASSIGNED.match(line):
            continue
        end = place + 1
        while end < len(lines) and lines[end][:1] in {" ", ")", "]", "}"}:
            end += 1  # a statement over several lines
        above = place
        while above and lines[above - 1].strip():
            above -= 1  # a comment speaks for all that follow it without a gap
        below = end
        while below < len(lines) and lines[below].strip() and not lines[below].startswith('"""'):
            below += 1  # and so do the words below the last of them
        said = "#" in "".join(lines[above:end]) or (below < len(lines) and lines[below].startswith('"""'))
        if not said:
            yield line


def rooms() -> Counter[str]:
    found: Counter[str] = Counter()
    for path in sorted(ROOT.rglob("*.py")):
        found[path.relative_to(ROOT).parts[0]] += sum(1 for _ in wordless(path))
    return +found


def test_every_number_and_pattern_at_the_top_of_a_module_has_a_word_beside_it():
    more = {room: count for room, count in rooms().items() if count > WITHOUT.get(room, 0)}
    said = [
        f"{path.relative_to(ROOT)}: {line}"
        for path in sorted(ROOT.rglob("*.py"))
        if path.relative_to(ROOT).parts[0] in more
        for line in wordless(path)
    ]
    assert not more, "say where these are from, or what they bound:\n" + "\n".join(said)


def test_what_has_a_word_is_told_from_what_has_none(tmp_path):
    path = tmp_path / "example.py"
    path.write_text(
        'A = 1\n"""Said below."""\n\n# Said above, of both.\nB = 2\nC: Final = 3.0\n\nD = 4  # beside\n\n'
        'E = 5\n\n_F, _G = 6, 7\n\nH = re.compile(\n    r"x"\n)\n\nI = re.compile(r"y")\n"""Below."""\nname = 8\n'
        '\nJ = 9\nK = 10\n"""Of both."""\n'
    )
    assert list(wordless(path)) == ["E = 5", "_F, _G = 6, 7", "H = re.compile("]
