"""Languages: one table each, nothing said that it lacks, nothing in it that is not said."""

import ast
import io
import re
from functools import cache
from pathlib import Path
from string import Formatter

import pytest
from rich.console import Console

from rtcprobe.errors import BadInputError
from rtcprobe.report.html import render_report
from rtcprobe.report.lines import cell_width
from rtcprobe.report.sentences import counted
from rtcprobe.report.terminal import print_result
from rtcprobe.report.words import LANGUAGES, RETOLD, retold, say, speaking
from rtcprobe.verdict import judge, parse_budget

REPORT = Path(__file__).parents[2] / "rtcprobe" / "report"


def literals(node):
    """Yield the texts an argument can be: itself, or either side of an if."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.IfExp):
        yield from literals(node.body)
        yield from literals(node.orelse)


@cache
def said_in_sources():
    texts = set()
    for path in REPORT.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "say" and node.args:
                texts.update(literals(node.args[0]))
    for path in REPORT.rglob("*.j2"):
        found = re.findall(r"""say\((?:"([^"]*)"|'([^']*)')""", path.read_text(encoding="utf-8"))
        texts.update(double or single for double, single in found)
    return texts


def places(text):
    return sorted((name, spec) for _, name, spec, _ in Formatter().parse(text) if name is not None)


def sources():
    """Return what all modules say, but the tables of languages: a table would bear itself out."""
    return [path.read_text(encoding="utf-8") for path in REPORT.parent.rglob("*.py") if path.stem not in LANGUAGES]


OTHERS = sorted(set(LANGUAGES) - {"en"})


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_every_text_that_is_said(language):
    assert said_in_sources() - set(LANGUAGES[language]) == set()


def test_every_language_retells_sentences():
    assert set(RETOLD) == set(LANGUAGES)


@pytest.mark.parametrize("language", OTHERS)
def test_a_text_has_the_same_places_in_every_language(language):
    unlike = {key: text for key, text in LANGUAGES[language].items() if places(key) != places(text)}
    assert unlike == {}


@pytest.mark.parametrize("language", OTHERS)
def test_a_language_has_no_sentence_that_nobody_says(language):
    source = "".join(sources())
    source += "".join(path.read_text(encoding="utf-8") for path in REPORT.rglob("*.j2"))
    unsaid = [key for key in LANGUAGES[language] if "{" in key and f'"{key}"' not in source]
    assert unsaid == []


def test_a_language_is_spoken_until_the_block_ends():
    assert say("Join") == "Join"
    with speaking("zh"):
        assert say("Join") == "进房"
        assert say("what nobody translated") == "what nobody translated"
    assert say("Join") == "Join"


def test_an_unknown_language_is_one_sentence():
    with pytest.raises(BadInputError, match=r"language 'fr' is not spoken: use one of en, zh"), speaking("fr"):
        pass


def test_a_screen_and_a_page_in_chinese_have_chinese_labels_and_their_figures(make_room):
    result = judge(make_room(), [parse_budget("mouth_to_ear p95 < 200ms")])
    with speaking("zh"):
        console = Console(file=io.StringIO(), width=80)
        print_result(result, console)
        page = render_report([result])
    lines = console.file.getvalue().splitlines()
    assert max(map(cell_width, lines)) <= 80
    for words in ("谁听谁", "嘴到耳时延", "链路", "指标要求", "抖动缓冲"):
        assert any(words in line for line in lines)
        assert words in page
    assert '<html lang="zh">' in page
    # What is left in English are names, budgets and reasons: no label of a row or a column.
    left = set(re.findall(r"<th scope=\"(?:row|col)\">([a-z ]{4,}(?:, ms)?)</th>", page))
    assert left <= {"rtcprobe", "python", "aiortc", "numpy", "system", "commit"}


@pytest.mark.parametrize("language", OTHERS)
def test_every_pattern_is_of_a_sentence_that_the_measurement_says(language):
    source = re.sub(r"\"\s*\n\s*f?\"", "", "\n".join(sources()))  # a sentence may go on in the next line
    whole = [written for written in RETOLD[language] if "{" in written]
    texts = [text.strip() for written in whole for text in re.split(r"\{\w+\}|[;:,()]", written)]
    assert [text for text in texts if len(text) > 7 and text not in source] == []


@pytest.mark.parametrize("language", OTHERS)
def test_a_pattern_has_the_same_places_in_every_language(language):
    assert {key: text for key, text in RETOLD[language].items() if places(key) != places(text)} == {}


@pytest.mark.parametrize(
    ("sentence", "said"),
    [
        ("p95 needs 20 samples, 11 were taken", "p95 需要 20 个样本，只有 11 个"),
        (
            "callee to caller: the limit lies inside the 95 % interval, which is open: another seed may decide otherwise; several calls (--calls 5 or more) would close it",  # noqa: E501
            "被叫 → 主叫：限值落在无界的 95% 区间之内：换个种子结论可能不同；多打几次（--calls 5 或更多）可使区间有界",
        ),
        ("host to eve: none of 20 markers was heard", "host → eve：20 个标记，一个也没有到"),
        (
            "join.failed mean <= 0%: 3 of 9 never came, later than any limit",
            "join.failed mean <= 0%：9 个中有 3 个从未到来，晚于任何限度",
        ),
        ("assumed: a join takes a server 20ms of work, 4 at a time (target.service)",
         "假设：每次进房占用服务器 20ms，同时 4 个（target.service）"),
        ("what nobody translated: at all", "what nobody translated: at all"),
    ],
)  # fmt: skip
def test_sentences_of_the_measurement_are_retold_and_others_left_as_they_are(sentence, said):
    assert retold(sentence) == sentence
    with speaking("zh"):
        assert retold(sentence) == said


def test_things_are_counted_as_a_language_counts():
    assert [counted(n, "join", "joins") for n in (1, 12)] == ["one join", "12 joins"]
    with speaking("zh"):
        assert [counted(n, "join", "joins") for n in (1, 12)] == ["一次进房", "12次进房"]


def test_what_stands_in_parentheses_in_chinese_stands_in_wide_ones():
    narrow = [
        said for said in {**LANGUAGES["zh"], **RETOLD["zh"]}.values() if re.search(r"\([^)]*[\u4e00-\u9fff]", said)
    ]
    assert narrow == []
