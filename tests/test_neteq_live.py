"""The arithmetic of the live NetEQ benchmark: its paths, and the grid it puts a recording on. No receiver is needed."""

from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
BLOCK = np.ones(480, dtype=np.float32)


@pytest.fixture(autouse=True)
def _benchmarks_in_reach(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def recorded(noted_s):
    import live_hearing

    return live_hearing.on_grid([(float(at_s), BLOCK) for at_s in noted_s])


def test_blocks_noted_late_stand_where_they_were_pulled():
    """Ticks at 3.7 ms past every 10 ms; each is noted 0 to 0.1 ms late, some 6 ms, two in a bunch with their next."""
    rng = np.random.default_rng(1)
    pulled_s = 0.0037 + 0.010 * np.arange(1000)
    noted_s = pulled_s + rng.uniform(0, 0.0001, 1000)
    noted_s[100:900:40] += 0.006
    noted_s[300], noted_s[301] = pulled_s[302] - 0.0002, pulled_s[302] - 0.0001  # 19.8 and 9.9 ms late
    heard = recorded(noted_s)
    assert len(heard.ticks_s) == 1000
    assert np.abs(heard.ticks_s - pulled_s).max() < 0.0001
    assert heard.phase_s(5.0) == pytest.approx(0.0037, abs=0.0001)


def test_ticks_of_which_nothing_was_noted_are_silent():
    pulled_s = 0.002 + 0.010 * np.arange(500)
    heard = recorded(np.delete(pulled_s, slice(200, 230)))
    assert np.flatnonzero(heard.silent).tolist() == list(range(200, 230))
    assert not heard.pcm[200 * 480 : 230 * 480].any()


def test_a_grid_that_slips_is_followed():
    """Three milliseconds in ten seconds, as real audio threads do."""
    pulled_s = 0.0085 + 0.010003 * np.arange(1000)
    heard = recorded(pulled_s)
    assert len(heard.ticks_s) == 1000
    assert np.abs(heard.ticks_s - pulled_s).max() < 0.0005


def test_no_path_lets_a_frame_overtake_another():
    import neteq_live

    for name, path in neteq_live.PATHS.items():
        delays_s = path(3500, np.random.default_rng(7))
        arrived = np.isfinite(delays_s)
        arrivals_s = (0.020 * np.arange(3500) + delays_s)[arrived]
        if name != "p12_step80":  # its second step is 80 ms down: four frames are overtaken
            assert np.diff(arrivals_s).min() > -1e-9, name
        assert np.nanmin(delays_s) >= 0.040 - 1e-12, name


def test_a_stall_holds_two_hundred_milliseconds_and_lets_them_go_at_once():
    import neteq_live

    delays_s = neteq_live.stalls(3500, np.random.default_rng(0))
    # Frames 250 to 259 are sent 0, 20, ... 180 ms into the stall at 5 s and leave at its end.
    assert delays_s[248:262] == pytest.approx([0.04, 0.04, *np.arange(0.24, 0.05, -0.02), 0.04, 0.04])
    assert np.count_nonzero(delays_s > 0.041) == 13 * 10  # stalls at 5, 10, ... 65 s


def test_bursts_are_three_long_and_lose_one_in_twenty():
    import neteq_live

    lost = np.isnan(neteq_live.bursts(400_000, np.random.default_rng(3)))
    starts = np.count_nonzero(lost[1:] & ~lost[:-1])
    # 20,000 lost in 6,667 bursts; deviations of both about 1 %
    assert lost.mean() == pytest.approx(0.05, rel=0.06)
    assert lost.sum() / starts == pytest.approx(3.0, rel=0.05)
