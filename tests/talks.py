"""A result of a conversation, written out: two calls of a user and a simulated agent."""

from rtcprobe.result import Account, HeardCall, Missed, PlacedCall, Result, Sample, Span
from rtcprobe.verdict import judge
from rtcprobe.ways import Way

STAGES = {
    "capture": 0.010,
    "packing": 0.020,
    "way_up": 0.030,
    "agent": 0.900,
    "way_down": 0.030,
    "playout": 0.040,
    "device": 0.020,
}  # 1.05 s
USER = Way.of("caller", "caller")


def spoken(marker, call, delay_s, note):
    stages = {**STAGES, "agent": STAGES["agent"] + delay_s - 1.05}
    return Sample(
        marker=marker, spoken_s=2.0, heard_s=2.0 + delay_s, delay_s=delay_s, call=call, stages=stages, note=note
    )


def account(kind, samples, missed=(), **more):
    lost = sum(each.fate == "lost" for each in missed)
    return Account(
        kind=kind,
        way=USER,
        scheduled=len(samples) + len(missed),
        heard=len(samples),
        rejected=len(missed) - lost,
        lost=lost,
        samples=tuple(samples),
        missed=tuple(missed),
        stages=STAGES,
        calls=tuple(
            HeardCall(
                call=call,
                scheduled=sum(each.call == call for each in (*samples, *missed)),
                heard=sum(each.call == call for each in samples),
                stages=STAGES,
            )
            for call in (0, 1)
        ),
        **more,
    )


def accounts():
    """Return what two calls say of answers and of interruptions."""
    silent = Missed(marker=2, spoken_s=9.0, fate="lost", call=1, why="no answer", note="Are you there?")
    late = Missed(marker=1, spoken_s=4.0, fate="rejected", call=1, why="its cue never came", note="Stop.")
    spans = [
        Span(what=what, from_s=from_s, until_s=until_s, call=call)
        for call in (0, 1)
        for what, from_s, until_s in (
            ("user", 0.5, 2.0),
            ("agent", 3.0, 6.0),
            ("user", 5.0, 6.5),
            ("talk-over", 5.0, 6.0),
            ("backchannel", 7.0, 7.4),
        )
    ]
    return (
        account(
            "response",
            [spoken(0, 0, 1.0, "Hello?"), spoken(2, 0, 1.1, "Are you there?"), spoken(0, 1, 1.05, "Hello?")],
            [silent],
            figures={"inside": 0.25, "concealed_onsets": 0.0, "talk_over_s": 1.0},
            spans=tuple(spans),
        ),
        account("barge_in", [spoken(1, 0, 0.6, "Stop.")], [late], figures={"false_stops": 0.5}),
    )


def result(budgets=()):
    """Return a judged result with that conversation alone in it."""
    calls = (PlacedCall(call=0), PlacedCall(call=1))
    made = Result(scenario="talk", seed=1, clock="virtual", accounts=accounts(), measures=(), calls=calls)
    return judge(made, budgets)
