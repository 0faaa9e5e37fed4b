"""The allocator: minima, priority, weights, maxima and what is beyond them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcprobe.control.allocation import Share, allocated, overhead_bps

VOICE = Share(least_bps=52e3, most_bps=52e3)
VIDEO = Share(least_bps=30e3, most_bps=1700e3)


@pytest.mark.parametrize(
    ("target_kbps", "voice_kbps", "video_kbps"),
    [
        (0, 0, 0),
        (60, 52, 30),  # minima are enforced, beyond the target
        (100, 52, 48),
        (600, 52, 548),
        (1752, 52, 1700),
        (1800, 76, 1724),  # beyond all maxima: 24 kb/s each
        (9000, 104, 3400),  # twice the maxima at most
    ],
)
def test_voice_is_served_first_and_video_gets_the_rest_up_to_twice_its_maximum(target_kbps, voice_kbps, video_kbps):
    assert allocated(1e3 * target_kbps, [VOICE, VIDEO]) == pytest.approx([1e3 * voice_kbps, 1e3 * video_kbps])


def test_twice_the_weight_is_twice_the_rate_until_one_is_full():
    one, two = Share(least_bps=0, most_bps=400e3), Share(least_bps=0, most_bps=400e3, weight=2)
    assert allocated(300e3, [one, two]) == pytest.approx([100e3, 200e3])
    assert allocated(700e3, [one, two]) == pytest.approx([300e3, 400e3])


def test_what_one_has_priority_for_comes_before_weights():
    first = Share(least_bps=10e3, most_bps=500e3, first_bps=200e3)
    assert allocated(250e3, [first, Share(least_bps=10e3, most_bps=500e3)]) == pytest.approx([220e3, 30e3])


def test_one_that_was_paused_needs_more_than_its_minimum_to_come_back():
    sending = Share(least_bps=100e3, most_bps=500e3, must_send=False)
    paused = Share(least_bps=100e3, most_bps=500e3, must_send=False, sending=False)
    assert allocated(210e3, [sending, paused]) == pytest.approx([210e3, 0.0])  # 20 kb/s more are asked of it
    assert allocated(220e3, [sending, paused]) == pytest.approx([100e3, 120e3])
    assert allocated(90e3, [sending, paused]) == [0.0, 0.0]


SHARES = st.lists(
    st.builds(
        lambda least, room, weight, first: Share(
            least_bps=least, most_bps=least + room, weight=weight, first_bps=first
        ),
        st.floats(0, 1e5), st.floats(0, 1e6), st.floats(0.1, 8), st.floats(0, 2e5),
    ),
    min_size=1, max_size=5,
)  # fmt: skip


@given(SHARES, st.floats(1.0, 1e7))
def test_nobody_gets_more_than_is_there_nor_than_twice_the_maximum_nor_less_than_its_minimum(shares, target_bps):
    got = allocated(target_bps, shares)
    least_bps = sum(share.least_bps for share in shares)
    assert sum(got) <= max(target_bps, least_bps) * (1 + 1e-9)
    for share, bps in zip(shares, got, strict=True):
        assert share.least_bps - 1e-6 <= bps <= 2 * share.most_bps + 1e-6
    if least_bps <= target_bps <= sum(share.most_bps for share in shares):
        assert sum(got) >= target_bps * (1 - 1e-9) or all(
            bps >= share.most_bps - 1e-6 for share, bps in zip(shares, got, strict=True)
        )


@pytest.mark.parametrize(("kbps", "taken_kbps"), [(561.3, 18.56), (300, 9.92)])
def test_headers_of_full_packets_are_taken_from_a_share(kbps, taken_kbps):
    # The specification's: packets of 1228 bytes, 40 of them headers; 58 and 31 a second.
    assert overhead_bps(1e3 * kbps, 1228, 40) == pytest.approx(1e3 * taken_kbps)
