"""What a run found in one sentence that needs no further word: how long joining took, how late people are heard.

Rules:
    1. Each figure is held against the goal people feel (``rtcprobe.verdict.goals``), and how far it is beyond it.
    2. What was not measured is said; what the machine spoilt is said first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from rtcprobe.report.sentences import beyond, counted, milliseconds, rough_share
from rtcprobe.report.turns import SIMULATED, agent_name
from rtcprobe.report.words import say
from rtcprobe.result import Account, Quantile, Result, Summary
from rtcprobe.verdict.goals import BEYOND, CONNECT_S, EAR_S, Goal, goals
from rtcprobe.ways import BOTH_WAYS, Way

__all__ = ["beyond_goals", "goal_sentence", "lead", "out_of_reach"]

_ALIKE_S = 1.5e-3
"""Two directions that differ by less read as one figure."""


_MUCH = 0.10
"""Of markers: more are lost where somebody fell silent for the others (a server died) than by what loss we emulate."""


def lead(result: Result) -> str:
    """Return what was found, in one sentence: ``"Joining took 603 ms, …; you hear each other after 145 ms, …."``."""
    if result.verdict == "invalid":
        return say("These figures are not to be trusted: the reason is below.")
    said = say("; ").join(each for each in (_joining(result), _hearing(result), _unheard(result)) if each)
    return say("{said}.", said=f"{said[:1].upper()}{said[1:]}") if said else say("Nothing was measured.")


def goal_sentence(goal: Goal) -> str:
    """Return what became of a goal: ``"35% [18%–57%] of 20 joins took longer, one in twenty may: missed"``."""
    found = goal.outcome
    if found.value is None:
        return say("not judged: {why}", why=found.reason or say("nothing was measured"))
    reach = say("out of reach, as {why}", why=_takes([goal])) if goal.out_of_reach else say(found.verdict)
    told = "{share} of {count:,} joins took longer, one in twenty may: {reach}"
    if goal.direction is not None:
        told = "{share} of {count:,} markers came later, one in twenty may: {reach}"
    return say(told, share=beyond(found), count=goal.of, reach=reach)


def beyond_goals(found: Iterable[Goal]) -> str:
    """Return the shares beyond the goals: ``"55% [34%–74%] of joins later than 600 ms, …"``; "" for no goals."""
    told: dict[str, list[Goal]] = {}
    for goal in found:
        what = "joins" if goal.direction is None else "markers"
        told.setdefault(f"of {what} later than {goal.limit_s * 1e3:g} ms", []).append(goal)
    said = []
    for what, each in told.items():
        reach = " (out of reach)" if any(goal.out_of_reach for goal in each) else ""
        shares = [beyond(goal.outcome) for goal in each]
        if len(shares) > len(BOTH_WAYS):  # a room's many ways: the least and the most of them
            known = sorted((goal for goal in each if goal.outcome.value is not None), key=_share)
            ends = [known[0], known[-1]] if known and _share(known[0]) < _share(known[-1]) else [*known, *each][:1]
            shares = [" to ".join(beyond(goal.outcome) for goal in ends)]
        said.append(f"{' and '.join(shares)} {what}{reach}")
    return ", ".join(said)


def _share(goal: Goal) -> float:
    return goal.outcome.value or 0.0


def out_of_reach(found: Iterable[Goal]) -> list[str]:
    """Return which goals no luck could have kept, and why, a sentence each."""
    far: dict[str, list[Goal]] = {}
    for goal in found:
        if goal.out_of_reach:
            far.setdefault(goal.name, []).append(goal)
    return [say("{goal} is out of reach here: {why}", goal=say(name), why=_takes(each)) for name, each in far.items()]


def _takes(far: Sequence[Goal]) -> str:
    least = dict.fromkeys(milliseconds(each.least_s, 0) for each in far)
    if len(least) <= len(BOTH_WAYS):
        return say("{parts} take {ms} ms", parts=_parts(far[0]), ms=say(" and ").join(least))
    low, high = (milliseconds(find(each.least_s for each in far), 0) for find in (min, max))
    return say("{parts} take {low} to {high} ms", parts=_parts(far[0]), low=low, high=high)


def _parts(goal: Goal) -> str:
    """Return what a goal's fixed parts are called."""
    return " + ".join(say(each) for each in goal.parts.split(" + "))


def _joining(result: Result) -> str:
    attempts = result.join.attempts
    if not attempts:
        return ""
    failed = sum(each.first_audio_s is None for each in attempts)
    if failed == len(attempts):
        none = "none of {count} joins was heard" if failed > 1 else "the join was never heard"
        return say(none, count=failed)
    summary = result.join.summary.get("first_audio")
    middle, tail = _quantile(summary, "p50"), _quantile(summary, "p95")
    lost = ""
    if failed:
        lost = say("; {failed} of {count} failed", failed=counted(failed, "join", "joins"), count=len(attempts))
    if middle is None:
        return say("{count} joins were too few to say how long joining takes{lost}", count=len(attempts), lost=lost)
    took = say("joining took {ms} ms", ms=milliseconds(middle, 0))
    # A p95 of None lies among joins that failed: the goal is broken by those alone, whatever the others took.
    if tail is None and failed > len(attempts) * BEYOND:
        return say("{took}{lost}, where the goal allows one in twenty", took=took, lost=lost)
    if tail is None:  # too few joins to say more
        return say("{took}, {goal}{lost}", took=took, goal=_against(middle), lost=lost)
    return say(
        "{took}, for one call in twenty more than {tail}, {goal}{lost}",
        took=took,
        tail=milliseconds(tail, 0),
        goal=_against(tail),
        lost=lost,
    )


def _against(found_s: float) -> str:
    """Return how far a join is beyond its goal."""
    goal = f"{CONNECT_S * 1e3:g}"
    if found_s > CONNECT_S:
        return say("{over} over the goal of {goal}", over=milliseconds(found_s - CONNECT_S, 0), goal=goal)
    return say("within the goal of {goal}", goal=goal)


def _hearing(result: Result) -> str:
    answered = next(iter(result.of_kind("response").values()), None)
    # Of a conversation the answer is what is asked; how late sound came lies within it.
    if answered is not None:
        return _answering(answered, result)
    heard = [(way, ear) for way, ear in result.mouth_to_ear.items() if ear.heard]
    if not heard:
        return say("nobody was heard") if result.mouth_to_ear else ""
    middles = [(way, _middle(ear)) for way, ear in heard]
    if heard[0][0].there_and_back:
        return say("what you say comes back after {ms} ms, there and back", ms=milliseconds(middles[0][1], 0))
    late = [each for each in goals(result) if each.direction is not None]
    if len(middles) == 1 or len(late) != len(middles):
        ms = milliseconds(middles[0][1], 0)
        return say("{who} after {ms} ms, {late}", who=_who(middles[0][0]), ms=ms, late=_late(late[:1]))
    (soonest, low), *_, (latest, high) = sorted(middles, key=lambda each: each[1])
    # Two ways that are not each other's (ana hears ben, cho hears dan) are no "each other".
    if len(middles) > len(BOTH_WAYS) or soonest.back != latest:
        return say(
            "people hear each other after {low} to {high} ms ({who} last), {late}",
            low=milliseconds(low, 0),
            high=milliseconds(high, 0),
            who=_who(latest),
            late=_late(late),
        )
    told = [high] if high - low < _ALIKE_S else [low, high]
    both = say(" and ").join(milliseconds(each, 0) for each in told)
    return say("you hear each other after {ms} ms, {late}", ms=both, late=_late(late))


def _unheard(result: Result) -> str:
    """Return how much of what was said nobody heard, where that is more than a delay may stand for."""
    ears = result.mouth_to_ear.values()
    said, lost = sum(ear.scheduled for ear in ears), sum(ear.lost for ear in ears)
    # All lost is "nobody was heard"; a loss that links were asked for is told by its figure.
    if not lost or lost == said or lost < said * _MUCH:
        return ""
    return say("{share} of what was said was lost", share=rough_share(lost / said))


def _answering(account: Account, result: Result) -> str:
    """Return how long answers took: of a simulated agent only what the network and playout added to it."""
    who = agent_name(result)
    if not account.heard:
        return f"{who} answered none of {account.scheduled} turns"
    stages = [(each.delay_s, each.stages or {}) for each in account.samples]
    # Sample by sample, then the median: a difference of medians is nobody's delay.
    added = sorted(delay_s - found["agent"] for delay_s, found in stages if "agent" in found)
    took = f"{who} answered after {milliseconds(_middle(account), 0)} ms"
    if result.target not in SIMULATED or not added:
        # An agent of somebody else's answers when it likes: what lies between cannot be parted from it.
        return took
    return f"{took}, of which network and playout are {milliseconds(added[(len(added) - 1) // 2], 0)}"


def _who(way: Way) -> str:
    """Return who hears whom: ``"ben hears ana"``, ``"the callee hears the caller"``."""
    if way in BOTH_WAYS:
        # Caller and callee are what somebody is, others' names are names: only the former take an article.
        return say("the {listener} hears the {talker}", listener=say(way.listener), talker=say(way.talker))
    return say("{listener} hears {talker}", listener=way.listener, talker=way.talker)


def _late(found: list[Goal]) -> str:
    """Return how often people are heard later than an ear notices."""
    shares = [each.outcome.value for each in found if each.outcome.value is not None]
    limit = say("the {ms:g} ms that an ear notices", ms=EAR_S * 1e3)
    if not shares:
        return say("{limit} not judged", limit=limit)
    if min(shares) == 1.0:
        return say("later than {limit}, every time", limit=limit)
    if max(shares) == 0.0:
        return say("never later than {limit}", limit=limit)
    # Equal ends are said once.
    both = dict.fromkeys(rough_share(each) for each in (min(shares), max(shares)))
    return say("later than {limit} in {share} of what is said", limit=limit, share=say(" and ").join(both))


def _middle(ear: Account) -> float:
    found = _quantile(ear.summary, "p50")
    delays = sorted(each.delay_s for each in ear.samples)
    # Too few for a percentile with its interval: the median of those heard is said all the same.
    return delays[(len(delays) - 1) // 2] if found is None else found


def _quantile(summary: Summary | None, name: str) -> float | None:
    found: Quantile | None = None if summary is None else summary.quantile(name)
    return None if found is None else found.value
