import pytest
from refusals import refusal_of

from rtcprobe.errors import BadInputError
from rtcprobe.verdict import parse_budget

AGGREGATES = "use p50, p90, p95, p99, min, mean, max, share_above(100ms)"

REFUSALS = {
    "join.frist_audio p95 < 600ms": (
        "metric 'join.frist_audio' does not exist: the nearest: join.first_audio, join.first_packet, join.first_picture"
    ),
    "link.los mean < 1%": "metric 'link.los' does not exist: the nearest: link.loss, link.delay",
    "fps p50 < 3s": (
        "metric 'fps' does not exist: there are join.first_audio, join.failed, mouth_to_ear, mouth_to_ear.lost, "
        "link.loss and more (rtcprobe schema)"
    ),
    "mouth_to_ear q95 < 100ms": f"aggregate 'q95' does not exist for mouth_to_ear: {AGGREGATES}",
    "join.first_audio p0 < 1s": f"aggregate 'p0' does not exist for join.first_audio: {AGGREGATES}",
    "join.failed p95 < 1%": "aggregate 'p95' does not exist for join.failed: use mean",
    "join.first_audio p95 < 600": "duration '600' has no unit: write it like 80ms",
    "join.first_audio p95 < -5ms": "limit '-5ms' is impossible: give zero or more",
    "mouth_to_ear.lost mean < 130%": "share '130%' is impossible: give 0% to 100%",
    "join.rtts p50 < few": "'few' is not a number: write it like 3",
}


def test_a_budget_that_cannot_be_meant():
    told = {line: refusal_of(parse_budget, line) for line in REFUSALS}
    assert told == {line: f"budget {line!r}: {reason}" for line, reason in REFUSALS.items()}


@pytest.mark.parametrize(
    ("line", "sentence"),
    [
        ("faster!", "budget 'faster!' cannot be read: write it like join.first_audio p95 < 600ms"),
        (5, "5 is not a budget: write it like join.first_audio p95 < 600ms"),
    ],
)
def test_a_line_that_is_no_budget(line, sentence):
    with pytest.raises(BadInputError) as caught:
        parse_budget(line)
    assert str(caught.value) == sentence
