"""Every packet of a transport numbered, and told of: what both sides note of it is what the wire did."""

import asyncio
import re
import types
from itertools import pairwise

import numpy as np
import pytest
from tracks import CLEAN, ONE_WAY_S, Asking, camera, run, sound_and_picture, two

from rtcprobe.call.transceiver import PictureWanted
from rtcprobe.control.feedback import EXTENSION_URI, TICK_S, Feedback
from rtcprobe.link import Delay, LinkSpec, LossTrace
from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.transport_cc_seam import TransportCc


def called(wanted=sound_and_picture, link=CLEAN, *, sides=(True, True)):
    """Return the numbers that each side noted, and the packets that left, by source."""

    async def main():
        async with two(wanted, link, transport_cc=sides) as (ana, ben):
            await asyncio.sleep(2.5)
            return [peer.tap.numbers for peer in (ana, ben)], [ana.said(section).departures for section in ana.sections]

    return run(main)


def test_one_counter_runs_over_sound_and_picture():
    (ana, ben), departures = called()
    assert [each.number for each in ana.left] == list(range(50 + 90))
    assert len({each.ssrc for each in ana.left}) == 2
    wire = sorted((each.at_s, each.ssrc, each.size_bytes) for sent in departures for each in sent)
    assert sorted((each.at_s, each.ssrc, each.size_bytes) for each in ana.left) == wire
    assert [each.number for each in ben.came] == [each.number for each in ana.left]
    assert [each.at_s for each in ben.came] == pytest.approx([each.at_s + ONE_WAY_S for each in ana.left], abs=1e-6)


def test_the_far_side_tells_of_each_when_it_came():
    (ana, ben), _ = called()
    told = {
        (report.base + place) & 0xFFFF: ticks * TICK_S
        for _, report in ana.told
        for place, ticks in enumerate(report.arrivals())
        if ticks is not None
    }
    came = {each.number: each.at_s for each in ben.came}
    assert len(told) == 140
    assert told == pytest.approx(came, abs=TICK_S / 2 + 1e-9)
    # Every 100 ms while something comes, and half a round trip back.
    asked_s = [at_s - ONE_WAY_S for at_s, _ in ana.told]
    assert all(0.0 < later - sooner < 0.21 for sooner, later in pairwise(asked_s))


def test_what_is_lost_is_told_so_and_what_is_sent_again_has_a_number_of_its_own():
    lost = {30, 31, 45}
    link = LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=LossTrace(lost=tuple(n in lost for n in range(400))))

    def pictures(name, network, may):
        track = camera(network, may) if name == "ana" else None
        return [PictureWanted(track=track, watch=lambda feedback, _network: Asking(feedback))]

    (ana, ben), (departures,) = called(pictures, link)
    assert [each.number for each in ana.left] == list(range(len(departures)))
    missing = {each.number for each in ana.left} - {each.number for each in ben.came}
    assert 1 <= len(missing) <= 3
    again = [each for each in ana.left if each.ssrc == departures[-1].ssrc]
    assert len(departures) - 90 == len(missing) == len([each for each in ana.left if each.ssrc != ana.left[0].ssrc])
    assert again
    told_lost = {
        (report.base + place) & 0xFFFF
        for _, report in ana.told
        for place, ticks in enumerate(report.arrivals())
        if ticks is None
    }
    assert missing <= told_lost


def test_a_report_names_a_source_that_came_for_libwebrtc_heeds_no_other():
    (ana, _), _ = called()
    sources = {each.ssrc for each in ana.left}
    assert {report.media_ssrc for _, report in ana.told} <= sources
    assert not {report.sender_ssrc for _, report in ana.told} & {0, 1}


@pytest.mark.parametrize(
    ("sides", "tells", "answered"),
    [
        ((True, True), "transport-cc", "transport-cc"),
        ((True, False), "goog-remb", "goog-remb"),
        ((False, True), "goog-remb", "goog-remb"),
        ((False, False), "goog-remb", "goog-remb"),
    ],
)
def test_who_may_be_told_of_the_line_in_two_ways_is_told_in_the_better_one_alone(sides, tells, answered):
    descriptions = []

    def noted(text):
        descriptions.append(text)
        return text

    async def main():
        async with two(sound_and_picture, transport_cc=sides, change=noted) as peers:
            return [peer.pictures[0].agreed.tells for peer in peers]

    assert run(main) == [tells, tells]
    _, answer = descriptions
    assert {kind for kind in ("goog-remb", "transport-cc") if kind in answer} == {answered}


@pytest.mark.parametrize(("offered", "answered"), [(9, 9), (9, 4), (4, 9), (14, 12)])
def test_whatever_number_the_extension_has_on_either_side_the_call_goes_on(offered, answered):
    """RFC 8285 §5 wants one number of both; a number that stands twice in a section is taken once (``section``)."""
    numbers = iter((offered, answered))

    def renumbered(text):
        return re.sub(rf"extmap:\d+ {EXTENSION_URI}", f"extmap:{next(numbers)} {EXTENSION_URI}", text)

    async def main():
        async with two(sound_and_picture, transport_cc=(True, True), change=renumbered) as (ana, ben):
            await asyncio.sleep(1.0)
            return ana.tap.numbers, len(ben.pictures[0].arrivals), len(ben.sound.arrivals)

    noted, pictures, sounds = run(main)
    assert pictures > 50
    assert sounds > 40
    if offered == answered == 9:
        assert len(noted.left) > 90
        assert noted.told


def test_rubbish_and_reports_of_packets_never_sent_are_no_more_than_noted():
    """Seeded bytes of every kind of RTCP there is, and one report twice, of numbers that wrap and were never sent."""
    random = np.random.default_rng(1)
    foreign = Feedback(sender_ssrc=1, media_ssrc=2, base=65_530, reference=-5, count=255, deltas=(4, None, -9, 700) * 5)

    async def main():
        async with two(sound_and_picture, transport_cc=(True, True)) as (ana, ben):
            await asyncio.sleep(0.5)
            before = len(ana.tap.numbers.told)
            for _ in range(2):
                ana.tap.numbers._read(foreign.to_bytes())
            for _ in range(2000):
                size = int(random.integers(0, 60))
                ana.tap.numbers._read(bytes([0x8F, 205]) + random.bytes(size))
                ben.tap.numbers.received(
                    bytes([0x90 | int(random.integers(0, 16)), 111]) + random.bytes(10 + size), 0.5
                )
            await asyncio.sleep(0.5)
            told = [report for _, report in ana.tap.numbers.told[before:]]
            return told.count(foreign), len(ben.pictures[0].arrivals), ana.failed.is_set()

    twice, pictures, failed = run(main)
    assert twice == 2
    assert pictures > 50
    assert not failed


def test_nothing_is_numbered_unless_both_sides_know_it():
    for sides in ((True, False), (False, True), (False, False)):
        numbers, _ = called(sides=sides)
        assert [None if each is None else (each.left, each.came, each.told) for each in numbers] == [
            ([], [], []) if asked else None for asked in sides
        ]


def test_a_name_that_moved_is_said_in_one_sentence():
    with pytest.raises(aiortc_seam.SeamError, match=r"^SimpleNamespace\._rtp_header_extensions_map is gone"):
        TransportCc(types.SimpleNamespace(), None)
