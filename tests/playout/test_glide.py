"""Many ticks at once are what as many single ticks come to, to the bit."""

from __future__ import annotations

from dataclasses import asdict

import numpy as np
import pytest
from test_neteq import DTX, PlainDecoder, payload

from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.replay import replay

PACKETS = 160


class TickByTick:
    """A NetEQ that nobody knows can do more than one tick."""

    def __init__(self, neteq):
        self.insert_packet, self.get_audio = neteq.insert_packet, neteq.get_audio


class Counting(NetEq):
    glided = 0

    def glide(self, *asked):
        run = super().glide(*asked)
        self.glided += run.blocks if run else 0
        return run


def red(index, ptime_ms):
    block = payload(index - 1, ptime_ms)
    offset = 48 * ptime_ms
    header = bytes([0x80 | 111, offset >> 6, (offset & 63) << 2 | len(block) >> 8, len(block) & 255, 111])
    return header + block + payload(index, ptime_ms)


def arrivals(kind, seed, ptime_ms):
    rng = np.random.default_rng(seed)
    spread_ms = 40 if kind == "jitter" else 5
    out = []
    for index in range(1, PACKETS):
        if kind in ("loss", "red", "fec") and rng.random() < 0.05:
            continue
        said, kind_of_packet = payload(index, ptime_ms, fec=kind == "fec"), 111
        if kind == "damage" and rng.random() < 0.02:
            said = b"!"
        if kind == "dtx" and index // 30 % 2:
            if index % 20:
                continue
            said = DTX
        if kind == "red":
            said, kind_of_packet = red(index, ptime_ms), 63
        late_s = rng.exponential(spread_ms / 1e3) + (0.3 if kind == "burst" and index % 60 < 12 else 0.0)
        packet = RtpPacket(
            (65_400 + index) & 0xFFFF, (2**32 - 9_600 + 48 * ptime_ms * index) & 0xFFFFFFFF, said, kind_of_packet
        )
        out.append((index * ptime_ms / 1e3 + late_s, packet))
        if kind == "overflow" and index == 80:
            out += [(out[-1][0], RtpPacket(1, (packet.timestamp + 960 * n) & 0xFFFFFFFF, said)) for n in range(1, 250)]
    return out if kind in ("jitter", "burst") else sorted(out, key=lambda each: each[1].sequence < 30_000)


@pytest.mark.parametrize("kind", ["clean", "loss", "jitter", "burst", "red", "fec", "dtx", "damage", "overflow"])
@pytest.mark.parametrize("ptime_ms", [10, 20, 60])
def test_a_glide_is_what_its_ticks_are_one_by_one(kind, ptime_ms):
    came = arrivals(kind, 7, ptime_ms)
    until_s = PACKETS * ptime_ms / 1e3 + 0.5
    at_once, singly = Counting(PlainDecoder()), NetEq(PlainDecoder())
    glided = replay(at_once, came, 0.0037, until_s, drift=1e-4)
    ticked = replay(TickByTick(singly), came, 0.0037, until_s, drift=1e-4)

    assert at_once.glided > 30  # else nothing was tried
    assert np.array_equal(glided.pcm, ticked.pcm)
    assert np.array_equal(glided.stamps, ticked.stamps)
    assert np.array_equal(glided.concealed, ticked.concealed)
    assert asdict(at_once.stats()) == asdict(singly.stats())
    for name in ("target_ms", "delay_ms", "operations"):
        assert np.array_equal(getattr(at_once.trace(), name), getattr(singly.trace(), name)), name


def whatever(seed):
    """Return packets of a stream that restarts, pauses, runs fast or slow, and is lost, doubled and overtaken."""
    rng = np.random.default_rng(seed)
    samples, stamp, base_s = 48 * int(rng.choice([10, 20, 60])), 2**32 - 96_000, 0.0
    spread_s = rng.choice([0, 0.02, 0.3])
    lost, doubled, rate = rng.choice([0, 0.1]), rng.choice([0, 0.1]), 1 + rng.choice([0, 1e-3, -5e-3])
    out = []
    for index in range(250):
        if rng.random() < 0.02:
            stamp += samples * int(rng.choice([1, -1, 60, 200, -200, 3000, -3000]))
            base_s += rng.choice([0.0, 0.2, 3.0, -0.1])
        at_s = base_s + rate * index * samples / 48e3 + rng.exponential(spread_s)
        said = payload(index, samples // 48)
        packet = RtpPacket((65_400 + index) & 0xFFFF, (stamp + samples * index) & 0xFFFFFFFF, said)
        copies = (rng.random() >= lost) * (1 + (rng.random() < doubled))
        out += [(at_s + copy * rng.exponential(1.0), packet) for copy in range(copies)]
        if rng.random() < 0.002:
            stamps = (packet.timestamp + samples * np.arange(220)) & 0xFFFFFFFF
            out += [(at_s, packet._replace(timestamp=int(each))) for each in stamps]
    return out


@pytest.mark.parametrize("seed", range(12))
def test_whatever_comes_a_glide_is_what_its_ticks_are(seed):
    came = whatever(seed)
    first_s, until_s = (0.0, -0.5, 1.2)[seed % 3], max(at_s for at_s, _ in came) + 0.3
    at_once, singly = Counting(PlainDecoder()), NetEq(PlainDecoder())
    glided = replay(at_once, came, first_s, until_s, drift=1e-3 * (seed % 2))
    ticked = replay(TickByTick(singly), came, first_s, until_s, drift=1e-3 * (seed % 2))

    assert at_once.glided
    assert asdict(at_once.stats()) == asdict(singly.stats())
    assert np.array_equal(glided.pcm, ticked.pcm)
    assert np.array_equal(glided.stamps, ticked.stamps)
    assert np.array_equal(at_once.trace().target_ms, singly.trace().target_ms)


def test_a_glide_goes_no_further_than_who_listens_may_want_to_stop():
    came = arrivals("clean", 1, 20)
    asked_s = []
    replay(NetEq(PlainDecoder()), came, 0.0, 9.0, enough=lambda _block, now_s: asked_s.append(now_s), from_s=3.0)
    assert asked_s == pytest.approx(3.01 + 0.01 * np.arange(599))
