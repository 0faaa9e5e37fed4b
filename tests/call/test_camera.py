"""Cameras in a call of two: every frame accounted for, its delay in stages, key frames, repair, pacing."""

from dataclasses import replace
from functools import lru_cache
from itertools import pairwise

import numpy as np
import pytest
from aiortc.rtp import unpack_remb_fci
from calls import call, setup

from rtcprobe.call.camera import Camera
from rtcprobe.call.targets.loopback import ROUTES
from rtcprobe.call.watching import came_video
from rtcprobe.hearing.eyes import see
from rtcprobe.link import Delay, Limit, LinkSpec, LossTrace, Rate
from rtcprobe.picture.film import Film, Place
from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import CODECS, VideoSettings
from rtcprobe.result import VIDEO_STAGES

CLEAN = LinkSpec(delay=Delay(base_s=0.040))
FRAMES = 45
BITRATE_BPS = 300_000


@lru_cache
def film(codec="vp8", bitrate_bps=BITRATE_BPS):
    return Film(VideoSettings(width=160, height=120, fps=30, bitrate_bps=bitrate_bps, codec=codec))


def video_call(link=CLEAN, *, there=None, codec="vp8", seed=1, frames=FRAMES, talk=True, **camera):
    """Return a call whose caller's packets pass ``there``, all others ``link``."""
    shown = Camera(film=film(codec), count=frames, **camera)
    plan = setup(link, routes={ROUTES[0]: [there or link]}, endless=not talk, frames=round(frames / 30 / 0.020))
    return call(replace(plan, cameras={"caller": shown, "callee": shown}), seed, talk=talk)


def seen(made, talker="caller", **options):
    source, viewer = (made.caller, made.callee) if talker == "caller" else (made.callee, made.caller)
    (picture,) = source.pictures
    return see(source.said(picture), came_video(viewer, forwarded=False), picture.track.film, **options)


def losing(*numbers):
    return LinkSpec(delay=Delay(base_s=0.040), loss=LossTrace(lost=tuple(n in numbers for n in range(4000))))


@pytest.mark.parametrize("codec", CODECS)
@pytest.mark.parametrize("talker", ["caller", "callee"])
def test_on_a_clean_link_every_frame_is_seen_as_it_was_sent(codec, talker):
    account = seen(video_call(codec=codec, policy="asap"), talker, policy="asap")
    assert [frame.fate for frame in account.frames] == ["seen"] * FRAMES
    assert account.refused == account.unreadable == 0
    assert all(each.place is not None for each in account.decoded)
    stages = account.stages()
    assert tuple(stages) == VIDEO_STAGES
    # The path and decoding, and nothing else.
    assert stages["network_min"] == pytest.approx(0.040, abs=1e-5)
    assert stages["network_variable"] == pytest.approx(0.0, abs=1e-5)
    assert [frame.delay_s for frame in account.frames[5:]] == pytest.approx([0.0407] * (FRAMES - 5), abs=1e-5)


def test_libwebrtcs_receiver_takes_some_ten_milliseconds_once_it_has_settled():
    account = seen(video_call(frames=90))
    assert {frame.fate for frame in account.frames[15:]} == {"seen"}
    # A jitter delay of 11 ms, rounding and handing on up to 3 more; the key frame, which was late by its pacing, draws
    # the receiver's idea of time a few ms away.
    steady = [frame.delay_s - 0.040 for frame in account.frames[60:]]
    assert min(steady) > 0.005
    assert max(steady) < 0.0145


def test_the_stages_of_every_frame_sum_to_what_passed_between_filming_and_showing():
    jittery = LinkSpec(delay=Delay(base_s=0.040, jitter_s=0.008, distribution="normal"), loss=losing(60, 75).loss)
    account = seen(video_call(jittery))
    assert account.count("seen") > FRAMES - 5
    for frame in account.frames:
        if frame.fate != "seen":
            continue
        assert sum(frame.stages_s) == pytest.approx(frame.shown_s - frame.filmed_s, abs=1e-9)
        assert min(frame.stages_s) > -1e-9


@pytest.mark.parametrize("policy", ["libwebrtc", "asap", "aiortc"])
def test_a_link_longer_by_100_ms_moves_every_frame_by_as_much(policy):
    near, far = (
        seen(video_call(LinkSpec(delay=Delay(base_s=base_s)), policy=policy), policy=policy) for base_s in (0.04, 0.14)
    )
    # The first frames wait while a delay settles that has another phase then.
    moved_s = [b.delay_s - a.delay_s for a, b in zip(near.frames, far.frames, strict=True) if a.delay_s and b.delay_s]
    assert len(moved_s) >= FRAMES - 1
    assert moved_s == pytest.approx([0.100] * len(moved_s), abs=5e-5)


def test_equal_seeds_give_equal_accounts():
    link = LinkSpec(delay=Delay(base_s=0.030, jitter_s=0.010, distribution="normal"))
    first, again, other = (seen(video_call(link, seed=seed)) for seed in (5, 5, 6))
    assert first.frames == again.frames
    assert first.w3c == again.w3c
    assert first.frames != other.frames


def test_what_was_lost_is_asked_for_and_what_that_took_is_the_frames_repair():
    made = video_call(there=losing(80, 81, 82))
    account = seen(made)
    assert account.count("lost") == 0
    shown = [frame for frame in account.frames if frame.fate == "seen"]
    repaired = [frame for frame in shown if frame.stages_s[VIDEO_STAGES.index("repair")] > 0]
    assert repaired
    assert account.w3c["nackCount"] >= 1
    sent_again = [each for each in came_video(made.callee, forwarded=False).arrivals if each.resent]
    assert len(sent_again) == len(repaired)
    assert account.w3c["nackCount"] == 1  # asked in the account as in the call
    # The gap shows with the next packet, within a frame; then a round trip.
    for frame in repaired:
        assert 0.080 <= frame.stages_s[VIDEO_STAGES.index("repair")] <= 0.080 + 1 / 30 + 0.001
    assert account.w3c["freezeCount"] == 0


def test_without_nack_one_lost_packet_freezes_the_picture_for_three_seconds_and_a_key_frame_ends_it():
    made = video_call(there=losing(100, 101, 102), frames=150, nack=False)
    account = seen(made, nack=False)
    fates = [frame.fate for frame in account.frames]
    missing = fates.index("lost")
    back = fates.index("seen", missing)
    assert set(fates[missing + 1 : back]) <= {"dropped", "lost"}
    assert account.w3c["freezeCount"] == 1
    # kMaxWaitForFrame, the request's way, up to a frame until the next is filmed, a key frame's pacing, and its way.
    frozen_s = account.w3c["totalFreezesDuration"]
    assert 3.0 + 0.080 <= frozen_s <= 3.0 + 0.080 + 1 / 30 + 0.150
    assert len(made.caller.pictures[0].track.asked_s) == 1
    assert made.caller.pictures[0].track.film.places[back].key
    assert all(each.place is not None for each in account.decoded)  # of the new take all is known as well


def test_sender_reports_of_sound_and_picture_are_dated_by_capture_on_one_clock():
    made = video_call(frames=150)
    (picture,) = made.caller.pictures
    off_s = []
    for section, reports, hz in (
        (made.caller.sound, made.callee.sound.reports, 48_000),
        (picture, made.callee.pictures[0].reports, 90_000),
    ):
        said = made.caller.said(section)
        first = said.departures[0].timestamp  # of the frame that began, or was captured, at started_s
        assert len(reports) >= 3
        assert {each.ssrc for each in reports} == {section.ssrcs[0]}
        off_s += [each.ntp_s - said.started_s - (each.timestamp - first) % 2**32 / hz for each in reports]
    # What is left is where the clock of the call begins. It has microseconds: doubles of NTP seconds hold no more.
    assert off_s == pytest.approx([off_s[0]] * len(off_s), abs=3e-6)


def test_a_key_frame_is_spread_over_time_and_frames_within_the_rate_are_not():
    made = video_call()
    (picture,) = made.caller.pictures
    departures = made.caller.said(picture).departures
    rate_bps = 2.5 * BITRATE_BPS
    first = [each for each in departures if each.timestamp == departures[0].timestamp]
    assert len(first) >= 3
    # 40 ms of the rate may leave at once; a packet more began within them.
    for begin in range(len(departures)):
        for end in (begin + 3, begin + 10, begin + 40):
            window = departures[begin:end]
            most = 0.040 * rate_bps / 8 + 1200 + (window[-1].at_s - window[0].at_s) * rate_bps / 8
            assert sum(each.size_bytes - 16 for each in window[:-1]) <= most
    late = [frame.stages_s[VIDEO_STAGES.index("sender_pacing")] for frame in seen(made).frames if frame.stages_s]
    assert late[0] > 0.005
    assert max(late[10:]) < 1e-6


def test_a_join_goes_on_until_the_first_picture_is_seen_on_both_sides():
    made = video_call(talk=False, frames=600)
    for talker in ("caller", "callee"):
        account = seen(made, talker)
        assert account.first_packet_s < account.first_key_frame_s < account.first_picture_s
        first = account.frames[0]
        assert account.first_picture_s == first.shown_s


def test_a_join_that_hears_and_never_sees_says_that_it_waited_for_the_picture():
    # Sound fits; of a key frame, sent at 750 kb/s, a queue of three packets keeps too few to make it whole.
    narrow = LinkSpec(delay=Delay(base_s=0.040), rate=Rate(bps=90_000), limit=Limit(packets=3))
    shown = Camera(film=film(), count=300, nack=False)
    plan = replace(setup(CLEAN, routes={ROUTES[0]: [narrow]}, join_timeout_s=6.0), cameras={"caller": shown})
    made = call(replace(plan, cameras={"caller": shown, "callee": shown}), 1)
    assert made.failed.startswith("callee first_key_frame not within 6 s")
    assert made.stopped.awaited == "first_key_frame"
    assert made.callee.heard_packet.is_set()


@pytest.mark.parametrize("damage", ["cut", "wrong number", "other source", "wrapped", "nothing"])
def test_damaged_packets_are_counted_and_survived(damage):
    made = video_call()
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    random = np.random.default_rng(4)
    change = {
        "cut": lambda each: each._replace(payload=each.payload[:1]),
        "wrong number": lambda each: each._replace(sequence=int(random.integers(65_536)), resent=True),
        "other source": lambda each: each._replace(timestamp=int(random.integers(2**32))),
        "wrapped": lambda each: each._replace(timestamp=(each.timestamp + 2**31) % 2**32),
        "nothing": lambda each: each._replace(payload=b""),
    }[damage]
    arrivals = [change(each) if at % 17 == 9 else each for at, each in enumerate(came.arrivals)]
    account = see(said, replace(came, arrivals=arrivals), made.caller.pictures[0].track.film)
    assert len(account.frames) == FRAMES
    assert account.unreadable == (len(arrivals[9::17]) if damage == "cut" else 0)
    assert sum(account.count(fate) for fate in ("seen", "unread", "dropped", "lost")) == FRAMES
    assert account.count("lost") > 0 or damage in {"wrong number", "nothing"}


def test_whoever_shows_is_told_how_much_the_line_takes_where_that_is_asked_for(monkeypatch):
    told = []

    def noted(fci):
        told.append(unpack_remb_fci(fci))
        return told[-1]

    monkeypatch.setattr("aiortc.rtcrtpsender.unpack_remb_fci", noted)
    video_call(frames=120)
    assert told == []
    made = video_call(frames=120, remb=True)
    sources = {picture.ssrcs[0] for peer in made.peers for picture in peer.pictures}
    assert {ssrc for _, ssrcs in told for ssrc in ssrcs} == sources
    # Four seconds of 300 kb/s over a line without a limit: no less than that is what the line takes.
    assert told[-1][0] > BITRATE_BPS


def moved(said, came, numbers, ticks):
    """Return the same packets with other origins of their numbers and of their clock."""
    of = {"sequence": numbers, "timestamp": ticks}
    widths = {"sequence": 2**16, "timestamp": 2**32}

    def change(each):
        return each._replace(**{name: (getattr(each, name) + by) % widths[name] for name, by in of.items()})

    return (
        replace(said, departures=[change(each) for each in said.departures]),
        replace(came, arrivals=[change(each) for each in came.arrivals]),
    )


@pytest.mark.parametrize("policy", ["libwebrtc", "chromium", "aiortc", "asap"])
def test_numbers_and_clocks_that_wrap_in_the_middle_of_a_call_change_nothing(policy):
    made = video_call(LinkSpec(delay=Delay(base_s=0.030, jitter_s=0.005, distribution="normal")))
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    film_shown = made.caller.pictures[0].track.film
    first = said.departures[0]
    near, wrapping = (
        see(*moved(said, came, number - first.sequence, ticks - first.timestamp), film_shown, policy=policy)
        for number, ticks in ((1000, 5000), (2**16 - 20, 2**32 - 3000 * 20))
    )
    assert wrapping.frames == near.frames
    assert wrapping.w3c == near.w3c
    assert wrapping.count("seen") >= FRAMES - 1  # aiortc shows no frame before the next one begins


@pytest.mark.parametrize("policy", ["libwebrtc", "chromium", "aiortc", "asap"])
def test_whatever_a_network_does_to_packets_every_frame_has_one_fate(policy):
    made = video_call()
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    chance = np.random.default_rng(7)
    for _ in range(25):
        arrivals = []
        for each in came.arrivals:
            match int(chance.integers(12)):
                case 0:
                    continue
                case 1:
                    arrivals.append(each._replace(payload=each.payload[: int(chance.integers(len(each.payload)))]))
                case 2:
                    arrivals.append(each._replace(payload=chance.bytes(int(chance.integers(1, 40)))))
                case 3:
                    arrivals.append(each._replace(sequence=int(chance.integers(2**16)), resent=True))
                case 4:
                    arrivals.append(each._replace(timestamp=int(chance.integers(2**32)), marker=not each.marker))
                case 5:
                    arrivals += [each, each._replace(resent=True)]
                case _:
                    arrivals.append(each)
        account = see(said, replace(came, arrivals=arrivals), made.caller.pictures[0].track.film, policy=policy)
        fates = [account.count(fate) for fate in ("seen", "unread", "dropped", "lost")]
        assert sum(fates) == len(account.frames) == FRAMES
        assert all(each.delay_s is not None for each in account.frames if each.fate == "seen")


def test_a_picture_of_another_size_is_shown_read_and_said(film_of_another_size):
    made = video_call(policy="asap")
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    other, shown = film_of_another_size, made.caller.pictures[0].track.film
    # A server that scales: from frame 20 on what comes is 320x240, beginning with a key frame.
    form = payload_format("vp8")
    arrivals, done = [], set()
    stamps = list(dict.fromkeys(each.timestamp for each in came.arrivals))
    for each in came.arrivals:
        number = stamps.index(each.timestamp)
        if number < 20:
            arrivals.append(each)
        elif number not in done:
            done.add(number)
            data = other.frame(Place(20, number))
            arrivals.append(each._replace(payload=form.packets(data, number)[0][:4] + data, marker=True))
    # Frames became a packet each: numbers follow each other again.
    first = arrivals[0].sequence
    arrivals = [each._replace(sequence=(first + at) % 2**16) for at, each in enumerate(arrivals)]
    account = see(said, replace(came, arrivals=arrivals), shown, policy="asap")
    assert account.count("seen") == FRAMES
    assert account.sizes == {"320x240": FRAMES - 20}
    assert [each.place is None for each in account.decoded] == [False] * 20 + [True] * (FRAMES - 20)


@pytest.fixture(scope="module")
def film_of_another_size():
    return Film(VideoSettings(width=320, height=240, fps=30, bitrate_bps=BITRATE_BPS))


def test_a_frame_that_never_came_is_lost_and_one_whole_that_was_never_shown_is_dropped():
    made = video_call()
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    stamps = list(dict.fromkeys(each.timestamp for each in came.arrivals))
    without = [each for each in came.arrivals if each.timestamp != stamps[20]]
    account = see(said, replace(came, arrivals=without), made.caller.pictures[0].track.film, policy="asap")
    assert [frame.fate for frame in account.frames] == ["seen"] * 20 + ["lost"] + ["dropped"] * 24


def test_a_side_that_hears_nothing_of_a_picture_has_no_figures_and_no_error():
    made = video_call()
    said, came = made.caller.said(made.caller.pictures[0]), came_video(made.callee, forwarded=False)
    account = see(said, replace(came, arrivals=()), made.caller.pictures[0].track.film)
    assert account.count("lost") == FRAMES
    assert account.stages() == {}
    assert account.freeze_share is None
    assert account.first_picture_s is None


def test_sound_is_not_touched_by_the_picture_beside_it():
    # The rate of this link is not reached: nothing of sound waits for the picture.
    def instants(made):
        return [at_s - made.callee.arrivals[0][0] for at_s, _ in made.callee.arrivals]

    alone = call(setup(CLEAN, endless=False, frames=75), 1, talk=True)
    assert instants(video_call()) == pytest.approx(instants(alone), abs=1e-8)
    assert all(b - a == pytest.approx(0.020) for a, b in pairwise(instants(alone)))
