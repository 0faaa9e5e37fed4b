"""Five hundred joins under heavy loss, in virtual time: every one ends, and says how."""

from rtcprobe.probe import run_probe
from rtcprobe.scenario import find_scenario


def test_five_hundred_joins_at_ten_per_cent_loss_all_end():
    settings = ["link=delay 40ms loss 10%", "call.joins=500", "call.calls=1", "call.duration=1s", "budgets=[]"]
    attempts = run_probe(find_scenario("1v1-social", settings), seed=1, clock="virtual").join.attempts
    assert len(attempts) == 500
    for attempt in attempts:
        # Connected and heard, or the timer that gave up is named.
        assert (attempt.first_audio_s is not None) != bool(attempt.failed)
    heard = [attempt for attempt in attempts if attempt.first_audio_s is not None]
    assert len(heard) >= 495
    # Ten packets or so each way to join: at 10 % loss hardly a join goes without a retransmission.
    assert sum(bool(attempt.retransmissions) for attempt in heard) > 250
