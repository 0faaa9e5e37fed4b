"""The command line with a probe that answers at once; the real one is tried in tests of its own."""

import io
import json
import os
import signal
import subprocess
import sys

import pytest

from rtcprobe import __version__
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.errors import MeasurementError
from rtcprobe.scenario import scenario_schema
from rtcprobe.selftest import SelftestRow
from rtcprobe.selftest_voice import VoiceRow


def test_help_answers_at_once_and_tells_the_exit_codes(rtcprobe):
    code, out, _ = rtcprobe("--help")
    assert code == 0
    assert "Exit codes: 0 budgets met, 1 a budget missed" in " ".join(out.split())


@pytest.mark.parametrize(
    ("command", "needed"),
    [("run --help", set()), ("scenarios", {"rich", "yaml"}), ("targets", {"rich"})],
)
def test_what_measures_no_call_imports_nothing_heavy(command, needed):
    heavy = {"scipy", "numpy", "aiortc", "av", "asyncio", "rich", "yaml", "jsonschema", "httpx"} - needed
    script = (
        "import sys\nfrom rtcprobe.cli import main\n"
        f"try:\n    main({command.split()})\nexcept SystemExit:\n    pass\n"
        f"print(sorted({heavy} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[-1] == "[]"


def test_a_run_without_a_screen_loads_nothing_of_what_it_does_not_use():
    unused = {
        *("rich", "dns.tokenizer", "numpy.f2py.crackfortran", "numpy.testing._private", "unittest"),
        *("rtcprobe.call.targets.sfu", "rtcprobe.control.gcc", "rtcprobe.model.call", "rtcprobe.report.cases"),
        *("rtcprobe.report.terminal", "rtcprobe.verdict.comparison", "rtcprobe.verdict.vendors"),
        *("jsonschema", "_ssl", "ifaddr._posix", "anyio", "rtcprobe.cli.check", "rtcprobe.runtime.streams"),
        *("rtcprobe.probe.conversing", "rtcprobe.hearing.turns", "rtcprobe.conversation.utterances"),
        *("rtcprobe.probe.pictures", "rtcprobe.picture.film", "rtcprobe.call.camera", "rtcprobe.hearing.screen"),
        *("rtcprobe.playout.frames.base", "rtcprobe.adaptation.encoder"),
    }
    script = (
        "import atexit, gc, sys\nfrom rtcprobe.__main__ import main\n"
        f"atexit.register(lambda: print(sorted({unused} & sys.modules.keys()), len(gc.get_objects())))\nmain()"
    )
    asked = ["run", "1v1-social", "-q", "--joins", "1", "--calls", "1", "--duration", "1s"]
    done = subprocess.run([sys.executable, "-c", script, *asked], capture_output=True, text=True, check=False)
    loaded, _, left_to_walk = done.stdout.splitlines()[-1].rpartition(" ")
    assert loaded == "[]", done.stderr
    assert int(left_to_walk) < 1000  # of some 200,000: what stays when the process ends is frozen


def test_a_page_without_clips_loads_no_codec():
    script = "import sys, rtcprobe.audio.clip\nprint('av' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_the_version_is_the_packages(rtcprobe):
    assert rtcprobe("--version")[:2] == (0, f"rtcprobe {__version__}\n")


def test_scenarios_lists_every_name_with_whom_it_serves(rtcprobe):
    code, out, _ = rtcprobe("scenarios")
    assert code == 0
    assert "1v1-social          Two friends on a social video app, Bangkok 4G to Singapore Wi-Fi" in out.splitlines()


def test_scenarios_of_a_name_tells_who_takes_part(rtcprobe):
    code, out, _ = rtcprobe("scenarios", "1v1-social", "--set", "link=delay 40ms")
    assert code == 0
    assert "caller to callee  link" in out
    code, _, err = rtcprobe("scenarios", "1v1-socil")
    assert (code, err) == (2, "rtcprobe: scenario '1v1-socil' is not known: did you mean 1v1-social?\n")


def test_links_tells_what_is_sourced_and_what_assumed(rtcprobe):
    code, out, _ = rtcprobe("links")
    assert code == 0
    assert "singapore" in out
    assert out.count("sourced") == out.count("assumed") == 8  # one of each for every access


def test_links_of_a_region_gives_its_round_trips_beside_the_light_bound(rtcprobe):
    code, out, _ = rtcprobe("links", "singapore")
    assert code == 0
    row = next(line.split() for line in out.splitlines() if line.startswith("bangkok"))
    assert row == ["bangkok", "30", "14", "1,426", "cited"]  # 1,426 km: 14.26 ms of light there and back


def test_schema_prints_the_schema(rtcprobe):
    code, out, _ = rtcprobe("schema")
    assert code == 0
    assert json.loads(out) == scenario_schema()


@pytest.mark.parametrize(("worst_s", "onset_s", "code"), [(1e-6, 1e-4, 0), (60e-6, 1e-4, 3), (1e-6, 0.1, 3)])
def test_the_selftest_exits_by_its_verdict(rtcprobe, monkeypatch, worst_s, onset_s, code):
    marker = SelftestRow(codec=OpusSettings(), scheduled=5, heard=5, bias_s=0.0, sd_s=0.0, worst_s=worst_s)
    voice = VoiceRow(level_dbfs=-26.0, said=8, heard=8, onset_s=onset_s, offset_s=1e-4)
    monkeypatch.setattr("rtcprobe.selftest.selftest_rows", lambda: iter([marker]))
    monkeypatch.setattr("rtcprobe.selftest_voice.voice_rows", lambda: iter([voice]))
    assert rtcprobe("selftest")[0] == code


def test_a_run_shows_its_screen_and_exits_by_its_verdict(rtcprobe, probe):
    code, out, err = rtcprobe("run", "1v1-social")
    assert code == 0
    assert out.startswith("PASS  1v1-social")
    assert err == "1v1-social: joining (2 joins)\n"
    assert (probe.calls[0].seed, probe.calls[0].clock, probe.calls[0].wav_dir) == (1, "virtual", None)


def test_flags_change_the_scenario_that_is_run(rtcprobe, probe):
    flags = [
        "--joins",
        "3",
        "--calls",
        "2",
        "--duration",
        "10s",
        "--link",
        "delay 80ms loss 2% burst 3",
        "--playout",
        "fixed:40ms",
    ]
    code, _, _ = rtcprobe("run", "1v1-social", "--seed", 9, "--real-time", *flags, "--set", "codec.ptime=40ms", "-q")
    assert code == 0
    call = probe.calls[0]
    assert (call.seed, call.clock) == (9, "real")
    plan = call.scenario.call
    assert (plan.joins, plan.calls, plan.duration_s) == (3, 2, 10.0)
    assert call.scenario.legs["callee_to_caller"].delay.base_s == 0.08
    assert {str(each.playout) for each in call.scenario.parties} == {"fixed:40ms"}
    assert {each.codec.ptime_s for each in call.scenario.sending("audio").values()} == {0.04}


def test_a_missed_budget_exits_1(rtcprobe, probe):
    del probe
    code, out, _ = rtcprobe("run", "1v1-social", "-q", "--set", "budgets=[join.first_audio p50 < 10ms]")
    assert (code, out) == (1, "FAIL 1v1-social\n")


def test_a_silent_ear_exits_3(rtcprobe, probe):
    probe.changes = {"mouth_to_ear": {}}
    assert rtcprobe("run", "1v1-social", "-q")[:2] == (3, "INCONCLUSIVE 1v1-social\n")


def test_what_could_not_be_measured_is_one_sentence_and_exits_3(rtcprobe, probe):
    probe.error = MeasurementError("nobody answered on 127.0.0.1", "start the server")
    code, out, err = rtcprobe("run", "1v1-social", "-q")
    assert (code, out) == (3, "")
    assert err == "rtcprobe: 1v1-social: nobody answered on 127.0.0.1: start the server\n"


def test_an_interrupted_run_writes_what_it_has_and_exits_130(rtcprobe, probe, tmp_path):
    probe.changes = {"interrupted": True}
    path = tmp_path / "result.json"
    code, _, _ = rtcprobe("run", "1v1-social", "spoken-practice", "-q", "--json", path)
    assert code == 130
    assert json.loads(path.read_text(encoding="utf-8"))["interrupted"] is True
    assert len(probe.calls) == 1  # the second scenario is not begun


def test_json_on_standard_output_is_alone_there(rtcprobe, probe):
    del probe
    code, out, err = rtcprobe("run", "1v1-social", "--json", "-")
    assert code == 0
    assert json.loads(out)["schema"] == "rtcprobe.result/2"
    assert "PASS  1v1-social" in err


def test_several_scenarios_are_an_array_and_several_screens(rtcprobe, probe, tmp_path):
    path, wav = tmp_path / "results.json", tmp_path / "wav"
    code, out, _ = rtcprobe("run", "1v1-social", "1v1-long-haul", "--json", path, "--wav", wav)
    assert code == 0
    assert [each["scenario"] for each in json.loads(path.read_text(encoding="utf-8"))] == [
        "1v1-social",
        "1v1-long-haul",
    ]
    assert "PASS  1v1-social" in out
    assert "PASS  1v1-long-haul" in out
    assert [call.wav_dir for call in probe.calls] == [wav / "1v1-social", wav / "1v1-long-haul"]
    assert all(call.wav_dir.is_dir() for call in probe.calls)


def test_equal_results_are_equal_bytes(rtcprobe, probe, tmp_path):
    del probe
    for name in ("a.json", "b.json"):
        rtcprobe("run", "1v1-social", "-q", "--json", tmp_path / name)
    assert (tmp_path / "a.json").read_bytes() == (tmp_path / "b.json").read_bytes()


def test_a_reader_who_leaves_is_no_traceback_and_no_verdict():
    command = f"{sys.executable} -m rtcprobe --help"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command} | true"],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 141
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(("word", "near"), [("rnu", "run"), ("reports", "report"), ("Check", "check")])
def test_a_command_that_is_misspelt_is_named_with_the_nearest_though_none_is_loaded(rtcprobe, word, near):
    sentence = f"rtcprobe: command '{word}' is not known: did you mean {near}?\n"
    assert rtcprobe(word, "--json", "-") == (2, "", sentence)


def test_output_that_cannot_be_written_is_a_sentence_and_no_verdict():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rtcprobe schema > /dev/full"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 3
    assert done.stderr == "rtcprobe: the output could not be written: No space left on device\n"


def test_output_that_is_closed_is_not_asked_for():
    done = subprocess.run(
        ["bash", "-c", f"{sys.executable} -m rtcprobe scenarios >&-"], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_a_shell_is_told_the_commands_that_a_word_may_become():
    line = {"COMP_WORDS": "rtcprobe sc", "COMP_CWORD": "1", "_RTCPROBE_COMPLETE": "bash_complete"}
    command = [sys.executable, "-c", "from rtcprobe.cli import main; main([])"]
    done = subprocess.run(command, env=os.environ | line, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert [each.split(",")[1] for each in done.stdout.splitlines()] == ["scenarios", "schema", "score"]


def test_a_fault_of_our_own_is_one_sentence_and_no_verdict(rtcprobe, probe, monkeypatch):
    probe.error = ZeroDivisionError("float division\nby zero")
    code, out, err = rtcprobe("run", "1v1-social", "-q")
    assert (code, out) == (3, "")
    assert err == (
        "rtcprobe: this is a fault of rtcprobe itself: ZeroDivisionError: float division by zero; please report it\n"
    )
    monkeypatch.setenv("RTCPROBE_TRACEBACK", "1")
    assert "Traceback (most recent call last)" in rtcprobe("run", "1v1-social", "-q")[2]


def test_an_interrupted_second_scenario_leaves_the_first(rtcprobe, probe):
    def interrupt(scenario):
        if scenario.name == "1v1-long-haul":
            raise KeyboardInterrupt

    probe.before = interrupt
    code, out, err = rtcprobe("run", "1v1-social", "1v1-long-haul", "-q", "--json", "-")
    assert (code, err) == (130, "rtcprobe: interrupted\n")
    assert json.loads(out)["scenario"] == "1v1-social"


@pytest.mark.parametrize(("command", "word"), [("scenarios", b"1v1-social"), ("links", b"singapore")])
def test_a_terminal_that_knows_only_ascii_is_no_error(rtcprobe, monkeypatch, command, word):
    written = io.BytesIO()
    terminal = io.TextIOWrapper(written, encoding="ascii")  # refuses what it does not know, as PYTHONIOENCODING=ascii
    monkeypatch.setattr("sys.stdout", terminal)
    assert rtcprobe(command) == (0, "", "")
    terminal.flush()
    assert word in written.getvalue()


def test_json_on_standard_output_is_ascii(rtcprobe, probe):
    probe.changes = {"warnings": ("µ",)}
    code, out, _ = rtcprobe("run", "1v1-social", "-q", "--json", "-")
    assert code == 0
    assert out.isascii()
    assert json.loads(out)["warnings"] == ["µ"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGHUP, 129)])
def test_a_signal_that_ends_a_command_keeps_what_was_measured(rtcprobe, probe, number, code):
    def end(scenario):
        if scenario.name == "1v1-long-haul":
            os.kill(os.getpid(), number)
            os.kill(os.getpid(), number)  # whoever ends a process asks again: that may not spoil the writing

    probe.before = end
    ended, out, err = rtcprobe("run", "1v1-social", "1v1-long-haul", "-q", "--json", "-")
    assert (ended, err) == (code, "rtcprobe: interrupted\n")
    assert json.loads(out)["scenario"] == "1v1-social"
    assert signal.getsignal(number) is signal.SIG_DFL


def test_a_signal_that_is_ignored_stays_ignored(rtcprobe, probe):
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)  # as nohup does
    try:
        probe.before = lambda _scenario: os.kill(os.getpid(), signal.SIGHUP)
        assert rtcprobe("run", "1v1-social", "-q")[0] == 0
    finally:
        signal.signal(signal.SIGHUP, before)
