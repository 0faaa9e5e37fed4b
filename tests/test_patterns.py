"""No text of a stranger freezes a pattern: every one in the package reads our own text, or is tried on its worst."""

import importlib
import json
import re
import time
from functools import cache
from pathlib import Path

import pytest

from rtcprobe.call import faults
from rtcprobe.ice import servers_of_links
from rtcprobe.scenario import scenario_schema
from rtcprobe.secrets import scrub

ROOT = Path(__file__).resolve().parent.parent / "rtcprobe"
SIZE = 65_536
MOST_S = 0.050

INSIDE = {
    "conversation/synthesis.py:_PINYIN": "words of at most 40 letters",
    "conversation/synthesis.py:_SPELLING": "words of at most 40 letters",
    "exporter/config.py:_NAME": "names of at most 64 characters",
    "exporter/push.py:_LABEL": "flags of whoever runs it, one class repeated",
    "exporter/shelf.py:_OURS": "names of files that we made, bounded",
    "report/html/svg.py:_COLOUR": "what matplotlib drew",
    "report/html/svg.py:_FONT": "what matplotlib drew",
    "report/html/svg.py:_LONG_DECIMAL": "what matplotlib drew",
    "report/html/svg.py:_NO_TURN": "what matplotlib drew",
    "report/html/svg.py:_REFERENCE": "what matplotlib drew",
}
"""Patterns that read nothing from outside, and why; the one that is no constant is a secret, in ``secrets``."""

ATOMS = (
    " ",
    "a",
    "1",
    ".",
    "<",
    ">",
    ";",
    '"',
    "\\",
    "=",
    ":",
    "/",
    "://",
    "@",
    "&token=",
    "?key=",
    "{",
    "{a,",
    "a ",
    "1 ",
    "\r\n",
)
WORST = {
    "ice.py:_URL": ("turn:" + "a" * SIZE + "?", "turn:[" + ":" * SIZE),
    "secrets.py:_USERINFO": ("x://" + "a" * SIZE, "x://a" * (SIZE // 5), "a" * SIZE + "://" + ":" * SIZE),
    "secrets.py:_PARAMETER": ("?token" * (SIZE // 6), "?token=" + "*" * SIZE, "&key=***" * (SIZE // 8)),
    "secrets.py:_AUTHORIZATION": (
        "authorization" + " " * SIZE,
        "authorization:" + " " * SIZE + "'",
        "authorization: bearer" + " " * SIZE + "'",
        "authorization:" * (SIZE // 14),
    ),
    "units.py:_QUANTITY": ("1" * SIZE + " x1", "1" + " " * SIZE + "1", "1e" + "1" * SIZE + "!1", "." * SIZE),
    "verdict/budgets.py:_LINE": (
        "a" * SIZE,
        "a " + "a" * SIZE,
        "a p95" + " " * SIZE + "=",
        "a p95 <" + " " * SIZE + "(",
        "a p95 <" + "1 " * (SIZE // 2) + "(advisory",
        "a p95(" * (SIZE // 6),
    ),
    "verdict/budgets.py:_SHARE_ABOVE": ("share_above(" * (SIZE // 12),),
    "call/description.py:_CANDIDATE": ("a=candidate:" + "a" * SIZE, "a=candidate:1 1 udp " * 3_000),
    "call/targets/whip.py:_BRACES": ("{" * SIZE, "{" + "a" * SIZE + ",", "{a," * (SIZE // 3)),
    "result/files.py:_HEAD": (" " * SIZE, '{"schema":"' + "a" * SIZE, '{"schema" ' + " " * SIZE),
}  # fmt: skip
"""What is worst for a pattern that reads text from outside, beside 64 kB of each of ``ATOMS``."""


USED = re.compile(r"^([A-Z_][A-Z0-9_]*)(?:: Final)? = re\.compile\(", re.MULTILINE)
INLINE = re.compile(r"\bre\.(match|fullmatch|search|sub|finditer|findall|split)\((?:\s*(r?)\"((?:[^\"\\]|\\.)*)\")?")


@cache
def sources():
    return {path.relative_to(ROOT).as_posix(): path.read_text(encoding="utf-8") for path in sorted(ROOT.rglob("*.py"))}


def places():
    return sorted(f"{path}:{name}" for path, text in sources().items() for name in USED.findall(text))


def test_every_pattern_is_one_that_the_next_tests_can_find():
    inline = [(path, found) for path, text in sources().items() for found in INLINE.findall(text)]
    assert [path for path, (_, _, written) in inline if not written] == ["scenario/allowed.py"]  # the schema's own
    assert set(INSIDE) <= set(places()), "one that is gone"
    assert set(WORST) <= set(places()), "one that is gone"
    assert sum(len(re.findall(r"\bre\.compile\(", text)) for text in sources().values()) == len(places()) + 1


def spent_s(use, text):
    begun_s = time.process_time()
    use(text)
    return time.process_time() - begun_s


def try_hard(pattern, ways, *more):
    for worst in (*more, *((atom * SIZE)[:SIZE] + "\x00" for atom in ATOMS)):
        text = worst.encode() if isinstance(pattern.pattern, bytes) else worst
        for way in ways:
            use = {
                "sub": lambda text: pattern.sub("", text),
                "finditer": lambda text: list(pattern.finditer(text)),
            }.get(way, getattr(pattern, way))
            assert min(spent_s(use, text) for _ in range(2)) < MOST_S, (way, worst[:40])


@pytest.mark.parametrize("place", [place for place in places() if place not in INSIDE])
def test_a_pattern_that_reads_text_from_outside_is_done_with_the_worst_at_once(place):
    path, name = place.split(":")
    pattern = getattr(importlib.import_module("rtcprobe." + path.removesuffix(".py").replace("/", ".")), name)
    ways = set(re.findall(rf"\b{name}\.(match|fullmatch|search|sub|finditer|findall|split)\b", sources()[path]))
    assert ways, f"{place} is used in a way that is not known here"
    try_hard(pattern, ways, *WORST.get(place, ()))


def test_a_pattern_of_the_schema_is_done_with_the_worst_at_once():
    patterns = set(re.findall(r'"pattern": ("(?:[^"\\]|\\.)*")', json.dumps(scenario_schema())))
    assert len(patterns) > 10
    for pattern in patterns:
        try_hard(re.compile(json.loads(pattern)), {"search"})


def test_a_pattern_written_where_it_is_used_is_done_with_the_worst_at_once():
    for text in sources().values():
        for way, raw, written in INLINE.findall(text):
            try_hard(re.compile(written if raw else written.encode().decode("unicode_escape")), {way})


@pytest.mark.parametrize(
    "header",
    [
        "<" + " " * SIZE,
        "<a" + " " * SIZE + ">" + ";" * SIZE,
        "<a>;a=" + " " * SIZE,
        '<a>;a="' + "\\a" * SIZE,
        "<a>" + " ;a" * SIZE,
        "<" * SIZE,
        '<stun:h>;rel="ice-server",' * 2_500,
    ],
)
def test_a_link_header_is_read_at_once(header):
    assert min(spent_s(lambda text: servers_of_links([text]), header) for _ in range(2)) < MOST_S


@pytest.mark.parametrize(
    "body", ["<" * SIZE, "<script" * (SIZE // 7), "<script>" * (SIZE // 8), "<a>" * (SIZE // 3), "{" * SIZE]
)
def test_what_a_server_says_is_read_at_once(body):
    assert min(spent_s(faults._words, body.encode()) for _ in range(2)) < MOST_S


def test_what_a_server_says_is_what_a_browser_would_show():
    page = b"<html><STYLE>p {color: red}</Style ><p>Bad <b>token</b></p><script>if (1 < 2) {}</script>!</html>"
    assert faults._words(page).split() == ["Bad", "token", "!"]
    assert faults._words(b"rate 2 < 3").split() == ["rate", "2", "<", "3"]


@pytest.mark.parametrize(
    "text", [atom * (SIZE // len(atom)) for atom in (*ATOMS, "authorization: ", "bearer ", "a://b")]
)
def test_a_long_text_is_scrubbed_at_once(text):
    assert min(spent_s(scrub, text) for _ in range(2)) < MOST_S
