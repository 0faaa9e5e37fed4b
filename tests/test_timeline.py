import pytest

from rtcprobe.timeline import OUTSIDE_ORDER, Timeline, Wait, answers, phases, price

MARKS = {
    "ice_gathered": 0.005,
    "signaling_connected": 0.160,
    "offer_sent": 0.160,
    "answer_received": 0.320,
    "ice_connected": 0.400,
    "dtls_connected": 0.480,
    "first_packet": 0.560,
    "first_audio": 0.620,
}


def wait(from_s, at_s, timer="dtls", *, needed=True):
    return Wait(timer=timer, side="caller", what="", from_s=from_s, at_s=at_s, needed=needed)


def test_phases_are_contiguous_and_sum_to_the_total():
    spans = phases(MARKS)
    assert list(spans) == ["signaling", "gathering", "offer", "answer", "ice", "dtls", "media", "playout"]
    assert sum(spans.values()) == pytest.approx(0.620)
    assert spans["signaling"] == pytest.approx(0.160)
    assert spans["gathering"] == 0.0  # it went on while the signalling connected


def test_a_milestone_that_came_early_takes_no_time_from_the_next():
    # A packet that arrives before our own DTLS end is processed at that end: media takes 0, not a negative time.
    spans = phases({**MARKS, "first_packet": 0.450})
    assert spans["media"] == 0.0
    assert sum(spans.values()) == pytest.approx(0.620)


def test_phases_not_reached_are_absent():
    assert list(phases({"signaling_connected": 0.1, "offer_sent": 0.1})) == ["signaling", "offer"]


def test_the_first_mark_of_a_milestone_stands():
    timeline = Timeline("caller")
    timeline.mark("ice_connected", 1.0)
    timeline.mark("ice_connected", 2.0)
    assert timeline.marks == {"ice_connected": 1.0}


def test_the_furthest_milestone_is_known_whatever_the_order_of_marks():
    timeline = Timeline("callee")
    assert timeline.reached() is None
    timeline.mark("ice_gathered", 1.0)
    timeline.mark("offer_received", 1.0)
    assert timeline.reached() == "ice_gathered"


def test_a_milestone_of_the_other_side_is_refused():
    with pytest.raises(ValueError, match="'offer_sent' is not a milestone of the callee"):
        Timeline("callee").mark("offer_sent", 0.0)


def test_a_needed_retransmission_costs_the_span_its_timer_waited():
    (cost,) = price([wait(0.44, 1.44)], total_s=1.6)
    assert cost.cost_s == pytest.approx(1.0)


def test_a_retransmission_after_an_earlier_copy_arrived_costs_nothing_and_hides_nothing():
    costs = price([wait(0.0, 0.5, needed=False), wait(0.1, 0.4)], total_s=1.0)
    assert [cost.cost_s for cost in costs] == pytest.approx([0.3, 0.0])


def test_waits_that_ran_at_once_are_paid_once():
    costs = price([wait(0.0, 0.5, "stun"), wait(0.1, 0.7, "stun")], total_s=1.0)
    assert [cost.cost_s for cost in costs] == pytest.approx([0.5, 0.2])


def test_a_timer_costs_nothing_while_something_before_it_is_awaited():
    # The handshake's timer ran from 0.4 s, but the other side had no path before 3.9 s: the checks cost that time.
    costs = price(
        [wait(0.3, 3.8, "stun"), wait(0.4, 1.4), wait(1.4, 3.4)], total_s=4.2, not_before_s={"stun": 0.3, "dtls": 3.9}
    )
    assert {cost.wait.timer: cost.cost_s for cost in costs if cost.cost_s} == {"stun": pytest.approx(3.5)}


def test_a_wait_that_outlasted_the_join_costs_only_its_part_of_the_join():
    (cost,) = price([wait(0.2, 5.0)], total_s=1.0)
    assert cost.cost_s == pytest.approx(0.8)


def test_an_answer_that_came_too_soon_belongs_to_an_earlier_copy():
    # One way takes 40 ms at the fastest: what was sent 10 ms before the answer did not bring it.
    assert not answers(0.50, 0.51, 0.04)
    assert answers(0.50, 0.54, 0.04)
    assert answers(0.50, None, 0.04)
    assert answers(0.50, 0.51, None)


def test_a_side_s_milestones_count_from_its_own_beginning():
    timeline = Timeline("callee", OUTSIDE_ORDER)
    timeline.begin(2.0)
    timeline.mark("tcp_connected", 2.1)
    timeline.mark("answer_received", 2.5)
    assert timeline.marks == {"tcp_connected": pytest.approx(0.1), "answer_received": pytest.approx(0.5)}
    assert timeline.reached() == "answer_received"


def test_the_phases_of_a_join_outside_are_named_by_its_steps_and_sum_to_it():
    # Candidates were there before the connection: gathering cost nothing. "attached" is some target's own milestone.
    order = (*OUTSIDE_ORDER[:4], "attached", *OUTSIDE_ORDER[4:])
    marks = {
        "dns_resolved": 0.02,
        "tcp_connected": 0.05,
        "tls_connected": 0.09,
        "ice_gathered": 0.01,
        "attached": 0.12,
        "answer_received": 0.2,
        "first_audio": 0.5,
    }
    found = phases(marks, order)
    assert list(found) == ["dns", "tcp", "tls", "attached", "gathering", "answer", "playout"]
    assert found["gathering"] == 0.0
    assert sum(found.values()) == pytest.approx(0.5)
