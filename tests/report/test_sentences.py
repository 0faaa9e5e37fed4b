import pytest

from rtcprobe.report.sentences import attribution, slowest, typical
from rtcprobe.result import Join, Retransmission


def lost(timer, cost_s):
    return Retransmission(timer=timer, party="caller", at_s=1.0, cost_s=cost_s)


def join(first_audio_s, *retransmissions, failed=None):
    marks = {} if first_audio_s is None else {"first_audio": first_audio_s}
    return Join(party="caller", round=0, marks=marks, retransmissions=retransmissions, failed=failed)


THREE_KINDS = (
    "1,700 ms of this 2,400 ms join were one lost STUN check (500 ms) and "
    "one lost DTLS flight (1,000 ms) and one lost signalling segment (200 ms)"
)


@pytest.mark.parametrize(
    ("attempt", "sentence"),
    [
        (join(1.42, lost("dtls", 1.0)), "1,000 ms of this 1,420 ms join was one lost DTLS flight"),
        (
            join(2.0, lost("stun", 0.5), lost("stun", 0.5)),
            "1,000 ms of this 2,000 ms join were two lost STUN checks",
        ),
        (
            join(2.4, lost("stun", 0.5), lost("dtls", 1.0), lost("signaling", 0.2)),
            THREE_KINDS,
        ),
        (join(None, lost("dtls", 3.0), failed="dtls"), "3,000 ms of this failed join was one lost DTLS flight"),
        (join(0.5, lost("dtls", 0.0)), None),
        (join(0.5), None),
    ],
    ids=["one", "two alike", "three kinds", "failed", "spurious", "none"],
)
def test_what_the_timers_cost_is_one_sentence(attempt, sentence):
    assert attribution(attempt) == sentence


def test_the_typical_join_is_the_middle_one_and_failed_ones_are_not_heard():
    attempts = [join(0.9), join(None, failed="ice"), join(0.5), join(0.7), join(0.6)]
    assert typical(attempts).first_audio_s == 0.6
    assert slowest(attempts).first_audio_s == 0.9
    assert typical([join(None, failed="ice")]) is None
