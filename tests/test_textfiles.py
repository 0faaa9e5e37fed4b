"""Files of people and programs: byte order marks, pipes, sizes; and YAML that would be more than it looks."""

import codecs
import os
import threading

import pytest

from rtcprobe import textfiles
from rtcprobe.errors import BadInputError, RtcprobeError, printable
from rtcprobe.link.delay import LOST
from rtcprobe.link.traces import read_delay_trace
from rtcprobe.report.history import line_of
from rtcprobe.result import Joins
from rtcprobe.result.files import load_results
from rtcprobe.scenario import library_folder, read_scenario
from rtcprobe.strictyaml import load_yaml, read_yaml
from rtcprobe.textfiles import read_bytes, read_text

MARKED = {"utf-8": codecs.BOM_UTF8, "utf-16-le": codecs.BOM_UTF16_LE, "utf-16-be": codecs.BOM_UTF16_BE}


@pytest.mark.parametrize("encoding", MARKED)
def test_a_byte_order_mark_changes_no_file(tmp_path, encoding, make_result):
    def written(name, text):
        path = tmp_path / name
        path.write_bytes(MARKED[encoding] + text.encode(encoding))
        return path

    assert read_text(written("text", "é\r\nb\rc\n")) == "é\nb\nc\n"
    assert read_delay_trace(written("trace", "0\n5\n10\n")).delays_s == (0.0, 0.005, 0.010)
    plain = library_folder() / "1v1-social.yaml"
    assert read_scenario(written("s.yaml", plain.read_text(encoding="utf-8"))).digest == read_scenario(plain).digest
    small = make_result(join=Joins(), mouth_to_ear={}, link={})
    history = written("h.jsonl", (line_of(small) + line_of(small)).decode())
    assert len(load_results(history).results) == 2


def test_minus_one_as_programs_write_it_is_a_lost_packet(tmp_path):
    path = tmp_path / "trace"
    path.write_text("120.0\n-1.0\n-1\n-1.000000e+00\nlost\n80.0\n", encoding="utf-8")
    assert read_delay_trace(path).delays_s == (0.12, LOST, LOST, LOST, LOST, 0.08)


def test_a_pipe_that_somebody_fills_is_a_file(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    data = b"0\n5\n" * 50_000  # more than a pipe holds at once
    writer = threading.Thread(target=pipe.write_bytes, args=(data,))
    writer.start()
    assert read_bytes(pipe) == data
    writer.join()


def test_a_pipe_that_nobody_fills_is_refused_in_time(tmp_path, monkeypatch):
    monkeypatch.setattr(textfiles, "_LOOK_S", 0.01)
    monkeypatch.setattr(textfiles, "_NOBODY_S", 0.03)
    monkeypatch.setattr(textfiles, "_SILENT_S", 0.05)
    pipe = tmp_path / "p.yaml"
    os.mkfifo(pipe)
    with pytest.raises(BadInputError, match=r"p\.yaml cannot be read: it is a pipe, and nothing came out of it"):
        read_scenario(pipe)
    with pytest.raises(BadInputError, match=r"p\.yaml cannot be read: it is a pipe, and nothing came out of it"):
        load_results(pipe)
    held = os.open(pipe, os.O_RDWR)  # somebody is there, and says nothing
    with pytest.raises(TimeoutError, match="nothing came out"):
        read_bytes(pipe)
    os.close(held)


def test_a_file_that_never_ends_is_refused():
    with pytest.raises(OSError, match="it holds more than 1 MB"):
        read_bytes(textfiles.Path("/dev/zero"), most=10**6)
    assert read_bytes(textfiles.Path("/dev/null")) == b""


def test_a_name_that_no_file_can_have_is_an_error_of_the_system():
    for name in ("a\x00b", "\ud800"):
        with pytest.raises(OSError, match="no file can have that name"):
            read_bytes(textfiles.Path(name))


TENFOLD = [f"{name}: &{name} [{','.join([f'*{before}'] * 10)}]" for before, name in zip("abcde", "bcdef", strict=True)]
REFUSED = {
    "[" * 100 + "]" * 100: "line 1: this is nested more than 50 deep: nothing rtcprobe reads is",
    "a:\n" + "".join(" " * depth + "- \n" for depth in range(1, 90)): "line 51: this is nested more than 50 deep",
    "&a [*a]": "line 1: this holds itself: write it out, as deep as it is meant",
    "\n".join(["a: &a [1,1,1,1,1,1,1,1,1,1]", *TENFOLD]): "this stands for more than 200,000 values: write fewer",
    "a: " + "x" * 2**20: "this is 1,048,579 characters of YAML: 1,048,576 are read",
    "a: !!bool maybe": "line 1: 'maybe' cannot be read: put it in quotes",
    "a: !!timestamp x": "line 1: 'x' cannot be read: put it in quotes",
    "a: !!int ''": "line 1: '' cannot be read: put it in quotes",
    "a: 1\nb: {<<: {c: 1}, d: 1, d: 2}": "line 2: d is given twice: leave one out",
}  # fmt: skip


def test_yaml_that_is_more_than_it_looks_is_refused():
    for text, sentence in REFUSED.items():
        with pytest.raises(BadInputError) as refusal:
            load_yaml(text)
        assert sentence in str(refusal.value)


def test_merged_keys_may_be_replaced():
    assert load_yaml("a: &a {x: 1, y: 2}\nb: {<<: *a, y: 3}")["b"] == {"x": 1, "y": 3}


def test_a_sentence_never_commands_a_terminal():
    said = str(RtcprobeError("bad \x1b[2J\x07 \u202e name\nof a file \ud800", "use\tanother"))
    assert said == "bad \\x1b[2J\\x07 \\u202e name of a file \\ud800: use another"
    assert printable("Île de Ré, 東京, 80 % – “x”") == "Île de Ré, 東京, 80 % – “x”"


@pytest.mark.parametrize("columns", ["0", "-5", "3", "x", ""])
def test_an_impossible_width_is_no_reason_to_print_nothing(rtcprobe, monkeypatch, columns):
    monkeypatch.setenv("COLUMNS", columns)
    code, out, _ = rtcprobe("links", "bangkok")
    assert code == 0
    assert "bangkok" in out


def test_a_file_of_yaml_that_cannot_be_meant_is_named_in_the_error(tmp_path):
    path = tmp_path / "asked.yaml"

    def refused(written):
        raise BadInputError(f"{written!r} is nothing", "write something")

    with pytest.raises(BadInputError, match=rf"{path} cannot be read: No such file"):
        read_yaml(path, dict)
    path.write_bytes(b"\xff\xfe\xff")
    with pytest.raises(BadInputError, match="this question cannot be read: it is not UTF-8 text"):
        read_yaml(path, dict, called="this question")
    path.write_text("a: [", encoding="utf-8")
    with pytest.raises(BadInputError, match=rf"{path}: line 1: this is not YAML"):
        read_yaml(path, dict)
    path.write_text("a: 1", encoding="utf-8")
    with pytest.raises(BadInputError, match=rf"{path}: {{'a': 1}} is nothing"):
        read_yaml(path, refused)
    assert read_yaml(path, dict) == {"a": 1}
