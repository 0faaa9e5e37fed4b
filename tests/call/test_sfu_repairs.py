"""What copies, requests and in-band redundancy bring back through a server of ours: laws, and what others measured.

Theirs are single calls of 30 s over 2 x 40 ms, 5 % lost on the way down, by a forwarder of 150 lines on the same stack
(``benchmarks/sfu_truth.py`` has the whole table, with the delays).
"""

from functools import cache

from rtcprobe.audio.opus_packet import has_fec
from rtcprobe.probe import run_probe
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.scenario import parse_scenario

LOSS = 0.05
THEIR_FRAMES = 1500
LISTENERS = ("ann", "bob", "cho", "dan", "eve")
ROOM = f"""
name: repaired
parties: {{host: {{}}, {", ".join(f"{name}: {{sends: nothing}}" for name in LISTENERS)}}}
signaling: {{connection: warm}}
link: delay 40ms
call: {{calls: 1, duration: 8s, joins: 1}}
legs: {{{", ".join(f"sfu_to_{name}: delay 40ms loss {LOSS:.0%}" for name in LISTENERS)}}}
"""


def run(nack, *settings):
    return run_probe(parse_scenario(ROOM, [f"target={{kind: sfu, nack: {nack}}}", *settings]), seed=1, clock="virtual")


@cache
def repaired(nack, *settings):
    """Return frames sent, and the counts lost before and after any repair, and never played, of all listeners."""
    of_all = [account.protection for account in run(nack, *settings).accounts]
    sent = sum(each.sent for each in of_all)
    unplayed = round(sum(each.unplayed * each.sent for each in of_all))
    return sent, sum(each.lost_before for each in of_all), sum(each.lost_after for each in of_all), unplayed


def within(count, of, share):
    """Whether ``count`` is what ``share`` of ``of`` gives, within three standard deviations."""
    return abs(count - of * share) <= 3 * (of * share * (1 - share)) ** 0.5


def agrees(count, of, theirs):
    """Whether ``theirs``, a share of one call, and ours lie within three standard errors of their difference."""
    pooled = (count + theirs * THEIR_FRAMES) / (of + THEIR_FRAMES)
    return abs(count / of - theirs) <= 3 * (pooled * (1 - pooled) * (1 / of + 1 / THEIR_FRAMES)) ** 0.5


def test_without_repair_a_listener_misses_what_its_leg_lost():
    sent, before, after, unplayed = repaired("none")
    assert within(before, sent, LOSS)
    assert before == after == unplayed
    assert agrees(unplayed, sent, 0.047)


def test_with_one_copy_a_listener_misses_two_in_a_row():
    sent, before, after, unplayed = repaired("none", "protection.red=1")
    assert within(before, sent, LOSS)
    assert within(after, sent, LOSS**2)
    assert agrees(unplayed, sent, 0.0033)


def test_from_a_servers_own_history_nearly_all_comes_again():
    sent, before, after, unplayed = repaired("answer", "protection.nack=true")
    assert within(before, sent, LOSS)
    assert after < sent * LOSS**2  # asked for more than once, so fewer than two in a row
    assert agrees(unplayed, sent, 0.0013)


def test_in_band_redundancy_through_a_server_brings_back_what_it_does_without_one(monkeypatch):
    """As ``test_protection`` has it of two people: the frames whose next packet came and has it."""
    kept, talk = [], Placing.talk

    def noted(self, *more, **options):
        kept.append(talk(self, *more, **options))
        return kept[-1]

    monkeypatch.setattr(Placing, "talk", noted)
    result = run("none", "codec.fec=true", "codec.expected_loss=20%")
    brought = 0
    for each in of_stack(kept[-1], outside=False).ways:
        said, came = each.said, set(each.came.arrivals.timestamps.tolist())
        stamps = [departure.timestamp for departure in said.departures]
        lost = [place for place, stamp in enumerate(stamps[:-1]) if stamp not in came]
        there = [place for place in lost if stamps[place + 1] in came and has_fec(said.frames[place + 1])]
        (account,) = (account for account in result.accounts if account.way == each.way)
        assert account.protection.recovered_by_fec.frames == len(there)
        brought += len(there)
    assert brought > 0
