"""A modelled call by itself: what is lost comes again where it is asked for, and every rule of the wire is kept."""

import numpy as np
import pytest

from rtcprobe.audio.protection import Protection
from rtcprobe.link import parse_link
from rtcprobe.model import Plan, Voice, place
from rtcprobe.model.agenda import Agenda
from rtcprobe.playout.copies import Left
from rtcprobe.recording import Departures

FRAMES = [bytes((number % 251,)) * 40 for number in range(500)]
"""Ten seconds of 20 ms."""


@pytest.fixture
def model():
    def call(there, back=None, *, seed=1, timeout_s=30.0, frames=FRAMES, **protection):
        ways = {True: [parse_link(there)], False: [parse_link(back or there)]}
        voice = Voice(frames=frames, ptime_s=0.020, red_copies=protection.get("red_copies", 0))
        plan = Plan(
            routes={
                ("caller", "callee"): ways[True],
                ("callee", "caller"): ways[False],
                ("caller", "server"): ways[True],
                ("server", "caller"): ways[False],
                ("callee", "server"): [],
                ("server", "callee"): [],
            },
            voices=dict.fromkeys(("caller", "callee"), voice),
            protection=Protection(**protection),
            connection="cold",
            dtls_timeout_s=lambda _: 1.0,
            join_timeout_s=timeout_s,
        )
        return place(plan, np.random.SeedSequence(seed), np.random.SeedSequence(seed + 1000))

    return call


def said(call):
    """Return what the caller said."""
    return call.ways["caller_to_callee"].said


def came(call, way="caller_to_callee"):
    """Return what came on ``way``."""
    return call.ways[way].came


def reached(call):
    """Return by number when each packet of the caller reached the callee, seconds after it first left."""
    left = Left(said(call).departures)
    arrivals = came(call).arrivals
    places = left.places(arrivals.timestamps)
    return dict(zip(places.tolist(), (arrivals.at_s - left.at_s[places]).tolist(), strict=True))


def test_equal_seeds_give_equal_calls_and_others_others(model):
    one, same, other = (model("delay 40ms 5ms loss 2%", seed=seed) for seed in (3, 3, 4))
    assert came(one).arrivals == came(same).arrivals
    assert isinstance(said(one).departures, Departures)
    assert said(one).departures == said(same).departures
    assert came(one).arrivals.at_s.tolist() != came(other).arrivals.at_s.tolist()


def test_frames_leave_on_their_grid_and_take_the_links_delay(model):
    call = model("delay 40ms")
    left = Left(said(call).departures)
    assert np.diff(left.at_s) == pytest.approx(np.full(499, 0.020))
    assert list(reached(call).values()) == pytest.approx([0.040] * 500)


def test_sound_begins_when_the_handshake_is_over(model):
    """Cold: TCP, TLS, offer, answer, then two and a half round trips of checks and DTLS: eleven ways of 40 ms."""
    call = model("delay 40ms")
    first_s = said(call).departures[0].at_s
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
    assert len(said(call).departures) > 500


def test_a_packet_that_the_network_doubles_is_heard_once(model):
    call = model("delay 40ms duplicate 30%")
    assert len(came(call).arrivals) == 500
    assert call.lines["caller_to_callee"][1].achieved().duplicated == pytest.approx(0.3, abs=0.07)


def test_red_packets_carry_the_frames_before(model):
    call = model("delay 10ms", red_copies=1)
    packets = [packet for _, packet in came(call).arrivals]
    assert all(before in packet.payload for before, packet in zip(FRAMES, packets[1:], strict=False))
    assert came(call).agreed.sends_red


def test_a_damaged_packet_does_not_arrive(model):
    call = model("delay 10ms corrupt 10%")
    assert len(came(call).arrivals) == pytest.approx(450, abs=30)
    assert call.lines["caller_to_callee"][1].achieved().drops["corrupt"] > 0


def test_a_path_that_lets_nothing_through_fails_the_call_in_time(model):
    call = model("loss 100%", timeout_s=5.0)
    assert call.failed == "caller ice_connected: not within 5 s"
    assert not said(call).finished
    assert not came(call, "callee_to_caller").arrivals


def test_silence_that_is_not_sent_ends_the_call_at_its_last_word(model):
    call = model("delay 10ms", frames=[*FRAMES[:10], *[None] * 40])
    assert said(call).finished
    assert len(said(call).departures) == 10


def test_of_one_instant_what_was_noted_first_happens_first():
    agenda, seen = Agenda(), []
    for name in "abc":
        agenda.at(1.0, lambda name=name: seen.append((agenda.now_s, name)))
    agenda.at(0.5, lambda: agenda.at(0.75, lambda: seen.append((agenda.now_s, "first"))))
    agenda.at(2.0, lambda: seen.append((agenda.now_s, "too late")))
    agenda.until(lambda: 1.5)
    assert seen == [(0.75, "first"), (1.0, "a"), (1.0, "b"), (1.0, "c")]


def room(*, slow=None, hears=None, quiet=()):
    """Return a call of three over 40 ms each way, 80 ms more on the leg ``slow``."""
    names = ("ana", "ben", "cho")
    legs = {(a, b): [parse_link("delay 40ms")] for a in (*names, "server") for b in (*names, "server") if a != b}
    if slow is not None:
        legs[slow] = [parse_link("delay 120ms")]
    plan = Plan(
        routes=legs,
        voices={name: None if name in quiet else Voice(frames=FRAMES[:50], ptime_s=0.020) for name in names},
        hears=hears or {},
        protection=Protection(),
        connection="warm",
        dtls_timeout_s=lambda _: 1.0,
        join_timeout_s=30.0,
    )
    return place(plan, np.random.SeedSequence(1), np.random.SeedSequence(2))


def delays(call):
    """Return by way how late each packet came, rounded to a microsecond."""
    return {
        way: {
            round(at_s - left.at_s, 6)
            for (at_s, _), left in zip(heard.came.arrivals, heard.said.departures, strict=True)
        }
        for way, heard in call.ways.items()
    }


def test_three_hear_each_other_over_six_ways_and_one_slow_leg_slows_one():
    assert list(room().ways) == ["ana_to_ben", "ana_to_cho", "ben_to_ana", "ben_to_cho", "cho_to_ana", "cho_to_ben"]
    assert delays(room()) == {way: {0.040} for way in room().ways}
    assert delays(room(slow=("ben", "cho"))) == {way: {0.120 if way == "ben_to_cho" else 0.040} for way in room().ways}


def test_a_microphone_is_one_and_is_heard_over_every_connection_at_once():
    call = room(slow=("ben", "cho"))  # that pair takes longest to connect, and all wait for it
    begun = {way.talker: set() for way in call.ways}
    for way, heard in call.ways.items():
        begun[way.talker].add((heard.said.started_s, heard.said.departures[0].at_s))
    assert [len(each) for each in begun.values()] == [1, 1, 1]


def test_who_says_nothing_is_heard_by_nobody_and_who_hears_one_gets_no_other():
    call = room(quiet=("cho",), hears={"ana": (), "cho": ("ana",)})
    assert list(call.ways) == ["ana_to_ben", "ana_to_cho"]
    assert set(call.lines) == {"ana_to_ben", "ben_to_ana", "ana_to_cho", "cho_to_ana"}  # ben and cho never meet
    assert len(came(call, "ana_to_cho").arrivals) == 50
