"""What a viewer saw that decodes by itself: each frame known by the number in it and by its RTP time."""

import numpy as np
import pytest

from rtcprobe.hearing.eyes import Constants
from rtcprobe.hearing.glimpses import see_glimpses
from rtcprobe.hearing.sights import CallSight, sight_account
from rtcprobe.picture.marker import word
from rtcprobe.recording import Departures, Filmed, Glimpse, Looked
from rtcprobe.result import VIDEO_STAGES
from rtcprobe.ways import Way

FPS, FIRST, COUNT = 30, 40, 120
"""Frames from number 40 on, for four seconds."""
SINCE_S = 5.0
WAY_S, HELD_S, RENDER_S = 0.020, 0.010, 0.008


def filmed_s(late_s=0.004):
    """Return when frames were filmed: on a grid, each late by chance, as a camera in a page is."""
    return SINCE_S + np.arange(COUNT) / FPS + np.random.default_rng(5).uniform(0.0, late_s, COUNT)


def call(*, at_s=None, renamed=0, lost=(), untold=(), shown_as=None, without=()):
    """Return what was filmed and what was seen of it, over a way of 20 ms; ``renamed`` is what a server added to times.

    ``lost`` frames lack their second packet, ``without`` were never sent, of ``untold`` nobody says when they were
    shown; ``shown_as`` are numbers that pictures bear in place of their own.
    """
    at_s = filmed_s() if at_s is None else at_s
    left, came, glimpses = Departures(), Departures(), []
    for place, when_s in enumerate(at_s.tolist()):
        if place in without:
            continue
        stamp = (123_456 + round((when_s - SINCE_S) * 90_000)) % 2**32
        other = (stamp + renamed) % 2**32
        for piece in range(2):
            gone_s = when_s + 0.005 + piece * 0.001
            left.add(gone_s, 2 * place + piece, stamp, 1000, 1)
            if place not in lost or piece == 0:
                came.add(gone_s + WAY_S, 2 * place + piece, other, 1000, 2)
        if place in lost:
            continue
        decoded_s = when_s + 0.006 + WAY_S + HELD_S
        bits = word((shown_as or {}).get(place, FIRST + place))
        cells = np.array([208.0 if bits >> 31 - cell & 1 else 48.0 for cell in range(32)])
        shown_s = None if place in untold else decoded_s + RENDER_S
        glimpses.append(Glimpse(decoded_s, other, "640x480", cells, shown_s))
    filmed = Filmed(
        numbers=FIRST + np.arange(COUNT),
        at_s=at_s,
        departures=left,
        fps=FPS,
        size="640x480",
        since_s=SINCE_S,
        until_s=SINCE_S + COUNT,
    )
    return see_glimpses(filmed, Looked(glimpses=glimpses, arrivals=came), Constants())


def account_of(*seen, forwarded=False):
    """Return the account of calls in which this was seen."""
    calls = [CallSight(policy="the browser's own", seen=each, likeness={}, forwarded=forwarded) for each in seen]
    return sight_account(Way("caller_to_callee.video"), dict(enumerate(calls)))


@pytest.mark.parametrize("renamed", [0, 2**32 - 9_000_000], ids=["direct", "through a server with times of its own"])
def test_every_frame_is_known_twice_and_its_stages_sum_to_its_delay(renamed):
    seen = call(renamed=renamed)
    assert seen.count("seen") == COUNT
    assert seen.w3c["framesIdentifiedTwice"] == seen.w3c["framesIdentifiedAlike"] == COUNT
    stages = dict(zip(VIDEO_STAGES, seen.frames[7].stages_s, strict=True))
    told = {name: stages[name] for name in ("sender_pacing", "network_min", "jitter_buffer", "render")}
    assert told == pytest.approx(
        {"sender_pacing": 0.006, "network_min": WAY_S, "jitter_buffer": HELD_S, "render": RENDER_S}
    )
    assert seen.frames[7].delay_s == pytest.approx(0.006 + WAY_S + HELD_S + RENDER_S)


def test_a_picture_that_bears_another_frames_number_is_not_believed():
    seen = call(shown_as={50: FIRST + 49})  # a picture of which nothing was renewed
    assert [frame.number for frame in seen.frames if frame.fate == "unread"] == [FIRST + 50]
    assert seen.w3c["framesIdentifiedTwice"] - seen.w3c["framesIdentifiedAlike"] == 1


def test_what_did_not_come_whole_is_lost_and_of_whose_showing_nobody_tells_is_set_aside():
    seen = call(lost=(10, 11), untold=(20, 21, 22))
    assert [frame.number for frame in seen.frames if frame.fate == "lost"] == [FIRST + 10, FIRST + 11]
    assert len(seen.frames) == COUNT - 3
    assert seen.w3c["framesSetAside"] == 3


def test_what_the_encoder_left_out_was_not_sent():
    seen = call(without=(30, 31))
    assert (seen.count("seen"), seen.w3c["framesNotSent"]) == (COUNT - 2, 2)


def test_behind_a_server_that_sets_times_on_a_grid_of_its_own_the_number_alone_counts():
    # Every time is a whole frame after the one before: any shift fits as well as any other.
    seen = call(at_s=SINCE_S + np.arange(COUNT) / FPS, renamed=90_000)
    assert seen.count("seen") == COUNT
    assert seen.w3c["framesIdentifiedTwice"] == 0
    account = account_of(seen)
    # Whatever lay between is neither the network's nor the buffer's: no packet that came is known.
    network = {"network_min", "network_variable", "network_and_target", "jitter_buffer"}
    assert not network & account.stages.keys()
    assert account.stages["network_and_page"] == pytest.approx(WAY_S + HELD_S)
    assert sum(account.stages.values()) == pytest.approx(np.mean([each.delay_s for each in account.samples]))
    # Beside a call in which packets were known: what can be told of both. One in which nothing was seen says nothing.
    assert "network_and_page" in account_of(call(), seen).stages
    assert "network_min" in account_of(call(), call(lost=range(COUNT))).stages


def test_through_a_server_its_part_and_the_networks_are_one_stage():
    stages = account_of(call(), forwarded=True).stages
    assert stages["network_and_target"] == pytest.approx(WAY_S)
    assert not {"network_min", "network_variable"} & stages.keys()


def test_of_nothing_seen_every_frame_that_was_sent_is_lost():
    at_s, left = filmed_s(), Departures()
    for place, when_s in enumerate(at_s.tolist()):
        left.add(when_s + 0.005, place, round(when_s * 90_000), 1000, 1)
    filmed = Filmed(
        numbers=np.arange(COUNT), at_s=at_s, departures=left, fps=FPS, size="640x480", since_s=0.0, until_s=99.0
    )
    seen = see_glimpses(filmed, Looked(glimpses=[], arrivals=Departures()), Constants())
    assert seen.count("lost") == COUNT
