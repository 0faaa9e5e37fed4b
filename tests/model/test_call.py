"""A modelled call by itself: what is lost comes again where it is asked for, and every rule of the wire is kept."""

import numpy as np
import pytest

from rtcprobe.audio.protection import Protection
from rtcprobe.link import parse_link
from rtcprobe.model import Plan, place
from rtcprobe.model.agenda import Agenda
from rtcprobe.playout.copies import Left
from rtcprobe.recording import Departures

FRAMES = [bytes((number % 251,)) * 40 for number in range(500)]
"""Ten seconds of 20 ms."""


@pytest.fixture
def model():
    def call(there, back=None, *, seed=1, timeout_s=30.0, frames=FRAMES, **protection):
        ways = {True: [parse_link(there)], False: [parse_link(back or there)]}
        plan = Plan(
            routes={
                ("caller", "callee"): ways[True],
                ("callee", "caller"): ways[False],
                ("caller", "server"): ways[True],
                ("server", "caller"): ways[False],
                ("callee", "server"): [],
                ("server", "callee"): [],
            },
            frames={"caller": frames, "callee": frames},
            ptime_s=0.020,
            protection=Protection(**protection),
            connection="cold",
            dtls_timeout_s=lambda _: 1.0,
            join_timeout_s=timeout_s,
        )
        return place(plan, np.random.SeedSequence(seed), np.random.SeedSequence(seed + 1000))

    return call


def reached(call):
    """Return by number when each packet of the caller reached the callee, seconds after it first left."""
    left = Left(call.said[0].departures)
    arrivals = call.came[1].arrivals
    places = left.places(arrivals.timestamps)
    return dict(zip(places.tolist(), (arrivals.at_s - left.at_s[places]).tolist(), strict=True))


def test_equal_seeds_give_equal_calls_and_others_others(model):
    one, same, other = (model("delay 40ms 5ms loss 2%", seed=seed) for seed in (3, 3, 4))
    assert one.came[0].arrivals == same.came[0].arrivals
    assert isinstance(one.said[0].departures, Departures)
    assert one.said[0].departures == same.said[0].departures
    assert one.came[0].arrivals.at_s.tolist() != other.came[0].arrivals.at_s.tolist()


def test_frames_leave_on_their_grid_and_take_the_links_delay(model):
    call = model("delay 40ms")
    left = Left(call.said[0].departures)
    assert np.diff(left.at_s) == pytest.approx(np.full(499, 0.020))
    assert list(reached(call).values()) == pytest.approx([0.040] * 500)


def test_sound_begins_when_the_handshake_is_over(model):
    """Cold: TCP, TLS, offer, answer, then two and a half round trips of checks and DTLS: eleven ways of 40 ms."""
    call = model("delay 40ms")
    first_s = call.said[0].departures[0].at_s
    assert 0.440 < first_s <= 0.460


def test_what_is_asked_for_again_comes_a_round_trip_after_its_loss_showed(model):
    call = model("delay 50ms loss 5%", "delay 50ms", nack=True)
    bare = model("delay 50ms loss 5%", "delay 50ms")
    assert len(reached(bare)) < 490
    found = reached(call)
    late_s = [delay_s for delay_s in found.values() if delay_s > 0.051]
    assert len(found) > len(reached(bare)) + len(late_s) / 2
    # The next packet shows the loss 20 ms later, the question and its answer take 100 ms.
    assert np.quantile(late_s, 0.25) == pytest.approx(0.170, abs=1e-6)
    assert len(call.said[0].departures) > 500


def test_a_packet_that_the_network_doubles_is_heard_once(model):
    call = model("delay 40ms duplicate 30%")
    assert len(call.came[1].arrivals) == 500
    assert call.lines[0][1].achieved().duplicated == pytest.approx(0.3, abs=0.07)


def test_red_packets_carry_the_frames_before(model):
    call = model("delay 10ms", red_copies=1)
    packets = [packet for _, packet in call.came[1].arrivals]
    assert all(before in packet.payload for before, packet in zip(FRAMES, packets[1:], strict=False))
    assert call.came[1].agreed.sends_red


def test_a_damaged_packet_does_not_arrive(model):
    call = model("delay 10ms corrupt 10%")
    assert len(call.came[1].arrivals) == pytest.approx(450, abs=30)
    assert call.lines[0][1].achieved().drops["corrupt"] > 0


def test_a_path_that_lets_nothing_through_fails_the_call_in_time(model):
    call = model("loss 100%", timeout_s=5.0)
    assert call.failed == "caller ice_connected: not within 5 s"
    assert not call.said[0].finished
    assert not call.came[0].arrivals


def test_silence_that_is_not_sent_ends_the_call_at_its_last_word(model):
    call = model("delay 10ms", frames=[*FRAMES[:10], *[None] * 40])
    assert call.said[0].finished
    assert len(call.said[0].departures) == 10


def test_of_one_instant_what_was_noted_first_happens_first():
    agenda, seen = Agenda(), []
    for name in "abc":
        agenda.at(1.0, lambda name=name: seen.append((agenda.now_s, name)))
    agenda.at(0.5, lambda: agenda.at(0.75, lambda: seen.append((agenda.now_s, "first"))))
    agenda.at(2.0, lambda: seen.append((agenda.now_s, "too late")))
    agenda.until(lambda: 1.5)
    assert seen == [(0.75, "first"), (1.0, "a"), (1.0, "b"), (1.0, "c")]
