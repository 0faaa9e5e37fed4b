"""What a browser filmed and encoded, watched by a receiver of ours: each frame known twice, whole or harmed."""

import math

import numpy as np
import pytest

from rtcprobe.hearing.eyes import Constants
from rtcprobe.hearing.glimpses import see_glimpses
from rtcprobe.hearing.looking import look
from rtcprobe.picture.film import Film, Reel
from rtcprobe.picture.settings import CODECS, VideoSettings
from rtcprobe.recording import CameVideo, Departure, Filmed, VideoArrival

FRAMES, FPS, WAY_S = 24, 15, 0.040


@pytest.fixture(scope="module", params=CODECS)
def shown(request):
    """Return what was filmed, and its packets 40 ms later."""
    settings = VideoSettings(width=160, height=120, fps=FPS, bitrate_bps=150_000, codec=request.param)
    reel, departures, arrivals = Reel(Film(settings), FRAMES), [], []
    for frame in range(FRAMES):
        payloads, ticks = reel.payloads(frame, key=False), 7_000 + frame * 6_000
        for place, payload in enumerate(payloads):
            at_s, number = frame / FPS + 1e-4 * (place + 1), len(arrivals)
            departures.append(Departure(at_s, number, ticks, len(payload), 5))
            last = place == len(payloads) - 1
            arrivals.append(VideoArrival(at_s + WAY_S, 5, number, ticks, last, payload, 97))
    filmed = Filmed(
        numbers=np.arange(FRAMES),
        at_s=np.arange(FRAMES) / FPS,
        departures=departures,
        fps=FPS,
        size=settings.size,
        since_s=-math.inf,
        until_s=math.inf,
    )
    return filmed, arrivals, settings.codec


def seen(filmed, arrivals, codec):
    came = CameVideo(listener="ben", arrivals=arrivals, agreed=None, begun_s=0.0, forwarded=False, there_and_back=False)
    return see_glimpses(filmed, look(came, "libwebrtc", codec, nack=False), Constants())


def test_every_frame_is_known_by_its_number_and_by_its_time_and_no_sooner_than_it_can_be(shown):
    found = seen(*shown)
    assert found.w3c["framesIdentifiedTwice"] == found.w3c["framesIdentifiedAlike"] == FRAMES
    assert [each.fate for each in found.frames] == ["seen"] * FRAMES
    for each in found.frames:
        assert sum(each.stages_s) == pytest.approx(each.shown_s - each.filmed_s + sum(_assumed()))
        assert each.shown_s - each.filmed_s > WAY_S


def test_a_frame_that_lost_a_packet_is_lost_and_none_is_taken_for_another(shown):
    filmed, arrivals, codec = shown
    gone = {each.sequence for each in arrivals if each.timestamp == 7_000 + 10 * 6_000}
    found = seen(filmed, [each for each in arrivals if each.sequence not in gone], codec)
    assert found.frames[10].fate == "lost"
    assert all(each.fate == "seen" for each in found.frames[:10])
    assert found.w3c["framesIdentifiedTwice"] == found.w3c["framesIdentifiedAlike"]


def test_of_nothing_that_came_nothing_is_seen(shown):
    filmed, _, codec = shown
    assert {each.fate for each in seen(filmed, [], codec).frames} == {"lost"}


def _assumed():
    constants = Constants()
    return constants.capture_s, constants.encode_s, constants.display_s
