"""Pictures that a server forwarded: its own numbers and times, and whose they were."""

import numpy as np
import pytest

from rtcprobe.hearing.eyes import see
from rtcprobe.hearing.relate_pictures import related_pictures
from rtcprobe.picture.film import Film, Reel
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.recording import CameVideo, Departure, Said, VideoArrival

FRAMES = 24


@pytest.fixture(scope="module")
def sent():
    """Return a reel shown once, what left of it, and the packets, each 40 ms later."""
    reel = Reel(Film(VideoSettings(width=160, height=120, fps=15, bitrate_bps=150_000)), FRAMES)
    departures, arrivals, number = [], [], 65_530
    for frame in range(FRAMES):
        payloads, ticks = reel.payloads(frame, key=False), (2**32 - 9000 + frame * 6000) % 2**32
        for place, payload in enumerate(payloads):
            at_s = frame / 15
            departures.append(Departure(at_s, number % 2**16, ticks, len(payload), 5))
            marker = place == len(payloads) - 1
            arrivals.append(VideoArrival(at_s + 0.040, 5, number % 2**16, ticks, marker, payload, 97))
            number += 1
    said = Said(
        party="caller", frames=(), ptime_s=1 / 15, started_s=0.0, finished=True, departures=departures, medium="video"
    )
    return said, reel, arrivals


def came(arrivals):
    return CameVideo(listener="callee", arrivals=arrivals, agreed=None, forwarded=True)


def forwarded(each, numbers, ticks, descriptor=b""):
    """Return a packet as a server passes it on; ``descriptor``: VP8's, written anew."""
    return each._replace(
        ssrc=9,
        sequence=(each.sequence + numbers) % 2**16,
        timestamp=(each.timestamp + ticks) % 2**32,
        payload=descriptor + each.payload[4:] if descriptor else each.payload,
    )


def test_numbers_and_times_of_a_servers_own_are_taken_off(sent):
    said, reel, arrivals = sent
    passed = [forwarded(each, 1234, 987_654_321) for each in arrivals]
    found = related_pictures(said, came(passed), reel)
    assert [(each.sequence, each.timestamp) for each in found.arrivals] == [
        (each.sequence, each.timestamp) for each in arrivals
    ]
    assert see(said, found, reel, policy="asap").count("seen") == FRAMES


def test_a_descriptor_written_anew_and_a_switch_in_the_middle_change_nothing(sent):
    said, reel, arrivals = sent
    middle = len(arrivals) // 2
    passed = [forwarded(each, 7, 11) for each in arrivals[:middle]]
    passed += [forwarded(each, 40_000, 2**31, b"\x90\x80\x92\x34") for each in arrivals[middle:]]
    found = related_pictures(said, came(passed), reel)
    assert [each.timestamp for each in found.arrivals] == [each.timestamp for each in arrivals]


def test_another_picture_is_nobodys(sent):
    said, reel, arrivals = sent
    chance = np.random.default_rng(1)
    strange = [each._replace(payload=chance.bytes(len(each.payload))) for each in arrivals]
    found = related_pictures(said, came(strange), reel)
    assert found.arrivals == []
    assert see(said, found, reel).count("lost") == FRAMES
