"""Several calls over one line: they share it, and what they get is compared."""

import pytest

from rtcprobe.adaptation import Course, Flow, case_names, fairness, find_case, jain, least_share, meet, together
from rtcprobe.adaptation.figures import capacity_of, figures_of
from rtcprobe.errors import BadInputError
from rtcprobe.link import Delay, Web, parse_link

LINE = "delay 20ms rate 1.5mbit limit 300ms"


def met(flows, *, line=LINE, back="delay 20ms", length_s=12.0, controller="gcc", seed=1):
    return meet(flows, parse_link(line), parse_link(back), length_s=length_s, controller=controller, seed=seed)


def test_jains_index_is_one_for_equals_and_one_of_n_for_the_only_one():
    assert jain([3.0, 3.0, 3.0]) == pytest.approx(1.0)
    assert jain([5.0, 0.0, 0.0, 0.0]) == pytest.approx(0.25)
    assert jain([1.0, 3.0]) == pytest.approx(16 / 20)  # (1 + 3)^2 / (2 (1 + 9))
    assert jain([0.0, 0.0]) == 1.0


def test_two_flows_get_no_more_than_the_line_together_and_one_seed_gives_one_meeting():
    first, second = met([Flow(), Flow(start_s=3.0)])
    assert sum(second.offered_bps[:3]) == 0.0
    assert min(sum(second.offered_bps[5:]), sum(first.offered_bps[5:])) > 1e6
    both = [a + b for a, b in zip(first.delivered_bps, second.delivered_bps, strict=True)]
    assert max(both) <= 1.5e6 * 1.02
    assert first.target_bps == met([Flow(), Flow(start_s=3.0)])[0].target_bps


def test_one_that_pauses_sends_nothing_and_comes_back():
    (course,) = met([Flow(pauses=((4.0, 8.0),))])
    assert max(course.offered_bps[5:8]) < 20e3  # feedback of the other side's voice goes on
    assert course.offered_bps[10] > 0.5e6


def test_who_is_farther_away_is_later_by_its_own_way_alone():
    near, far = met([Flow(), Flow(delay_s=0.100)], line="delay 20ms rate 20mbit limit 300ms", length_s=5.0)
    floors = [min(delay_s for _, delay_s in course.delays) for course in (near, far)]
    assert floors[1] - floors[0] == pytest.approx(0.100, abs=0.002)


def test_media_that_goes_back_meets_the_others_feedback():
    # 200 kb/s back: a fixed 400 kb/s of media that goes back fills it, and feedback is lost in its queue.
    there, back = met(
        [Flow(), Flow(way="back")], back="delay 20ms rate 200kbit limit 300ms", length_s=8.0, controller="fixed:400kbit"
    )
    assert sum(there.drops) == 0
    assert sum(back.drops) > 100


def course(bps, delay_s=0.0):
    made = Course(40.0)
    made.delivered_bps = made.offered_bps = made.target_bps = [bps] * 40
    made.drops = made.lost = made.freezes = [1] * 40
    made.rtx_bps, made.height = [0.0] * 40, [480] * 40
    made.delays, made.untold = [(1.0, 0.1 + delay_s), (2.0, 0.2 + delay_s)], 3
    return made


def test_flows_together_are_added_and_judged_above_the_floor_of_each():
    flows = [Flow(), Flow(delay_s=0.1), Flow(way="back")]
    whole = together(flows, [course(1e6), course(3e6, 0.1), course(9e6)])
    assert (whole.delivered_bps[0], whole.drops[0], whole.untold) == (4e6, 2, 6)
    assert [round(delay_s, 3) for _, delay_s in whole.delays] == [0.0, 0.0, 0.1, 0.1]


def test_fairness_counts_those_that_go_there_and_tcp_with_the_rest_of_the_line():
    line = parse_link("delay 20ms rate 4mbit limit 300ms")
    assert fairness([Flow(), Flow()], [course(1e6), course(3e6)], line) == pytest.approx(0.8)
    assert fairness([Flow(), Flow(way="back")], [course(1e6), course(3e6)], line) is None
    beside = parse_link("delay 20ms rate 4mbit limit 300ms cross tcp 40ms")
    assert fairness([Flow()], [course(1e6)], beside) == pytest.approx(0.8)  # TCP has the other 3 Mb/s


def test_the_cases_are_those_of_the_rfc():
    cases = {name: find_case(name) for name in case_names() if name.startswith("rfc8867")}
    assert set(cases) == {f"rfc8867-5.{n}" for n in range(1, 9)} | {"rfc8867-5.6-1000ms"}
    assert {case.max_bps for case in cases.values()} == {1.5e6}  # section 4.3, as are the delay, the jitter, the queue
    for name, case in cases.items():
        delay = case.link.delay
        assert isinstance(delay, Delay)
        assert (delay.base_s, delay.jitter_s) == (0.0 if name.endswith("5.5") else 0.05, 0.005)
        assert case.link.limit is not None
        assert case.link.limit.wait_s == (1.0 if name.endswith("1000ms") else 0.3)
    ratios = ((0, 2.0), (25, 1.0), (50, 1.75), (75, 0.5), (100, 1.0))  # table 2, of 2 Mb/s
    assert capacity_of(cases["rfc8867-5.2"].link) == [(at_s, ratio * 2e6) for at_s, ratio in ratios]
    assert capacity_of(cases["rfc8867-5.3"].back) == [(0, 2e6), (35, 0.8e6), (70, 2e6)]  # table 4, of 1 Mb/s
    assert [flow.start_s for flow in cases["rfc8867-5.5"].flows] == [0, 10, 20, 30, 40]
    assert [flow.start_s for flow in cases["rfc8867-5.6"].flows] == [5]
    assert [type(each) for each in cases["rfc8867-5.7"].link.cross_traffic] == [Web] * 10
    assert [flow.pauses for flow in cases["rfc8867-5.8"].flows] == [(), ((40, 60),), ()]


@pytest.mark.parametrize(("written", "said"), [("100kbit", "max 100kbit is impossible"), ("fast", "'fast'")])
def test_a_maximum_that_cannot_be_meant_is_refused(tmp_path, written, said):
    path = tmp_path / "case.yaml"
    path.write_text(f"about: x\nsource: y\nlength: 10s\nlink: rate 1mbit\nback: delay 10ms\nmax: {written}\n")
    with pytest.raises(BadInputError) as refused:
        find_case(str(path))
    assert said in str(refused.value)


def test_the_least_of_those_who_share_is_told_by_the_most():
    line = parse_link("delay 20ms rate 4mbit limit 300ms")
    assert least_share([Flow(), Flow()], [course(1e6), course(3e6)], line) == pytest.approx(1 / 3)
    assert least_share([Flow()], [course(1e6)], line) is None
    beside = parse_link("delay 20ms rate 4mbit limit 300ms cross tcp 40ms cross tcp 40ms")
    assert least_share([Flow()], [course(1e6)], beside) == pytest.approx(1 / 1.5)  # each TCP has half of 3 Mb/s
    gone = Course(10.0, delays=[(0.0, 0.02)] * 18, drops=[1], lost=[1])
    assert figures_of(gone, line)["lost"] == pytest.approx(2 / 20)


@pytest.mark.parametrize("name", ["5.2", "5.3", "5.4", "5.5", "5.8"])
def test_the_cases_of_several_flows_can_be_meant(name):
    case = find_case(f"rfc8867-{name}")
    assert len(case.flows) >= 2
    assert all(flow.start_s < case.length_s for flow in case.flows)


@pytest.mark.parametrize(
    ("flows", "said"),
    [
        ("7", "flows 7 is no list"),
        ("[]", "is no list of 1 to 32"),
        ("[{begin: 1s}]", "cannot be read"),
        ("[{start: 10s}]", "start 10s is not within the call"),
        ("[{delay: 6s}]", "delay 6s is impossible"),
        ("[{way: up}]", "way 'up' is not known"),
        ("[{way: back}]", "no flow goes there"),
        ("[{pause: 4s}]", "is no two instants"),
        ("[{pause: [6s, 4s]}]", "ends before it begins"),
    ],
)
def test_flows_that_cannot_be_meant_are_refused_by_their_words(tmp_path, flows, said):
    path = tmp_path / "case.yaml"
    path.write_text(
        "about: x\nsource: y\nlength: 10s\nlink: rate 1mbit limit 300ms\nback: delay 10ms\n" + f"flows: {flows}\n"
    )
    with pytest.raises(BadInputError) as refused:
        find_case(str(path))
    assert said in str(refused.value)
