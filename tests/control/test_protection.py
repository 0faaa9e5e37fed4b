"""What RTCP reports tell, and how much parity follows from it: published values of libwebrtc and laws."""

import pytest

from rtcprobe.control.protection import (
    LossWindow,
    Parity,
    ParityRates,
    SentRate,
    code_rates,
    encoder_share,
    parity_packets,
)
from rtcprobe.control.reports import LossReports

VGA = 640 * 480


def rates(**changes):
    return code_rates(**{"payload_bps": 2e6, "fps": 30, "loss": 5, "rtt_s": 0.08, "pixels": VGA} | changes)


def test_any_loss_costs_a_fifth_of_all_packets_and_none_costs_nothing():
    # 0.2 * 255 = 51 of 255 packets are parity: 51 / 204 of the media, 64 of 256.
    assert rates().delta == 64
    assert rates(loss=0) == ParityRates(0, 0, 5)


def test_no_parity_where_retransmission_is_as_fast_or_frames_are_tiny():
    assert rates(rtt_s=0.019).delta == 0
    # 700 bytes a frame at VGA: 168 kb/s at 30 frames a second, unless the RTT is 200 ms.
    assert rates(payload_bps=160e3).delta == rates(payload_bps=160e3).key == 0
    assert rates(payload_bps=160e3, rtt_s=0.2, loss=60).delta > 0
    assert rates(payload_bps=100e3, pixels=320 * 240, loss=60).delta > 0  # 400 bytes: 96 kb/s
    assert rates(payload_bps=95e3, pixels=320 * 240, loss=60).delta == 0


def test_parity_grows_with_loss_up_to_half_of_all_packets():
    grown = [rates(loss=loss).delta for loss in range(1, 129)]  # of large frames
    assert grown == sorted(grown)
    assert 250 <= grown[-1] <= 255  # 127 of 255 packets are 127 / 128 of the media
    assert all(rates(loss=loss).key >= rates(loss=loss).delta for loss in range(1, 129))


@pytest.mark.parametrize(
    ("kbit_a_frame", "loss", "share"),
    # libwebrtc's table, for 704 x 576: its row is (kbit a frame - 5) / 5, rounded down, its column the loss.
    [
        (22, 76, 102),
        (22, 128, 100),
        (25, 102, 127),
        (36, 51, 114),
        (50, 90, 127),
        (72, 32, 122),
        (100, 26, 127),
        (150, 16, 109),
        (200, 20, 109),
    ],
)
def test_the_closed_form_stays_near_the_table(kbit_a_frame, loss, share):
    delta = rates(payload_bps=30e3 * kbit_a_frame, loss=loss, pixels=704 * 576).delta
    assert delta / (256 + delta) == pytest.approx(share / 255, abs=0.05)


def test_parity_packets_are_rounded_and_at_least_one():
    assert [parity_packets(media, 64) for media in (1, 4, 6, 10)] == [1, 1, 2, 3]
    assert parity_packets(6, 0) == 0


def test_parity_covers_a_frame_or_several_small_ones():
    parity = Parity()
    parity.set_rates(ParityRates(delta=64, key=128, frames=5))
    # Of 6 packets 2 more are 85/256, within 50 of 64: the frame is protected alone.
    assert [parity.sent(n, key=False, last=n == 5) for n in range(6)][-1] == (2, [0, 1, 2, 3, 4, 5])
    # One more for one or two packets is too much: frames are taken together, up to three here.
    assert parity.sent(6, key=False, last=True) == (0, [])
    assert parity.sent(7, key=False, last=True) == (0, [])
    assert parity.sent(8, key=False, last=True) == (1, [6, 7, 8])


def test_the_largest_loss_of_ten_seconds_counts():
    window = LossWindow()
    assert [window.add(loss, now_s) for now_s, loss in ((0, 5), (1, 100), (2, 3), (9, 0), (11.5, 0))] == [
        5, 100, 100, 100, 3,
    ]  # fmt: skip


def test_protection_costs_the_encoder_half_at_most():
    assert encoder_share(900, 100) == pytest.approx(0.9)
    assert encoder_share(100, 900) == 0.5
    assert encoder_share(0, 0) == 1.0
    # The specification: 573 kb/s estimated, 55 of voice, 20 of headers, repair at its cap, every second frame dropped.
    assert (573 - 55 - 20) * encoder_share(100, 900) * (1 - 1 / 2) == pytest.approx(125, abs=1)


def test_what_began_to_be_sent_lately_has_the_rate_of_the_time_since():
    rate = SentRate()
    rate.add(1000, 5.0)
    assert rate.bps(5.05) == 0.0  # one alone says nothing
    for millisecond in range(10, 100, 10):
        rate.add(1000, 5 + millisecond / 1e3)
    assert rate.bps(5.099) == pytest.approx(80e3 / 0.1)  # libwebrtc's: ten in 0.1 s are 800 kb/s, not 80
    assert rate.bps(5.999) == pytest.approx(80e3)
    assert rate.bps(6.0455) == pytest.approx(8e3 * 5)  # the first five are a second ago
    assert rate.bps(8.0) == 0.0
    rate.add(1000, 9.0)
    rate.add(1000, 9.009)
    assert rate.bps(9.009) == pytest.approx(16e3 / 0.01)  # and it begins again


def test_a_fraction_is_formed_over_20_packets():
    reports = LossReports()
    assert not reports.told(2, 19, 1.0)
    assert reports.told(0, 1, 1.5)
    assert reports.fraction == 25  # 256 * 2 / 20, rounded down
    assert reports.told(-3, 40, 2.0)  # copies are no negative loss
    assert reports.fraction == 0
    assert not reports.told(5, 0, 3.0)


@pytest.mark.parametrize(
    ("lost", "rate_bps"),
    [(0, 541e3), (2, 541e3), (8, 500e3), (20, 500e3 * (512 - 51) / 512), (50, 500e3 * (512 - 128) / 512)],
)
def test_until_the_likelihood_decides_the_rule_of_2_and_10_percent_does(lost, rate_bps):
    # 1.08 times the least of the last second and 1 kb/s; nothing between; less half the loss (in steps of 1/512).
    reports = LossReports()
    reports.seen(500e3, 1.0)
    reports.told(lost, 100, 1.0)
    assert reports.decided(500e3, 0.1, 1.0) == pytest.approx(rate_bps, abs=1)


def test_a_report_lowers_the_rate_once_and_not_within_300_ms_and_an_rtt():
    reports = LossReports()
    reports.seen(500e3, 0.0)
    reports.told(50, 100, 1.0)
    assert reports.decided(500e3, 0.1, 1.0) < 400e3
    assert reports.decided(400e3, 0.1, 1.5) == 400e3  # the same report
    reports.told(50, 100, 1.35)
    assert reports.decided(400e3, 0.1, 1.35) == 400e3  # too soon
    assert reports.decided(400e3, 0.1, 1.41) < 400e3
    assert reports.decided(300e3, 0.1, 8.0) == 300e3  # 6 s old
