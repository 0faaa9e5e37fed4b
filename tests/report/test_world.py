"""The map: land where land is, ways the short way round, labels that cover nothing."""

import re

import pytest

from rtcprobe.link import REGIONS
from rtcprobe.report.html.world import Mark, _drawn, _land, world

SINGAPORE, TOKYO, OREGON, LIMA = (103.85, 1.29), (139.7, 35.7), (-121.2, 45.6), (-77.0, -12.0)


def drawn(marks, ways=()):
    return str(world(marks, ways, name="m", width="wide", label="a map"))


def test_a_way_across_the_date_line_is_drawn_to_both_rims():
    (start, end), (other_start, other_end) = _drawn([(TOKYO, OREGON)])
    assert start == TOKYO
    assert end == (pytest.approx(238.8), 45.6)
    assert other_start == (pytest.approx(-220.3), 35.7)
    assert other_end == OREGON
    assert list(_drawn([(TOKYO, SINGAPORE)])) == [(TOKYO, SINGAPORE)]


def test_most_regions_stand_on_land():
    """By crossings of a ray to the east; whole degrees put a harbour into the sea now and then."""

    def inside(x, y, ring):
        ends = zip(ring, [*ring[1:], ring[0]], strict=True)
        return (
            sum((a[1] > y) != (b[1] > y) and x < a[0] + (y - a[1]) * (b[0] - a[0]) / (b[1] - a[1]) for a, b in ends) % 2
        )

    rings = [ring.tolist() for ring in _land()]
    ashore = sum(any(inside(each.longitude, each.latitude, ring) for ring in rings) for each in REGIONS.values())
    assert ashore >= 0.7 * len(REGIONS)


def test_a_label_that_would_cover_another_is_left_out_and_what_was_chosen_is_named_first():
    crowd = [Mark(at=LIMA, kind="people", label=f"people-{number}", size=1.0) for number in range(40)]
    page = drawn([*crowd, Mark(at=LIMA, kind="chosen", label="lima")])
    assert ">lima</text>" in page
    assert len(re.findall(r">people-\d+</text>", page)) < 40


def test_equal_maps_are_equal_to_the_byte():
    marks = [Mark(at=TOKYO, kind="people", label="tokyo", size=0.5), Mark(at=OREGON, kind="other", label="oregon")]
    assert drawn(marks, [(TOKYO, OREGON)]) == drawn(marks, [(TOKYO, OREGON)])
