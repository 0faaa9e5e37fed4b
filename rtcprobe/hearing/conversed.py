"""From the turns of calls to the two accounts of a conversation: responses, and interruptions."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from statistics import fmean

from rtcprobe.conversation.claims import Claim, claimed_response_s, claimed_spans, claimed_stop_s
from rtcprobe.hearing.turns import STOP_WITHIN_S, TURNS, LineHeard, Turns
from rtcprobe.result import TURN_STAGES, Account, Clip, HeardCall, Kind, Missed, Sample, Span
from rtcprobe.ways import Way

__all__ = ["accounts_of"]

# The end of a figure's name that says how calls are put together: the least of them, where others are
# averaged.
WORST = "_worst"
CLAIMED = "claimed_s"
"""How long it took by the agent's own claim: a figure that is not ours."""


Understood = Mapping[int, Mapping[str, float]]
"""By line: how well it was understood, and its answer (``hearing.intelligibility``)."""


def accounts_of(
    turns: Mapping[int, Turns],
    user: str,
    understood: Mapping[int, Understood] | None = None,
    claims: Mapping[int, Sequence[Claim]] | None = None,
    clips: Sequence[Clip] = (),
) -> tuple[Account, ...]:
    """Return what the calls say (by their numbers) of how ``user`` was answered, and could interrupt.

    There is no account of interruptions where the script has none. ``claims`` are what the agent told of itself; they
    stand beside what was heard, and are in none of it.
    """
    way = Way.of(user, user)
    claims = claims or {}
    found = [replace(_account("response", way, turns, understood or {}, claims), clips=tuple(clips))]
    # Also backchannels and noises: whoever meant to test false stops wants the account, without one
    # interruption in it.
    if any(line.kind != "turn" for each in turns.values() for line in each.lines):
        found.append(_account("barge_in", way, turns, {}, claims))
    return tuple(found)


def _account(
    kind: Kind,
    way: Way,
    turns: Mapping[int, Turns],
    understood: Mapping[int, Understood],
    claims: Mapping[int, Sequence[Claim]],
) -> Account:
    # One row a line of the script and one judge a kind: a line is a sample, a miss with its reason, or none
    # of this account's. So scheduled = heard + rejected + lost holds by construction.
    judge, figures = (_answered, _of_responses) if kind == "response" else (_stopped, _of_interruptions)
    rows = {call: [judge(line, call) for line in each.lines] for call, each in turns.items()}
    seen = {
        call: [
            replace(
                each,
                figures={**understood.get(call, {}).get(each.marker, {}), **_claimed(kind, each, claims.get(call))},
            )
            for each in row
            if isinstance(each, Sample)
        ]
        for call, row in rows.items()
    }
    missed = {call: [each for each in row if isinstance(each, Missed)] for call, row in rows.items()}
    samples, misses = [each for row in seen.values() for each in row], [each for row in missed.values() for each in row]
    lost = sum(each.fate == "lost" for each in misses)
    calls = tuple(
        HeardCall(
            call=call,
            scheduled=len(seen[call]) + len(missed[call]),
            heard=len(seen[call]),
            stages=_means(seen[call]),
            figures={**figures(each), **_of_utterances(understood.get(call, {})), **_claims_of(seen[call])},
        )
        for call, each in turns.items()
    )
    return Account(
        kind=kind,
        way=way,
        scheduled=len(samples) + len(misses),
        heard=len(samples),
        rejected=len(misses) - lost,
        lost=lost,
        samples=tuple(samples),
        missed=tuple(misses),
        stages=_means(samples),
        calls=calls,
        figures=_pooled([each.figures for each in calls]),
        spans=_spans(turns, claims) if kind == "response" else (),
    )


def _answered(line: LineHeard, call: int) -> Sample | Missed | None:
    """Return what became of a turn; None of what is none."""
    if line.kind not in TURNS:
        return None
    if line.response_s is not None and line.end_s is not None:
        return Sample(
            marker=line.number,
            spoken_s=line.end_s,
            heard_s=line.end_s + line.response_s,
            delay_s=line.response_s,
            call=call,
            stages=line.response_stages,
            note=f"{line.called}{' (onset concealed)' if line.concealed else ''}",
        )
    if line.end_s is None:
        # Never said, because it waits for a silence that did not come: that is the agent's doing, and worth
        # another word.
        spoke_on = line.kind == "turn" and line.spoken_over
        return _missed(line, call, "the agent never fell silent" if spoke_on else "its cue never came")
    # The order of these reasons is that of what is known: spoken into the turn, cut off with the call, else
    # silence, which alone is the agent's loss.
    if line.inside:
        return _missed(line, call, "answered inside the turn")
    if line.cut:
        return _missed(line, call, "the call ended before an answer")
    return _missed(line, call, "no answer", lost=True)


def _stopped(line: LineHeard, call: int) -> Sample | Missed | None:
    """Return what became of an interruption; None of what is none."""
    if line.kind != "barge_in":
        return None
    if line.begin_s is None or line.stop_s is None:
        return _missed(line, call, "its cue never came" if line.begin_s is None else "the agent had fallen silent")
    # It did stop in the end, but nobody who interrupts waits so long: as good as never (rule 3 of ``turns``).
    if line.stop_s > STOP_WITHIN_S:
        return _missed(line, call, "the agent spoke on", lost=True)
    return Sample(
        marker=line.number,
        spoken_s=line.begin_s,
        heard_s=line.begin_s + line.stop_s,
        delay_s=line.stop_s,
        call=call,
        stages=line.stop_stages,
        note=line.called,
    )


def _missed(line: LineHeard, call: int, why: str, *, lost: bool = False) -> Missed:
    """Return a line without what it wanted, and ``why``: it was ``lost``, or could not have been."""
    return Missed(
        marker=line.number,
        # A line whose cue never came has no instant; a reader finds it by its number.
        spoken_s=line.end_s or 0.0,
        fate="lost" if lost else "rejected",
        call=call,
        why=why,
        note=line.called,
    )


def _means(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the mean of every stage, over the samples whose stages are known."""
    known = [each.stages for each in samples if each.stages is not None]
    return {
        # A stage that one sample lacks counts as nought there: else the means would not sum to the mean
        # delay.
        name: fmean(stages.get(name, 0.0) for stages in known)
        for name in TURN_STAGES
        if any(name in stages for stages in known)
    }


def _pooled(calls: Sequence[Mapping[str, float]]) -> dict[str, float]:
    names = dict.fromkeys(name for each in calls for name in each)
    values = {name: [each[name] for each in calls if name in each] for name in names}
    # A call counts as one, however many lines it had: calls of one script have the same.
    return {name: min(each) if name.endswith(WORST) else fmean(each) for name, each in values.items()}


def _of_utterances(understood: Understood) -> dict[str, float]:
    """Return the mean of each figure over what was said, and that of the utterance that was understood worst."""
    found = dict[str, float]()
    for name in dict.fromkeys(name for each in understood.values() for name in each):
        values = [each[name] for each in understood.values() if name in each]
        found |= {name: fmean(values), f"{name}{WORST}": min(values)}
    return found


def _of_responses(turns: Turns) -> dict[str, float]:
    spoken = [line for line in turns.lines if line.kind in TURNS and line.end_s is not None]
    answered = [line for line in spoken if line.response_s is not None]
    return {
        "inside": sum(line.inside > 0 for line in spoken) / len(spoken) if spoken else 0.0,
        "concealed_onsets": sum(line.concealed for line in answered) / len(answered) if answered else 0.0,
        "talk_over_s": math.fsum(end_s - begin_s for begin_s, end_s in turns.talk_over),
    }


def _of_interruptions(turns: Turns) -> dict[str, float]:
    wanted = [line for line in turns.lines if line.kind not in TURNS]
    # A backchannel that fell into a silence can stop nobody: it is no trial.
    tried = [line for line in wanted if line.into_speech]
    stopped = [line for line in turns.false_stops if line in tried]
    found = {"false_stops": len(stopped) / len(tried)} if tried else {}
    never = sum(line.begin_s is None for line in wanted)
    return found | ({"never_said": never / len(wanted)} if wanted else {})


def _claimed(kind: Kind, sample: Sample, claims: Sequence[Claim] | None) -> dict[str, float]:
    """Return how long an answer, or a stop, took by the agent's own claim; nothing where it made none."""
    claimed = claimed_response_s if kind == "response" else claimed_stop_s
    found_s = claimed(claims or (), sample.spoken_s, sample.heard_s)
    return {} if found_s is None else {CLAIMED: found_s}


def _claims_of(samples: Sequence[Sample]) -> dict[str, float]:
    """Return the mean of what the agent claims of answers, or of stops."""
    known_s = [each.figures[CLAIMED] for each in samples if CLAIMED in each.figures]
    return {CLAIMED: fmean(known_s)} if known_s else {}


def _spans(turns: Mapping[int, Turns], claims: Mapping[int, Sequence[Claim]]) -> tuple[Span, ...]:
    """Return who spoke when, in every call."""
    spans = []
    for call, each in turns.items():
        for line in each.lines:
            if line.begin_s is not None and line.end_s is not None:
                what = "user" if line.kind in TURNS else line.kind
                spans.append(Span(what=what, from_s=line.begin_s, until_s=line.end_s, call=call))
        spans += [Span(what="agent", from_s=a.begin_s, until_s=a.end_s, call=call) for a in each.agent]
        spans += [Span(what="claim", from_s=a, until_s=b, call=call) for a, b in claimed_spans(claims.get(call, ()))]
        spans += [Span(what="talk-over", from_s=a, until_s=b, call=call) for a, b in each.talk_over]
    return tuple(spans)
