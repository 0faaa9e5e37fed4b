"""What an end played by itself, heard: blocks with their own instants, gaps, and markers set aside after them."""

from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.hearing.played import PlayedEar, first_sound_s, played_ear
from rtcprobe.hearing.speech import speak
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.recording import Came, Departures, Said, Sounded
from rtcprobe.scenario import Devices, Stream
from rtcprobe.ways import Way

RATE_HZ = 48_000
BLOCK = 480
DURATION_S = 6.0
SPOKEN_S = 3.0
WAY = Way("callee_to_caller")


@cache
def voice():
    return speak({"callee": Stream()}, DURATION_S)["callee"]


def blocks(delay_s, *, gap_at_s=None, gap_s=0.0):
    """Return the very sound of the mouth in blocks that begin ``delay_s`` after it was spoken.

    With a gap, nothing is pulled for ``gap_s`` from ``gap_at_s`` on, and what was due is pulled late.
    """
    pcm = np.concatenate([np.zeros(BLOCK * 100, dtype=np.float32), *voice().sound()])
    count = len(pcm) // BLOCK
    at_s = SPOKEN_S - 1.0 + delay_s + np.arange(count) * 0.010
    if gap_at_s is not None:
        at_s[at_s > gap_at_s] += gap_s
    return Sounded(at_s=at_s, sizes=np.full(count, BLOCK), pcm=pcm[: count * BLOCK])


def said(*, ours=True):
    left = Departures()
    for place in range(round(DURATION_S / 0.02)):
        left.add(SPOKEN_S + (place + 1) * 0.02, place, place * 960, 100)
    frames = voice().frames if ours else ()
    ptime_s = 0.02 if ours else 0.01
    return Said(
        party="callee", frames=frames, ptime_s=ptime_s, started_s=SPOKEN_S, finished=True, departures=left
    )  # fmt: skip


def heard(sound, **more):
    arrivals = Arrivals()
    for place in range(round(DURATION_S / 0.02)):
        arrivals.add(SPOKEN_S + (place + 1) * 0.02 + 0.040, place, place * 960, b"", 111)
    came = Came(listener="caller", arrivals=arrivals, agreed=None, sound=sound, **more)
    return PlayedEar(said(), came, voice(), devices=Devices(capture_s=0.0, playback_s=0.0))


def test_every_marker_is_heard_to_the_sample():
    account = heard(blocks(0.123)).account(WAY, None).account
    assert account.heard == account.scheduled > 8
    # The codec's own advance is added, for what came through one: here nothing did.
    expected_s = 0.123 + voice().advance_s
    assert [each.delay_s for each in account.samples] == pytest.approx([expected_s] * account.heard, abs=3e-5)


def test_how_long_packets_waited_for_the_next_pull_is_told_whatever_the_delay():
    # Packets came on 20 ms and 0, pulls on 10 ms and what is left of the delay.
    for delay_s, wait_ms in ((0.123, 3.0), (0.1277, 7.7)):
        account = heard(blocks(delay_s)).account(WAY, None).account
        assert account.playout.counts["tick_wait_ms"] == pytest.approx(wait_ms, abs=0.01)


def test_stages_sum_and_the_network_is_told_by_the_packets():
    account = heard(blocks(0.123)).account(WAY, None).account
    assert account.stages["network_min"] == pytest.approx(0.040)
    assert account.stages["network_variable"] == pytest.approx(0.0, abs=1e-9)
    assert account.total_s == pytest.approx(np.mean([each.delay_s for each in account.samples]))
    assert account.stages["page"] == pytest.approx(0.123 - 0.020 - 0.0065 - 0.040, abs=1e-4)


def test_through_a_server_network_and_page_are_one_stage():
    stages = heard(blocks(0.123), forwarded=True).account(WAY, None).account.stages
    assert "network_min" not in stages
    assert sum(stages.values()) == pytest.approx(0.123, abs=1e-4)


def test_markers_after_a_late_pull_are_set_aside_and_the_others_keep_their_instants():
    gap_at_s = SPOKEN_S + 3.0
    account = heard(blocks(0.050, gap_at_s=gap_at_s, gap_s=0.030)).account(WAY, None).account
    spoken_s = [each.spoken_s for each in account.samples]
    assert max(spoken_s) < gap_at_s
    assert account.playout.counts["pulls_late"] == 1
    assert account.playout.counts["markers_set_aside"] == len(voice().train.markers(DURATION_S)) - account.scheduled > 3
    assert [each.delay_s for each in account.samples] == pytest.approx([0.050] * account.heard, abs=1e-4)


def test_ticks_that_wander_below_the_limit_move_each_marker_by_as_much():
    sound = blocks(0.050)
    sound.at_s[:] += np.linspace(0.0, 0.004, len(sound.at_s))  # a clock that is slower by half a thousandth
    account = heard(sound).account(WAY, None).account
    delays_s = [each.delay_s for each in account.samples]
    assert account.heard == account.scheduled
    assert np.all(np.diff(delays_s) > 0)
    assert 0.050 < delays_s[0] < delays_s[-1] < 0.0545


def test_the_first_sound_is_the_first_sample_that_is_none_of_silence():
    came = Came(listener="caller", arrivals=Arrivals(), agreed=None, sound=blocks(0.050))
    # The mouth's floor of -80 dBFS begins at once; before it lies true silence.
    assert first_sound_s(came) == pytest.approx(SPOKEN_S + 0.050, abs=0.002)


def test_of_several_tracks_the_one_with_the_talkers_markers_is_heard_however_loud_the_others_are():
    own = blocks(0.050)
    # Another talker of the room, twice as loud: the same programme under markers of its own.
    other = speak({"callee": Stream(), "caller": Stream()}, DURATION_S)["caller"]
    pcm = np.concatenate([np.zeros(BLOCK * 100, dtype=np.float32), *other.sound()])[: len(own.pcm)]
    loud = Sounded(at_s=own.at_s, sizes=own.sizes, pcm=2 * np.pad(pcm, (0, len(own.pcm) - len(pcm))))
    arrivals = Arrivals()
    arrivals.add(SPOKEN_S, 0, 0, b"", 111)
    came = Came(listener="caller", arrivals=arrivals, agreed=None, sound=loud, beside=[own])
    nothing = Devices(capture_s=0.0, playback_s=0.0)
    account = played_ear(said(), came, voice(), devices=nothing).account(WAY, None).account
    alone = PlayedEar(said(), came, voice(), devices=nothing)
    assert account.heard == account.scheduled > alone.heard


def test_where_nothing_was_played_nothing_is_heard():
    nothing = Sounded(at_s=np.zeros(0), sizes=np.zeros(0, dtype=np.int64), pcm=np.zeros(0, dtype=np.float32))
    account = heard(nothing).account(WAY, None).account
    assert (account.heard, account.lost) == (0, account.scheduled)
    assert first_sound_s(Came(listener="caller", arrivals=Arrivals(), agreed=None, sound=nothing)) is None


def test_a_mouth_that_encodes_by_itself_is_paced_on_the_grid_of_its_pieces():
    # Its packets hold two pieces of 10 ms and leave 0.7 ms after the second, whichever of two they begin with.
    for shift_s in (0.0, 0.010):
        left = Departures()
        for place in range(100):
            left.add(1.0 + shift_s + (place + 1) * 0.02 + 0.0007, place, place * 960, 100)
        page = Said(party="caller", frames=(), ptime_s=0.01, started_s=1.0, finished=True, departures=left)
        assert page.pacing_lateness_s() == pytest.approx([0.0007] * 100)


assert OpusSettings().ptime_s == 0.02
