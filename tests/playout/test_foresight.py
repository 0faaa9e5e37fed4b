"""What is foreseen of packets is what history and target say when they come, one by one."""

from __future__ import annotations

import numpy as np
import pytest
from test_neteq import PlainDecoder, payload

from rtcprobe.playout.arrivals import Coming
from rtcprobe.playout.base import RtpPacket
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.neteq.delay import DelayTarget
from rtcprobe.playout.neteq.foresight import Foresight
from rtcprobe.playout.neteq.history import ArrivalHistory
from rtcprobe.playout.neteq.stats import Counters
from rtcprobe.playout.replay import replay

PACKETS = 400
CLOCK = (0.0131, 0.010, 0)


def stream(seed, *, spread_s, lost=0.0, copies=0.0, pauses=()):
    """Return a minute's opening as it may arrive: late, lost, overtaken and twice; the timestamp wraps.

    At each of ``pauses`` time goes on for 3 s in which nothing is said.
    """
    rng = np.random.default_rng(seed)
    came = []
    for number in range(PACKETS):
        index = number + 150 * sum(number >= pause for pause in pauses)
        packet = RtpPacket(number, (2**32 - 48_000 + 960 * index) & 0xFFFFFFFF, payload(number, 20))
        if rng.random() >= lost:
            came.append((0.02 * index + rng.exponential(spread_s), packet))
            if rng.random() < copies:
                came.append((came[-1][0] + rng.exponential(1.5), packet))
    return came


@pytest.mark.parametrize("spread_s", [0.0, 0.004, 0.03, 0.2])
@pytest.mark.parametrize(
    ("lost", "copies", "pauses"), [(0.0, 0.0, ()), (0.3, 0.0, (60, 190, 191)), (0.05, 0.1, ()), (0.0, 0.1, (60, 350))]
)
def test_what_is_foreseen_is_what_history_and_target_say_packet_by_packet(spread_s, lost, copies, pauses):
    came = stream(5, spread_s=spread_s, lost=lost, copies=copies, pauses=pauses)
    counters = Counters()
    foresight = Foresight.of(Coming(came), PlainDecoder(), 111, CLOCK, counters)
    for first in (0, 150):  # and again from where everything was forgotten
        history, target = ArrivalHistory(), DelayTarget()
        counters.received = first
        foresight.begin()
        foresight.look(len(foresight.ticks))
        start_s, period_s, _ = CLOCK
        for place in range(first, len(foresight.ticks)):
            stamp, tick = int(foresight.stamps[place]), int(foresight.ticks[place])
            at_s = sorted(each[0] for each in came)[place] if place % 50 == 0 else None
            assert at_s is None or start_s + tick * period_s >= at_s
            assert at_s is None or not tick or start_s + (tick - 1) * period_s < at_s
            in_order = history.follow(stamp, 960, tick)
            if (in_order or history.insert(stamp, 960, tick)) and len(history) > 1:
                late_ms = history.newest_ms if in_order else history.delay_ms(stamp, tick)
                target.update(late_ms, tick, reordered=not in_order)
            found = foresight.fast_ms[place], foresight.max_delay_ms[place], foresight.target_ms[place]
            assert found == (history.fast_ms, history.max_delay_ms, target.target_ms), place
            assert (place in foresight.odd) == (place > first and not in_order)


def test_nothing_is_foreseen_of_frames_of_several_kinds_and_of_redundancy():
    plain = stream(1, spread_s=0.0)
    for index, said, kind in (
        (7, payload(7, 60), 111),
        (7, payload(7, 20, fec=True), 111),
        (7, b"!", 111),
        (7, plain[7][1].payload, 63),
        (7, b"\x00", 111),
    ):
        at_s, packet = plain[index]
        came = [*plain[:index], (at_s, packet._replace(payload=said, payload_type=kind)), *plain[index + 1 :]]
        assert Foresight.of(Coming(came), PlainDecoder(), 111, CLOCK, Counters()) is None, (said, kind)
    assert Foresight.of(Coming(plain), PlainDecoder(), 111, CLOCK, Counters()) is not None
    assert Foresight.of(Coming(()), PlainDecoder(), 111, CLOCK, Counters()) is None


def test_a_call_without_loss_is_played_in_a_few_leaps():
    asked = []

    class Counting(NetEq):
        def glide(self, *args):
            run = super().glide(*args)
            asked.append(run.blocks if run else 0)
            return run

    replay(Counting(PlainDecoder()), stream(2, spread_s=0.002), 0.0, 8.0)
    assert sum(asked) > 700  # of 800 ticks
    assert max(asked) > 200
