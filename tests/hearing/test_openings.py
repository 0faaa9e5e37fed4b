"""When a join first heard the other side: what was played before is looked up, and is what playing comes to."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from rtcprobe.audio.opus import OpusEncoder, OpusSettings
from rtcprobe.audio.red import RedEncoder
from rtcprobe.hearing import openings
from rtcprobe.playout.arrivals import Arrivals
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.policies import PlayoutChoice
from rtcprobe.recording import Agreed, Came, Departure, Said
from rtcprobe.scenario import Devices

AGREED = Agreed(opus_payload_type=96, red_payload_type=None, sends_red=False, nack=False)
SAID = Said(party="ana", frames=(), ptime_s=0.020, started_s=0.0, finished=False, departures=())
NETEQ, FIXED = PlayoutChoice.parse("neteq"), PlayoutChoice.parse("fixed:60ms")


@cache
def payloads(*, fec=False):
    """Return eight packets of 20 ms of noise."""
    noise = np.random.default_rng(3).normal(0, 0.1, (8, 960)).astype(np.float32)
    encoder = OpusEncoder(OpusSettings(fec=fec, expected_loss=0.2 if fec else 0.0))
    return [encoder.encode(frame) for frame in noise]


def came(rng, *, fec=False, order=True):
    """Return eight packets, of which some are lost, counted from anywhere, each with a delay of its own."""
    sequence, timestamp = int(rng.integers(1 << 16)), int(rng.integers(1 << 32))
    if rng.random() < 0.2:
        timestamp = (1 << 32) - int(rng.integers(1, 4000))  # the clock wraps within the first packets
    at_s = 1.0 + np.arange(8) * 0.020 + rng.normal(0, 0.006, 8)
    kept = [place for place in range(8) if rng.random() < 0.85] or [0]
    packets = [
        (at_s[place], RtpPacket((sequence + place) & 0xFFFF, (timestamp + 960 * place) & 0xFFFFFFFF, payload, 96))
        for place, payload in enumerate(payloads(fec=fec))
        if place in kept
    ]
    packets.sort(key=lambda arrival: arrival[0] if order else arrival[1].payload)
    return Came(listener="ben", arrivals=Arrivals(packets), agreed=AGREED)


def heard_s(arrived, rng, playout=NETEQ):
    devices = Devices(capture_s=0.0, playback_s=0.0, drift=float(rng.choice([0.0, 1e-4])))
    phase_s = float(rng.random()) * 0.010
    return openings.first_audio_s(SAID, arrived, playout=playout, devices=devices, phase_s=phase_s)


@pytest.mark.parametrize(("fec", "order"), [(False, True), (True, True), (False, False)])
def test_what_is_looked_up_is_what_playing_comes_to(fec, order, monkeypatch):
    played = 0
    replay = openings.replay

    def counted(*args, **options):
        nonlocal played
        played += 1
        return replay(*args, **options)

    monkeypatch.setattr(openings, "replay", counted)
    monkeypatch.setattr(openings, "_OPENINGS", openings._Openings())
    seeds = range(120)
    looked_up = [heard_s(came(rng(seed), fec=fec, order=order), rng(seed)) for seed in seeds]
    assert 0 < played < 60  # of 120, none twice the same
    assert all(each is not None and each > 0.9 for each in looked_up)
    for seed, found_s in zip(seeds, looked_up, strict=True):
        monkeypatch.setattr(openings, "_OPENINGS", openings._Openings())
        assert heard_s(came(rng(seed), fec=fec, order=order), rng(seed)) == found_s


def rng(seed):
    return np.random.default_rng(seed)


def test_what_looks_at_instants_is_played_each_time(monkeypatch):
    monkeypatch.setattr(openings, "_OPENINGS", openings._Openings())
    assert heard_s(came(rng(1)), rng(2), FIXED) == heard_s(came(rng(1)), rng(2), FIXED)
    assert not openings._OPENINGS._known


def test_another_payload_is_another_beginning(monkeypatch):
    """Of two streams alike but for a first packet that cannot be decoded, one is heard by it and the other is not."""
    monkeypatch.setattr(openings, "_OPENINGS", openings._Openings())
    at_s = 1.0 + np.arange(3) * 0.020
    whole = [RtpPacket(7 + place, 960 * place, payload, 96) for place, payload in enumerate(payloads()[:3])]
    broken = [whole[0]._replace(payload=b"\xff\xff\xff"), *whole[1:]]
    first_s, second_s = (
        openings.first_audio_s(
            SAID,
            Came(listener="ben", arrivals=Arrivals(zip(at_s, packets, strict=True)), agreed=AGREED),
            playout=NETEQ,
            devices=Devices(capture_s=0.0, playback_s=0.0),
            phase_s=0.001,
        )
        for packets in (whole, broken)
    )
    assert first_s == pytest.approx(1.010, abs=0.011)
    assert second_s != first_s


def test_a_first_frame_that_only_the_next_packet_tells_of_is_heard():
    """In-band FEC (RFC 6716, 2.1.7): whoever got the second packet has both frames, and plays the first one first."""
    second, third = (RtpPacket(7 + place, 960 * place, payloads(fec=True)[place], 96) for place in (1, 2))
    heard = openings.first_audio_s(
        SAID,
        Came(listener="ben", arrivals=Arrivals([(1.020, second), (1.040, third)]), agreed=AGREED),
        playout=NETEQ,
        devices=Devices(capture_s=0.0, playback_s=0.0),
        phase_s=0.0,
    )
    # From the tick that takes the packet in, within what NetEQ needs to begin.
    assert heard == pytest.approx(1.020, abs=0.011)


def test_a_first_frame_that_only_a_copy_in_the_next_packet_tells_of_is_heard():
    """RED (RFC 2198): so begins every stream that somebody joins in its middle, of what left before as of nothing."""
    red = RedEncoder(1, 96)
    wrapped = [red.encode(payload, 960 * place) for place, payload in enumerate(payloads())]
    packets = [(1.0 + 0.020 * place, RtpPacket(7 + place, 960 * place, wrapped[place], 63)) for place in (1, 2, 3)]
    said = replace(SAID, departures=[Departure(at_s - 0.01, *packet[:2], 40) for at_s, packet in packets])
    agreed = Agreed(opus_payload_type=96, red_payload_type=63, sends_red=True, nack=False)
    heard = openings.first_audio_s(
        said,
        Came(listener="ben", arrivals=Arrivals(packets), agreed=agreed),
        playout=NETEQ,
        devices=Devices(capture_s=0.0, playback_s=0.0),
        phase_s=0.0,
    )
    assert heard == pytest.approx(1.020, abs=0.011)


def test_no_more_beginnings_are_kept_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(openings, "_OPENINGS", openings._Openings())
    monkeypatch.setattr(openings, "_MOST_KEPT", 3)
    for seed in range(40):
        heard_s(came(rng(seed)), rng(seed))
    kept = [known for of in openings._OPENINGS._known.values() for known in of.values()]
    assert 0 < sum(map(len, kept)) <= 3


def test_nothing_came_and_nothing_was_heard():
    nothing = Came(listener="ben", arrivals=Arrivals(), agreed=AGREED)
    assert heard_s(nothing, rng(1)) is None
