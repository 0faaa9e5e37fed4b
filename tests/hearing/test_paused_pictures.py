"""Pictures that a server left out for a while: that they stood then is no freeze, and what stood beside that is one."""

import pytest

from rtcprobe.hearing.eyes import see
from rtcprobe.picture.film import Film, Reel
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.recording import CameVideo, Departure, Said, VideoArrival

FRAMES, FPS, WAY_S = 135, 30, 0.200
LEFT_OUT = range(60, 90)


@pytest.fixture(scope="module")
def watched():
    """Return what is seen 200 ms later of a film of which frames 60 to 89, from 2 to 3 s, are left out.

    ``held`` are frames that come no sooner than the last of them, ``lost`` those of which nothing comes; frames 90 and
    120 are key frames.
    """
    film = Film(VideoSettings(width=160, height=120, fps=FPS, bitrate_bps=150_000))

    def seen(held=range(0), lost=()):
        reel = Reel(film, FRAMES)
        departures, arrivals, number = [], [], 0
        for frame in [each for each in range(FRAMES) if each not in LEFT_OUT]:
            payloads = reel.payloads(frame, key=frame in (90, 120))
            for place, payload in enumerate(payloads):
                at_s, ticks = frame / FPS, frame * 3000
                departures.append(Departure(at_s, number, ticks, len(payload), 5))
                came_s = (held[-1] if frame in held else frame) / FPS + WAY_S
                if frame not in lost:
                    marker = place == len(payloads) - 1
                    arrivals.append(VideoArrival(came_s, 5, number, ticks, marker, payload, 97))
                number += 1
        said = Said(
            party="ana", frames=(), ptime_s=1 / FPS, started_s=0.0, finished=True, departures=departures,
            medium="video", gaps_s=[(2.001, 2.999)],
        )  # fmt: skip
        return see(said, CameVideo(listener="ben", arrivals=arrivals, agreed=None), reel, policy="asap", nack=False)

    return seen


def test_a_picture_that_was_left_out_for_a_while_did_not_freeze(watched):
    account = watched()
    assert account.count("seen") == FRAMES - len(LEFT_OUT)
    assert (account.freezes_s, account.w3c["freezeCount"], account.w3c["totalFreezesDuration"]) == ([], 0, 0.0)
    # Of the frames, 1/30 s apart, the 31 from the last before the pause to the first behind it are left out.
    assert account.w3c["totalInterFrameDelay"] == pytest.approx((FRAMES - 1 - 31) / FPS, abs=0.002)


def test_one_that_froze_until_the_last_frame_before_and_one_whose_first_frame_behind_was_lost_froze_as_long(watched):
    account = watched(held=range(48, 60), lost=(90,))
    # Frame 47 stood until 59 came, with those before it; 59 until 120 came, but for the second that nobody was to see.
    before, behind = (47 / FPS + WAY_S, 59 / FPS + WAY_S), (3.0 + WAY_S, 120 / FPS + WAY_S)
    assert account.freezes_s == [pytest.approx(before, abs=0.012), pytest.approx(behind, abs=0.012)]
    assert account.w3c["freezeCount"] == 2
    assert account.w3c["totalFreezesDuration"] == pytest.approx(0.4 + 1.0, abs=0.020)


def test_one_that_froze_before_it_was_left_out_froze_until_then(watched):
    account = watched(lost=range(40, 60))
    assert account.freezes_s == [pytest.approx((39 / FPS + WAY_S, 2.0 + WAY_S), abs=0.012)]
    assert account.w3c["freezeCount"] == 1
