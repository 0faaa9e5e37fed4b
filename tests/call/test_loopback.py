from functools import cache
from itertools import pairwise

import pytest
from calls import call, setup

from rtcprobe.link import Bernoulli, Delay, LinkSpec, LossTrace
from rtcprobe.timeline import CALLEE_ORDER, CALLER_ORDER, phases, price

ONE_WAY_S = 0.040
RTT_S = 2 * ONE_WAY_S
CLEAN = LinkSpec(delay=Delay(base_s=ONE_WAY_S))


@cache
def clean():
    return call(setup(CLEAN))


def losing(*which, of=64):
    return LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=LossTrace(lost=tuple(index in which for index in range(of))))


def test_a_clean_cold_join_is_made_of_whole_round_trips():
    spans = phases(clean().caller.timeline.marks)
    assert spans["signaling"] == pytest.approx(2 * RTT_S, abs=1e-6)  # TCP, TLS 1.3
    assert spans["answer"] == pytest.approx(2 * RTT_S, abs=1e-6)  # caller - server - callee and back
    # The callee's checks left half a way earlier than ours; ICE then takes one round trip from the answer on.
    assert spans["ice"] == pytest.approx(RTT_S, abs=0.021)
    # DTLS 1.2, the callee as client: its first flight was under way when our ICE ended.
    assert spans["dtls"] == pytest.approx(RTT_S, abs=1e-6)


def test_a_warm_join_saves_the_two_round_trips_of_tcp_and_tls():
    warm = call(setup(CLEAN, connection="warm"))
    saved = clean().caller.timeline.marks["dtls_connected"] - warm.caller.timeline.marks["dtls_connected"]
    assert saved == pytest.approx(2 * RTT_S, abs=1e-6)


def test_both_sides_pass_every_milestone_in_an_order_that_can_be():
    made = clean()
    for peer, order in ((made.caller, CALLER_ORDER), (made.callee, CALLEE_ORDER)):
        reached = [milestone for milestone in order if milestone in peer.timeline.marks]
        assert set(order) - set(reached) == {"first_audio"}
    assert made.callee.timeline.marks["offer_received"] > made.caller.timeline.marks["offer_sent"]
    assert made.failed is None


def test_equal_seeds_give_equal_calls_to_the_bit():
    jittery = LinkSpec(delay=Delay(base_s=0.03, jitter_s=0.01, distribution="normal"), loss=Bernoulli(0.05))

    def figures(seed):
        made = call(setup(jittery, endless=False), seed, talk=True)
        return [
            (
                peer.timeline.marks,
                [(at_s, p.sequence, p.timestamp) for at_s, p in peer.arrivals],
                peer.said().departures,
            )
            for peer in (made.caller, made.callee)
        ]

    first = figures(3)
    assert first == figures(3)
    assert first != figures(4)


def test_every_frame_leaves_on_its_own_peers_grid_and_arrives_after_the_path():
    made = call(setup(CLEAN, endless=False, frames=25), talk=True)
    for sender, receiver in ((made.caller, made.callee), (made.callee, made.caller)):
        departures = [departure.at_s for departure in sender.said().departures]
        assert departures == pytest.approx([sender.track.due_s(index) for index in range(25)], abs=1e-8)
        arrivals = [at_s for at_s, _ in receiver.arrivals]
        assert arrivals == pytest.approx([at_s + ONE_WAY_S for at_s in departures], abs=1e-8)
        steps = {(b.timestamp - a.timestamp) % 2**32 for (_, a), (_, b) in pairwise(receiver.arrivals)}
        assert steps == {960}  # 20 ms of a 48 kHz clock


def test_frames_that_dtx_left_out_are_not_sent_and_keep_their_place_in_time():
    plan = setup(CLEAN, endless=False, frames=6)
    plan.speech["caller"].frames[2:4] = [None, None]
    made = call(plan, talk=True)
    stamps = [packet.timestamp for _, packet in made.callee.arrivals]
    assert [(stamp - stamps[0]) % 2**32 // 960 for stamp in stamps] == [0, 1, 4, 5]


def costs(made):
    total_s = made.caller.timeline.marks["first_packet"]
    return {
        cost.wait.timer: cost
        for cost in price(made.waits(), total_s=total_s, not_before_s=made.awaited_s(made.caller, total_s))
        if cost.cost_s
    }


def test_a_lost_dtls_flight_costs_one_handshake_timer_and_is_named():
    # Callee to caller: the ICE check and the two answers come first; find the first DTLS datagram by losing it.
    for index in range(8):
        made = call(setup(CLEAN, routes={("callee", "caller"): [losing(index)]}))
        if set(costs(made)) == {"dtls"}:
            break
    else:
        pytest.fail("no datagram of the first eight was a handshake flight")
    (cost,) = costs(made).values()
    assert cost.cost_s == pytest.approx(1.0, abs=1e-6)
    assert cost.wait.what == "handshake flight"
    late_s = made.caller.timeline.marks["dtls_connected"] - clean().caller.timeline.marks["dtls_connected"]
    assert late_s == pytest.approx(1.0, abs=1e-6)


def test_a_lost_connectivity_check_costs_half_a_second_and_is_named():
    made = call(setup(CLEAN, routes={("caller", "callee"): [losing(0)]}))
    # Less the way during which the answer was still travelling to the caller.
    assert costs(made)["stun"].cost_s == pytest.approx(0.5, abs=ONE_WAY_S + 1e-6)


def test_a_lost_syn_costs_a_second_and_is_named():
    made = call(setup(CLEAN, routes={("caller", "server"): [losing(0)]}))
    assert costs(made)["signaling"].cost_s == pytest.approx(1.0, abs=1e-6)
    assert costs(made)["signaling"].wait.what == "TCP SYN"


def test_the_handshake_timer_may_follow_the_round_trip_that_ice_measured():
    asked = []

    def timeout_s(round_trip_s):
        asked.append(round_trip_s)
        return 0.2

    made = call(setup(CLEAN, dtls_s=timeout_s))
    assert made.failed is None
    assert asked[0] == pytest.approx(RTT_S, abs=1e-6)


@pytest.mark.parametrize("dtls_s", [0.05, 1.0])
def test_what_timers_cost_is_what_the_join_was_late(dtls_s):
    # Law: join under loss = clean join + the costs attributed, to within a round trip: what was under way while two
    # timers ran at once is counted with one of them.
    clean_s = clean().caller.timeline.marks["dtls_connected"]
    lossy = LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=Bernoulli(0.10))
    delayed = 0
    for seed in range(5):
        made = call(setup(lossy, dtls_s=dtls_s), seed)
        assert made.failed is None
        total_s = made.caller.timeline.marks["dtls_connected"]
        priced = price(made.waits(), total_s=total_s, not_before_s=made.awaited_s(made.caller, total_s))
        paid_s = sum(cost.cost_s for cost in priced)
        assert total_s == pytest.approx(clean_s + paid_s, abs=RTT_S + 1e-6), (seed, priced)
        delayed += paid_s > 0
    assert delayed >= 3  # at 10 % loss each way a join without a retransmission is the exception


def test_a_join_over_a_dead_path_ends_and_names_what_never_came():
    dead = LinkSpec(loss=Bernoulli(1.0))
    made = call(setup(CLEAN, routes={("caller", "callee"): [dead]}, join_timeout_s=5.0))
    assert made.failed == (
        "caller ice_connected not within 5 s; the caller's stun timer had resent 3 times, last its connectivity check"
    )
    silent = call(setup(CLEAN, routes={("caller", "server"): [dead]}, join_timeout_s=5.0))
    assert silent.failed == (
        "caller signaling_connected not within 5 s; the caller's signaling timer had resent 2 times, last its TCP SYN"
    )
