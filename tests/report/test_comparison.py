"""Sides next to each other: the screen and the Markdown of comparisons and checks."""

import pytest

from rtcprobe.report.comparison import ranking_lines, ranking_markdown
from rtcprobe.verdict import rank


@pytest.fixture
def runs(make_result, light):
    """Return three runs with seeds 1 to 3."""
    return [make_result(seed=seed, **light) for seed in (1, 2, 3)]


@pytest.fixture
def slow(runs, slower):
    return [slower(each, phase_s=0.066, stage_s=0.015) for each in runs]


def text(ranking):
    return "\n".join(line.plain.rstrip() for line in ranking_lines(ranking))


def test_what_is_really_different_is_said_once_where_people_look(runs, slow):
    rows = text(rank([("old", runs), ("new", slow)])).splitlines()
    screen = " ".join(" ".join(rows).split())
    assert "A old: three runs (seeds 1 to 3), 24 joins" in screen.partition("─ Join")[0]
    told = "new is worse in join first audio p50 (+66.0 ms), join first audio p95 (+66.0 ms)"
    assert screen.count(told) == 1
    assert told in screen[-400:]  # the figures fill more than a screen: who looks at its end sees it
    assert any(row.split()[-4:] == ["487.0", "553.0", "+66.0", "worse"] for row in rows)  # conftest: 487 ms
    assert any(row.split() == ["dtls", "246.0", "312.0", "+66.0", "worse"] for row in rows)  # 121 ms, 1 of 8 + 1 s
    assert sum(row.split() == ["device", "20.0", "35.0", "+15.0", "worse"] for row in rows) == 2


def test_equal_sides_show_no_difference(runs):
    screen = text(rank([("old", runs), ("again", runs)]))
    assert "No difference is shown between old and again." in screen
    assert " worse" not in screen.split("note:")[0]
    assert "could show" in screen


def test_three_sides_are_ranked_where_the_difference_is_real(runs, slow, slower):
    slowest = [slower(each, phase_s=0.2) for each in runs]
    screen = text(rank([("slowest", slowest), ("old", runs), ("new", slow)]))
    block = screen.split("─ join first audio p50, ms")[1].split("─ join")[0].splitlines()[1:]
    assert [row.split()[:3] for row in block] == [["a", "B", "old"], ["b", "C", "new"], ["c", "A", "slowest"]]
    assert block[1].split()[-4:] == ["+66.0", "[+66.0", "to", "+66.0]"]
    assert block[2].split()[-4:] == ["+200.0", "[+200.0", "to", "+200.0]"]
    assert "no difference shown" in next(row for row in screen.splitlines() if row.startswith("─ join failed"))
    # Phases stand in the order the files were given: 246 ms as it was, and what was planted.
    assert next(row.split() for row in screen.splitlines() if row.startswith(" dtls")) == [
        "dtls", "446.0", "246.0", "312.0",
    ]  # fmt: skip


def test_no_line_is_wider_than_the_screen(runs, slow):
    sides = [(f"a-rather-long-name-of-a-vendor-{i}", slow if i % 2 else runs) for i in range(4)]
    assert max(len(line.plain) for line in ranking_lines(rank(sides))) <= 80


def test_markdown_holds_the_same_figures_and_no_markup_from_outside(runs, slow):
    found = rank([("old", runs), ("<b>|new", slow)])
    markdown = ranking_markdown(found)
    assert "| join first audio p50, ms | 487.0 [" in markdown
    assert "| +66.0 [+66.0 to +66.0] |" in markdown
    assert "<b>" not in markdown
    assert "&#60;b&#62;&#124;new is worse in join first audio p50" in markdown
    assert "**(a)**" in ranking_markdown(rank([("a", runs), ("b", slow), ("c", slow)]))
