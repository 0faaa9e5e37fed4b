"""What was watched during a call is what hearing sees, and is played again only where that would differ."""

from dataclasses import replace

import numpy as np
import pytest
from calls import call, setup

from rtcprobe.call.camera import Camera
from rtcprobe.call.targets.loopback import ROUTES
from rtcprobe.call.watching import came_video, watched_on
from rtcprobe.hearing.eyes import Viewing
from rtcprobe.link import Delay, Limit, LinkSpec, LossTrace, Rate
from rtcprobe.picture.film import Film
from rtcprobe.picture.settings import VideoSettings

FRAMES = 90


@pytest.fixture(scope="module")
def watched():
    """A call whose pictures lose packets, also those sent again: who showed, what came, and what it was watched on."""
    film = Film(VideoSettings(width=160, height=120, fps=30, bitrate_bps=300_000))
    camera = Camera(film=film, count=FRAMES)
    lost = np.random.default_rng(3).random(4000) < 0.06
    link = LinkSpec(
        delay=Delay(base_s=0.040, jitter_s=0.012, distribution="normal"),
        rate=Rate(bps=1_000_000), limit=Limit(packets=200), loss=LossTrace(lost=tuple(lost.tolist())),
    )  # fmt: skip
    clean = LinkSpec(delay=Delay(base_s=0.040))
    plan = setup(clean, routes={ROUTES[0]: [link]}, endless=False, frames=round(FRAMES / 30 / 0.020))
    made = call(replace(plan, cameras={"caller": camera, "callee": camera}), 2, talk=True)
    assert (made.failed, made.cut) == (None, None)
    (picture,) = made.caller.pictures
    return made.caller.said(picture), came_video(made.callee, forwarded=False), picture.track.film, made.callee


def looked(seen):
    return [tuple(frame) for frame in seen.frames], dict(seen.w3c), seen.freezes_s, seen.unreadable, len(seen.decoded)


def test_it_need_not_be_played_again_and_playing_it_again_shows_the_same(watched):
    said, came, reel, viewer = watched
    screen = watched_on(viewer)
    taken, again = Viewing(said, came, reel, screen=screen), Viewing(said, came, reel)
    delays_us = [(each.until(1.0), each.until(2.0), each.until(3.0)) for each in (taken, again)]
    assert delays_us[0] == delays_us[1]
    assert len(set(delays_us[0])) > 1
    assert taken.newest == again.newest
    received, packets = screen.receiver.counters.packets, len(came.arrivals)
    assert looked(taken.seen()) == looked(again.seen())
    assert screen.receiver.counters.packets == received == packets  # it was not given anything twice
    assert again.seen().w3c["nackCount"] > 5


def test_one_that_lip_sync_holds_back_is_played_again_from_there_on(watched):
    said, came, reel, viewer = watched
    held, again = Viewing(said, came, reel, screen=watched_on(viewer)), Viewing(said, came, reel)
    for each in (held, again):
        each.until(1.0)
        each.hold(150_000)
    assert held.until(2.0) == again.until(2.0) >= 150_000
    later = held.seen()
    assert looked(later) == looked(again.seen())
    assert later.frames != Viewing(said, came, reel).seen().frames


@pytest.mark.parametrize("differs", ["policy", "nack", "arrivals", "round trips"])
def test_what_was_watched_otherwise_is_not_taken_for_it(watched, differs):
    said, came, reel, viewer = watched
    more = {"policy": {"policy": "asap"}, "nack": {"nack": False}}.get(differs, {})
    if differs == "arrivals":
        came = replace(came, arrivals=[*came.arrivals[:40], *came.arrivals[41:]])
    if differs == "round trips":
        came = replace(came, round_trips=[(0.5, 0.9)])
    taken = Viewing(said, came, reel, screen=watched_on(viewer), **more).seen()
    assert looked(taken) == looked(Viewing(said, came, reel, **more).seen())
