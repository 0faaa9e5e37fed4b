"""Sound and picture made to agree: which is held back, how far, when, and that it can be done again."""

import numpy as np
import pytest

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.hearing.lips import LipSync, Replayed
from rtcprobe.hearing.playing import play
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.frames import VideoPacket, make_receiver
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.recording import Agreed, Came, SenderReport, VideoArrival

SILENCE = bytes([0x78, 0xFF, 0xFE])
AGREED = Agreed(opus_payload_type=111, red_payload_type=None, sends_red=False, nack=False)
SECONDS = 30


class Picture:
    """30 frames a second of a packet each, ``way_s`` under way."""

    def __init__(self, way_s, reports=True):
        self.receiver, self.newest = make_receiver("libwebrtc"), None
        self.reports = [SenderReport(n + way_s, 500.0 + n, n * 90_000, 7) for n in range(1, SECONDS)] if reports else []
        self._coming = [
            VideoArrival(n / 30 + way_s, 7, n % 2**16, n * 3000, True, b"", 97) for n in range(30 * SECONDS)
        ]

    def until(self, at_s):
        while self._coming and self._coming[0].at_s <= at_s:
            each = self.newest = self._coming.pop(0)
            packet = VideoPacket(
                sequence=each.sequence, timestamp=each.timestamp, marker=True, size_bytes=2000, begins=True,
                key=not each.timestamp,
            )  # fmt: skip
            self.receiver.insert_packet(packet, round(each.at_s * 1e6))
        self.receiver.advance(round(at_s * 1e6))
        return self.receiver.timing.target_us

    def hold(self, least_us):
        self.receiver.wish(least_us)


def sound(way_s):
    arrivals = Arrivals()
    for n in range(50 * SECONDS):
        arrivals.add((n + 1) * 0.020 + way_s, n % 2**16, n * 960, SILENCE, 111)
    reports = [SenderReport(n + way_s, 500.0 + n, n * 48_000, 3) for n in range(1, SECONDS)]
    return Came(listener="callee", arrivals=arrivals, agreed=AGREED, reports=reports)


def played(came, steering):
    return play(
        PlayoutChoice.parse("neteq"), AGREED, came.arrivals, OpusDecoder(),
        phase_s=0.003, drift=0.0, listen=lambda _: lambda _: None, steering=steering,
    )[0]  # fmt: skip


def beside(sound_s, picture_s, **more):
    came, picture = sound(sound_s), Picture(picture_s, **more)
    lips = LipSync(came, picture, playback_s=0.0)
    return lips, played(came, lips), picture, came


def waited_s(playback, at_s):
    """Return how long after its packet left the sound of ``at_s`` was played."""
    return playback.play_instant(round(at_s * 50) * 960) - round(at_s * 50) * 0.020 - 0.020


def test_what_comes_together_is_left_alone():
    lips, *_ = beside(0.040, 0.060)  # a packet of 20 ms is over before it leaves, a frame is not
    assert lips.corrections == []


def test_a_picture_that_is_ahead_is_held_back_in_steps_of_an_eighth_of_the_gap_until_30_ms_are_left():
    lips, _, picture, _ = beside(0.290, 0.040)
    held = [each.video_ms for each in lips.corrections]
    assert {each.audio_ms for each in lips.corrections} == {0}
    # The first step: a quarter of the gap enters the average, half of that is done.
    assert held[0] == pytest.approx(250 / 8, abs=5)
    assert held == sorted(held)
    assert np.all(np.diff([held[0], *held]) <= 80)
    assert 250 - 60 <= held[-1] <= 250 + 45
    assert picture.receiver.timing.playout_us[0] == held[-1] * 1000
    # Two reports of each have to come first.
    assert lips.corrections[0].at_s >= 3.0


def test_sound_that_is_ahead_is_held_back_and_heard_so_much_later():
    lips, playback, _, _ = beside(0.040, 0.290)
    last = lips.corrections[-1]
    assert last.video_ms == 0
    assert last.audio_ms > 150
    before, after = waited_s(playback, 1.0), waited_s(playback, SECONDS - 2.0)
    assert after - before > 0.100
    assert after == pytest.approx(0.040 + last.audio_ms / 1e3, abs=0.045)


def test_what_was_held_back_is_so_again_when_it_is_played_again():
    lips, playback, _, came = beside(0.040, 0.290)
    again = played(came, Replayed(lips.corrections))
    assert np.array_equal(again.stamps, playback.stamps)
    assert not np.array_equal(played(came, None).stamps, playback.stamps)


def test_a_source_that_reports_nothing_is_left_alone():
    lips, *_ = beside(0.290, 0.040, reports=False)
    assert lips.corrections == []
