"""The page of a comparison, from sides built by hand."""

import re
from dataclasses import replace
from html.parser import HTMLParser

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.html import render_comparison
from rtcprobe.verdict import Comparison, Difference, Estimate, Place, RankedMetric, Ranking
from rtcprobe.verdict.sides import Side

HOSTILE = "<script>alert(1)</script>"


def side(label):
    return Side(
        label=label,
        scenario="1v1-social",
        scenario_digest="d",
        clock="virtual",
        target="loopback",
        seeds=(1, 2),
        joins=40,
    )


def moved(part="", *, metric="join.first_audio", a=0.5, b=0.6, verdict="worse", **more):
    return Difference(
        metric=metric,
        aggregate="p50" if not part else "mean",
        unit="s",
        a=Estimate(value=a, low=a - 0.01, high=a + 0.01),
        b=Estimate(value=b, low=b - 0.01, high=b + 0.01),
        difference=b - a,
        low=0.08,
        high=0.12,
        detectable=0.03,
        verdict=verdict,
        part=part,
        **more,
    )


def pair(a, b):
    return Comparison(
        a=side(a),
        b=side(b),
        paired=True,
        confidence=0.95,
        differences=(
            moved(note=HOSTILE),
            moved(metric="mouth_to_ear.caller_to_callee", b=0.5, verdict="no difference shown"),
        ),
        phases=(moved("ice", a=0.2, b=0.2), moved("dtls", a=0.3, b=0.4)),
        stages=(moved("jitter_buffer", a=0.05, b=0.06, direction="caller_to_callee"),),
        timers=(moved("stun", a=0.01, b=0.02), moved("dtls", a=0.0, b=0.1)),
    )


def ranked(*labels):
    pairs = tuple(pair(a, b) for index, a in enumerate(labels) for b in labels[index + 1 :])
    places = tuple(
        Place(label=label, estimate=moved().a, letters="a" if label == labels[0] else "b") for label in labels
    )
    metric = RankedMetric(
        metric="join.first_audio",
        aggregate="p50",
        unit="s",
        places=places,
        best=labels[:1],
        pairs={(each.a.label, each.b.label): each.differences[0] for each in pairs},
    )
    return Ranking(
        sides=tuple(map(side, labels)), confidence=0.95, metrics=(metric,), pairs=pairs, notes=("equal seeds",)
    )


class Words(HTMLParser):
    """The cells of a page's tables, row by row, and its tags."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.rows, self.ids, self.inside = [], [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.ids += [value for name, value in attrs if name == "id"]
        if tag == "tr":
            self.rows.append([])
        elif tag in {"td", "th"} and self.rows:
            self.rows[-1].append("")
            self.inside = True

    def handle_endtag(self, tag):
        self.inside &= tag not in {"td", "th"}

    def handle_data(self, data):
        if self.inside:
            self.rows[-1][-1] = " ".join(f"{self.rows[-1][-1]} {data}".split())


def test_two_sides_stand_next_to_each_other_with_what_could_have_been_shown(make_result):
    runs = [(label, [make_result(), make_result(seed=2)]) for label in ("old", "new")]
    page = render_comparison([ranked("old", "new")], runs)
    row = next(each for each in Words(page).rows if each and each[0].startswith("join first audio p50"))
    assert row[1:] == [
        "500.0 [490.0–510.0]",
        "600.0 [590.0–610.0]",
        "+100.0 [+80.0 to +120.0]",
        "30.0 ms",
        "worse",
    ]
    assert "new is worse in join first audio p50 (+100.0 ms)." in page
    assert page.count('<svg class="chart') == 3  # joins, and the two directions that were measured
    assert "A: 40 of 40, median 487.0 ms." in page


def test_phases_are_contiguous_on_one_scale_and_timers_begin_at_zero():
    page = render_comparison([ranked("old", "new")])
    assert "<svg" not in page  # without the runs there is nothing to draw
    drawn = re.findall(r"left:([\d.]+)%;width:([\d.]+)%", page)
    # phases of 500 and 600 ms on a scale of 600; timers of 10 and 120 ms on one of 120; stages of 50 and 60 ms
    assert drawn[:4] == [("0.00", "33.33"), ("33.33", "50.00"), ("0.00", "33.33"), ("33.33", "66.67")]
    assert {left for left, _ in drawn[4:]} == {"0.00"}
    assert [width for _, width in drawn[4:]] == ["8.33", "16.67", "83.33", "83.33", "100.00"]


def test_of_three_sides_the_ranks_come_first_and_every_pair_is_there():
    found = Words(render_comparison([ranked("old", "new", "newer")]))
    row = next(each for each in found.rows if each and each[0] == "join first audio p50, ms")
    assert row[1:] == ["a 500.0 [490.0–510.0]", *["b 500.0 [490.0–510.0]"] * 2, "real"]
    assert sum(bool(each) and each[-1] == "worse" for each in found.rows) == 3
    assert len(found.ids) == len(set(found.ids))


def test_labels_and_notes_are_escaped():
    wild = ranked(HOSTILE, "new")
    page = render_comparison([replace(wild, notes=(HOSTILE,))], title=HOSTILE)
    assert "script" not in Words(page).tags
    assert page.count("&lt;script&gt;alert(1)") >= 5


def test_comparisons_that_make_no_page_are_refused():
    with pytest.raises(BadInputError, match=r"^there is no comparison to show: compare two results or more$"):
        render_comparison([])
    many = replace(ranked("a", "b"), sides=tuple(side(str(index)) for index in range(13)))
    with pytest.raises(BadInputError, match=r"^13 sides make no page: compare 12 or fewer$"):
        render_comparison([many])
