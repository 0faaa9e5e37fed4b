"""The self-test passes where the instrument is right, and fails where it is not."""

import pytest

from rtcprobe import selftest, selftest_voice
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.selftest import LIMIT_S, SelftestReport, SelftestRow, selftest_rows
from rtcprobe.selftest_voice import OFFSET_S, ONSET_S, VoiceRow, voice_rows


def test_the_instrument_passes_its_own_test(monkeypatch):
    monkeypatch.setattr(selftest, "_SPEECH_S", 6.0)  # half of the codes
    report = SelftestReport(rows=tuple(selftest_rows((OpusSettings(application="lowdelay", ptime_s=0.010),))))
    assert report.passed
    assert all(row.heard == row.scheduled >= 4 * 10 for row in report.rows)
    assert all(0.0 < row.sd_s < abs(row.worst_s) <= LIMIT_S for row in report.rows)


def test_an_instrument_that_is_off_fails_it(monkeypatch):
    # 0.1 ms on every instant is what a wrong phase constant would do, whatever the delay.
    monkeypatch.setattr(selftest, "_DELAYS_S", (0.1000073,))
    monkeypatch.setattr(selftest, "_SPEECH_S", 3.0)
    monkeypatch.setattr(selftest, "phase_advance_s", lambda _: 48e-6 + 100e-6)
    (row,) = selftest_rows((OpusSettings(bitrate_bps=24_000),))
    assert not row.passed
    assert row.bias_s == pytest.approx(100e-6, abs=10e-6)


@pytest.mark.parametrize(("heard", "worst_s", "passed"), [(9, 49e-6, True), (9, -51e-6, False), (8, 0.0, False)])
def test_a_marker_unheard_fails_as_a_marker_misplaced_does(heard, worst_s, passed):
    row = SelftestRow(codec=OpusSettings(), scheduled=9, heard=heard, bias_s=0.0, sd_s=0.0, worst_s=worst_s)
    assert row.passed is passed
    assert SelftestReport(rows=(row,)).passed is passed


def test_settings_cover_what_the_accuracy_is_promised_for():
    assert {codec.bitrate_bps for codec in selftest.SETTINGS} >= {16_000, 24_000, 32_000, 64_000}
    assert {codec.application for codec in selftest.SETTINGS} == {"voip", "audio", "lowdelay"}
    assert {codec.ptime_s for codec in selftest.SETTINGS} >= {0.010, 0.020, 0.040, 0.060}
    assert any(codec.fec for codec in selftest.SETTINGS)


def test_the_instrument_of_conversations_agrees_with_the_agents_own_log(monkeypatch):
    monkeypatch.setattr(selftest_voice, "_TURNS", 3)
    monkeypatch.setattr(selftest_voice, "LEVELS_DBFS", (-35.0,))
    (row,) = voice_rows()
    assert row.passed
    assert row.said == row.heard == 3
    assert 0.0 < row.onset_s <= ONSET_S
    assert 0.0 < row.offset_s <= OFFSET_S


@pytest.mark.parametrize(
    ("heard", "onset_s", "offset_s", "passed"),
    [(3, 0.0014, 0.004, True), (3, 0.0016, 0.004, False), (3, 0.001, 0.0051, False), (2, 0.0, 0.0, False)],
)
def test_an_answer_unheard_or_misplaced_fails(heard, onset_s, offset_s, passed):
    row = VoiceRow(level_dbfs=-26.0, said=3, heard=heard, onset_s=onset_s, offset_s=offset_s)
    assert row.passed is passed
