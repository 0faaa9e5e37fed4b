import io
from dataclasses import replace

from rich.console import Console

from rtcprobe.audio.opus import OpusSettings
from rtcprobe.report.selftest import print_selftest
from rtcprobe.selftest import SETTINGS, SelftestRow


def row(worst_s, *, heard=156):
    return SelftestRow(
        codec=OpusSettings(bitrate_bps=24_000, fec=True, expected_loss=0.1),
        scheduled=156,
        heard=heard,
        bias_s=-5.9e-6,
        sd_s=7.3e-6,
        worst_s=worst_s,
    )


def printed(*rows):
    out = io.StringIO()
    passed = print_selftest(rows, Console(file=out, width=80))
    return passed, out.getvalue().splitlines()


def test_errors_stand_beside_their_setting_and_all_passing_is_a_pass():
    passed, lines = printed(row(-25e-6))
    assert passed
    assert lines[1].split() == ["voip", "24kbit", "20ms", "fec", "156/156", "-0.0059", "0.0073", "-0.0250", "pass"]
    assert lines[-1] == "PASS  all 1 settings pass"
    assert max(len(line) for line in lines) <= 80


def test_one_sample_too_far_off_or_one_marker_unheard_is_a_failure():
    passed, lines = printed(row(-25e-6), row(60e-6), row(1e-6, heard=155))  # the limit is 50 µs
    assert not passed
    assert [line.split()[-1] for line in lines[1:4]] == ["pass", "FAIL", "FAIL"]
    assert lines[-1] == "FAIL  2 of 3 settings failed"


def test_every_setting_has_a_line_of_its_own_and_no_two_read_alike():
    rows = [replace(row(-25e-6), codec=codec) for codec in SETTINGS]
    _, lines = printed(*rows)
    settings = [line.partition("156/156")[0].strip() for line in lines[1 : len(SETTINGS) + 1]]
    assert len(set(settings)) == len(SETTINGS)
    assert all(line.endswith("pass") and len(line) < 80 for line in lines[1 : len(SETTINGS) + 1])
