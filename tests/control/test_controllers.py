"""The controllers whole: limits hold whatever feedback says, and the pacer's order, bursts and probes."""

import math
from itertools import pairwise

import numpy as np
import pytest

from rtcprobe.control import (
    Feedback,
    Fixed,
    GoogCc,
    Pacer,
    Probe,
    Recorder,
    Remb,
    RembEstimator,
    parse_remb,
    write_remb,
)
from rtcprobe.control.pacer import queue_rate_bps
from rtcprobe.errors import BadInputError


def run(controller, seconds, rate_of, *, delay_s=0.04, mangle=lambda messages, _: messages, every_s=0.05):
    """Send 1200 B packets at the target into a line of ``rate_of(t)`` with 200 ms of room; return the targets."""
    recorder, busy_s, sequence, targets = Recorder(), 0.0, 0, []
    due, came = 0.0, []
    for step in range(round(seconds / 0.005)):
        now_s = 0.005 * step
        due += min(controller.target_bps, 20e6) * 0.005 / 8
        for probe in controller.probes():
            due += probe.least_bytes
        while due >= 1200:
            due -= 1200
            controller.sent(sequence & 0xFFFF, 1228, now_s)
            busy_s = max(busy_s, now_s)
            rate = rate_of(now_s)
            if rate and busy_s - now_s <= 0.2:
                busy_s += 8 * 1228 / rate
                came.append((busy_s + delay_s, sequence & 0xFFFF))
            sequence += 1
        while came and came[0][0] <= now_s:
            at_s, number = came.pop(0)
            recorder.arrived(number, at_s)
        if step % round(every_s / 0.005) == 0:
            for message in mangle(recorder.reports(now_s), now_s):
                controller.told(message, now_s)
        if step % 5 == 0:
            controller.process(now_s)
            targets.append(controller.target_bps)
            assert 5e3 <= controller.target_bps <= 30e6, now_s
            assert 0 < controller.encoder_share <= 1
            assert math.isfinite(controller.target_bps)
    return np.array(targets)


def test_on_a_steady_line_the_target_finds_the_line_and_stays_near_it():
    targets = run(GoogCc(), 16, lambda _: 0.5e6)
    assert 0.38e6 < np.mean(targets[300:]) < 0.55e6


def test_without_feedback_the_rate_falls_by_a_fifth_each_second_after_three():
    controller = GoogCc()
    targets = run(controller, 20, lambda _: 2e6, mangle=lambda messages, now_s: messages if now_s < 10 else [])
    assert controller.state == "no feedback"
    assert targets[-1] == pytest.approx(targets[220] * 0.8**6, rel=0.3)
    assert run(GoogCc(), 5, lambda _: 2e6, mangle=lambda *_: []).max() == 300e3  # it never came at all


@pytest.mark.parametrize("harm", ["twice", "never sent", "backwards", "another base"])
def test_feedback_that_lies_leaves_the_estimate_within_its_limits(harm):
    rng = np.random.default_rng(1)

    def mangle(messages, _):
        made = list(messages)
        for each in messages:
            if harm == "twice":
                made.append(each)
            elif harm == "never sent":
                made.append(Feedback(sender_ssrc=1, media_ssrc=2, base=(each.base + 20_000) & 0xFFFF,
                                     reference=each.reference, count=0, deltas=each.deltas))  # fmt: skip
            elif harm == "backwards":
                made.append(Feedback(sender_ssrc=1, media_ssrc=2, base=each.base, reference=int(rng.integers(1 << 24)),
                                     count=0, deltas=each.deltas))  # fmt: skip
            else:
                made.append(Feedback(sender_ssrc=1, media_ssrc=2, base=int(rng.integers(1 << 16)), reference=0,
                                     count=0, deltas=(None, 5, -3000, 255)))  # fmt: skip
        return made

    run(GoogCc(max_bps=5e6), 5, lambda _: 2e6, mangle=mangle)


def test_a_capacity_of_zero_for_five_seconds_is_survived():
    targets = run(GoogCc(), 25, lambda now_s: 0 if 5 <= now_s < 10 else 1e6)
    assert targets[990] > 0.2e6


def test_a_step_every_100_ms_is_survived():
    targets = run(GoogCc(max_bps=4e6), 8, lambda now_s: 2.5e6 if int(10 * now_s) % 2 else 0.3e6)
    assert targets.max() <= 4e6


def test_a_start_above_the_maximum_and_a_rate_below_all_are_refused():
    with pytest.raises(BadInputError, match=r"start 5 Mbit/s|start 5"):
        GoogCc(start_bps=5e6, max_bps=1e6)
    with pytest.raises(BadInputError, match="is impossible"):
        Fixed(1.0)


def test_remb_obeys_within_the_limits_of_the_encoder():
    sender = Remb()
    for told, meant in ((100e3, 250e3), (1e6, 1e6), (1.05e6, 1e6), (9e6, 1.5e6)):
        sender.told_remb(told, 0.0)
        assert sender.target_bps == meant
    estimator, told = RembEstimator(), []
    for n in range(1500):
        rate = estimator.add(0.01 * n, 0.01 * n + 0.05 + max(0.0, n - 1000) * 0.002, 1000)
        if rate is not None:
            told.append((0.01 * n, rate))
    assert told[0][0] >= 3.0
    assert all(later[0] - before[0] > 0.49 for before, later in pairwise(told) if later[0] < 10)
    assert min(rate for at_s, rate in told if at_s > 11) < 0.9 * 800e3  # the queue grew


def test_remb_on_the_wire():
    packet = write_remb(1, 1_000_000, (7, 8))
    assert packet.hex() == "8fce0006" + "00000001" + "00000000" + "52454d42" + "020bd090" + "00000007" + "00000008"
    assert parse_remb(packet) == (1_000_000, (7, 8))
    for cut in range(1, len(packet)):
        with pytest.raises(BadInputError):
            parse_remb(packet[:cut])


class Door:
    """What left a pacer and when."""

    def __init__(self, pacing_bps):
        self.pacer = Pacer(lambda packet, size, cluster: self.left.append((self.now_s, packet, size, cluster)))
        self.pacer.pacing_bps = pacing_bps
        self.left, self.now_s = [], 0.0

    def until(self, end_s):
        while self.pacer.next_s <= end_s:
            self.now_s = self.pacer.next_s
            self.pacer.process(self.now_s)
        self.now_s = end_s


def test_forty_milliseconds_of_the_rate_leave_at_once_and_the_rest_waits_until_nothing_is_owed():
    door = Door(1e6)
    for n in range(12):
        door.pacer.put("video", n, 1000, 0.0)
    door.until(1.0)
    assert [at for at, *_ in door.left] == pytest.approx([0.0] * 5 + [0.04] * 5 + [0.08] * 2)


def test_audio_never_waits_and_retransmissions_go_before_new_media():
    door = Door(1e6)
    for n in range(8):
        door.pacer.put("video", f"video {n}", 1000, 0.0)
    door.until(0.01)
    door.pacer.put("retransmission", "again", 1000, 0.01)
    door.pacer.put("audio", "audio", 100, 0.01)
    door.until(1.0)
    assert [packet for _, packet, *_ in door.left][5:7] == ["audio", "again"]
    assert door.left[5][0] == 0.01


def test_audio_takes_its_own_place_and_lets_nothing_else_go():
    sent: list[str] = []
    pacer = Pacer(lambda packet, _size, _cluster: sent.append(packet))
    pacer.pacing_bps = 800e3  # 40 ms are 4000 bytes
    for n in range(8):
        pacer.put("video", f"video {n}", 1000, 0.0)
    pacer.process(0.0)
    assert sent == [f"video {n}" for n in range(4)]
    pacer.put("audio", "audio", 100, 0.020)
    pacer.process(0.020)
    assert sent[4:] == ["audio"]
    assert pacer.next_s == pytest.approx(0.041)  # 4000 bytes, and what the audio added
    pacer.process(0.041)
    assert sent[5:] == [f"video {n}" for n in range(4, 8)]


@pytest.mark.parametrize(("kb", "waited_s", "kbps"), [(100, 0, 1100), (300, 0, 1200), (300, 1.5, 4800)])
def test_a_queue_that_would_last_over_two_seconds_is_sent_faster(kb, waited_s, kbps):
    assert queue_rate_bps(1.1e6, 1000 * kb, waited_s) == pytest.approx(1e3 * kbps)


def test_a_probe_is_at_least_five_sends_at_its_rate_with_padding_where_media_ends():
    door = Door(330e3)
    door.pacer.probe(Probe(number=1, rate_bps=900e3, at_s=0.0), 0.0)
    door.pacer.put("video", "media", 1000, 0.0)
    door.until(1.0)
    probed = [each for each in door.left if each[3] == 1]
    assert len(probed) == 5
    assert sum(size for _, _, size, _ in probed) >= 1688
    assert [packet for _, packet, *_ in probed] == ["media", None, None, None, None]
    assert probed[1][0] - probed[0][0] == pytest.approx(8 * 1000 / 900e3)


def test_a_key_frame_flushes_the_video_that_waits():
    door = Door(100e3)
    for n in range(20):
        door.pacer.put("video", n, 1000, 0.0)
    door.until(0.0)
    door.pacer.flush()
    assert door.pacer.queue_bytes == 0
    door.pacer.put("video", "key", 1000, 0.1)
    door.until(1.0)
    assert door.left[-1][1] == "key"


def test_while_a_cluster_is_under_way_what_waits_leaves_as_part_of_it_alone():
    # A burst of media in between would arrive among the cluster's packets, and the cluster measure the burst.
    door = Door(5e6)
    door.pacer.probe(Probe(number=1, rate_bps=3.6e6, at_s=0.0), 0.0)
    for n in range(20):
        door.pacer.put("video", n, 1000, 0.0)
    door.until(1.0)
    clusters = [cluster for *_, cluster in door.left]
    assert clusters == [1] * 7 + [None] * 13  # 15 ms of the rate are 6,750 bytes
    assert door.left[6][0] - door.left[0][0] == pytest.approx(6 * 8 * 1000 / 3.6e6)


def test_receiver_reports_alone_lower_the_target_by_half_the_loss():
    # No transport-wide feedback, so the likelihood is never ready; the first two seconds trust the start.
    controller = GoogCc(start_bps=1e6)
    controller.sent(0, 1228, 0.0)
    controller.told_loss(0, 100, 1.0)
    controller.told_loss(40, 100, 2.0)
    assert controller.reports.fraction == 102
    assert controller.target_bps == 1e6 * (512 - 102) / 512  # told of a loss, the start phase is over
    controller.told_loss(0, 100, 3.5)
    assert controller.target_bps == pytest.approx(1.08 * 1e6 * (512 - 102) / 512 + 1e3)
