"""What a conversation is written in, and the sound it becomes."""

import shutil

import numpy as np
import pytest

from rtcprobe.audio.voice import active_speech_level, voiced_spans
from rtcprobe.audio.wav import write_wav
from rtcprobe.conversation import AgentPlan, Conversation, Line, When, parse_level, parse_when, spoken_lines
from rtcprobe.conversation.plan import parse_interruption, parse_noise
from rtcprobe.conversation.synthesis import VOICES, synthesised
from rtcprobe.conversation.utterances import sound_of_words
from rtcprobe.errors import BadInputError
from tests.conversation.room import SILENT, after_onset, turn


def test_cues_levels_and_noises_are_read_as_they_are_written():
    assert parse_when("silent 600ms") == When(begun="silence", wait_s=0.6)
    assert parse_when("1.5s after onset") == When(begun="onset", wait_s=1.5)
    assert [str(parse_when(text)) for text in ("silent 600ms", "1.5s after onset")] == [
        "silent 600ms",
        "1.5s after onset",
    ]
    assert parse_level("-26 dBFS") == -26.0
    assert parse_noise("400ms at -26dBFS") == (0.4, -26.0)
    assert parse_interruption("never") is None
    assert parse_interruption("200ms") == 0.2


@pytest.mark.parametrize(
    ("parse", "text", "sentence"),
    [
        (parse_when, "silence", "cue 'silence' cannot be read: write it like silent 600ms, or 1.5s after onset"),
        (parse_when, "silent 90s", "a wait of 90s is impossible: give 0ms to 60s"),
        (parse_when, 5, "cue 5 cannot be read: write it like silent 600ms, or 1.5s after onset"),
        (parse_level, "-26dB", "'-26dB' is no level: write it like -26dBFS"),
        (parse_noise, "400ms", "noise '400ms' cannot be read: write it like 400ms at -26dBFS"),
        (parse_noise, "400ms at 3dBFS", "noise 3dBFS is impossible: give -60dBFS to -10dBFS"),
        (parse_noise, "5ms at -26dBFS", "noise of 5ms is impossible: give 20ms to 60s"),
        (parse_interruption, "soon", "interrupt_after 'soon' cannot be read: write it like 200ms, or never"),
    ],
)
def test_what_cannot_be_read_is_one_sentence(parse, text, sentence):
    with pytest.raises(BadInputError) as caught:
        parse(text)
    assert str(caught.value) == sentence


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (lambda: Conversation(lines=()), "the conversation has no lines: give turns, such as - say: hello"),
        (
            lambda: Conversation(lines=(turn("stop", after_onset(1.0)),)),
            "the conversation begins with a barge-in: nobody speaks yet: begin with a turn, such as say: hello",
        ),
        (
            lambda: Line(kind="noise", when=SILENT, lasts_s=0.4, level_dbfs=-26.0),
            (
                "a noise cannot wait for 'silent 600ms': "
                "a turn takes after: silent 600ms, what goes into the agent's speech 1.5s after onset"
            ),
        ),
        (
            lambda: Conversation(lines=(turn("a"),), level_dbfs=0.0),
            "level 0dBFS is impossible: give -60dBFS to -10dBFS",
        ),
        (lambda: Conversation(lines=(turn("a"),), patience_s=0.0), "patience 0ms is impossible: give 1s to 60s"),
        (lambda: AgentPlan(hangover_s=-1.0), "agent.hangover -1s is impossible: give 0ms to 10s"),
        (lambda: AgentPlan(answer_s=(4.0, 2.0)), "agent.answer 4s to 2s is impossible: write it like 2s to 4s"),
        (lambda: AgentPlan(spread=9.0), "agent.spread 9 is impossible: give 0 to 2"),
        (
            lambda: sound_of_words("hello", "bob", -26.0),
            "voice 'bob' is not known: use one of anna, ben, lei, mei, or espeak:en-gb",
        ),
        (
            lambda: sound_of_words("hello", "espeak:../x", -26.0),
            "voice 'espeak:../x' is none of espeak-ng's: write it like espeak:en-gb",
        ),
        (
            lambda: sound_of_words("[pause 1s] hello", "ben", -26.0),
            "'[pause 1s] hello' holds nothing that could be said: write words, with pauses between them",
        ),
        (lambda: sound_of_words("a [pause x] b", "ben", -26.0), None),
    ],
)
def test_what_cannot_be_meant_is_refused_in_one_sentence(make, sentence):
    with pytest.raises(BadInputError) as caught:
        make()
    if sentence is not None:
        assert str(caught.value) == sentence


@pytest.mark.parametrize("voice", sorted(VOICES))
def test_every_voice_says_words_at_the_level_asked_for_and_alike_each_time(voice):
    words = "ni3 hao3, zen3 me yang4?" if VOICES[voice].language == "zh" else "Good morning, how are you?"
    for level_dbfs in (-19.0, -45.0):
        sound = sound_of_words(words, voice, level_dbfs)
        assert active_speech_level(sound)[0] == pytest.approx(level_dbfs, abs=0.1)
    assert np.array_equal(synthesised(words, VOICES[voice]), synthesised(words, VOICES[voice]))
    (span,) = voiced_spans(sound_of_words(words, voice, -26.0))
    assert span.begin < 0.03 * 48_000


def test_a_longer_sentence_lasts_longer_and_a_comma_is_a_pause():
    ben = VOICES["ben"]
    short, long = (len(synthesised(text, ben)) for text in ("the sea", "the sea and the mountains behind it"))
    assert long > 2 * short
    assert len(voiced_spans(synthesised("hello, hello", ben), merge_s=0.1)) == 2


def test_a_pause_within_words_is_silence_of_just_that_length():
    whole = sound_of_words("hello [pause 900ms] there", "anna", -26.0)
    zeros = np.flatnonzero(whole == 0.0)
    longest = max(len(run) for run in np.split(zeros, np.flatnonzero(np.diff(zeros) > 1) + 1))
    assert longest == pytest.approx(0.9 * 48_000, abs=2)


def test_a_file_is_said_at_the_level_asked_for_without_the_silence_around_it(tmp_path):
    path = tmp_path / "said.wav"
    silence = np.zeros(24_000, dtype=np.float32)
    said = sound_of_words("hello there", "ben", -40.0)
    write_wav(path, np.concatenate([silence, said, silence]))
    line = Line(kind="turn", when=SILENT, wav=path)
    (spoken,) = spoken_lines(Conversation(lines=(line,), level_dbfs=-20.0))
    assert len(spoken.sound) == pytest.approx(len(said), abs=480)
    assert active_speech_level(spoken.sound)[0] == pytest.approx(-20.0, abs=0.2)
    assert spoken.called == "said.wav"


def test_a_file_without_sound_is_refused(tmp_path):
    path = tmp_path / "silent.wav"
    write_wav(path, np.zeros(48_000, dtype=np.float32))
    with pytest.raises(BadInputError, match=r"silent\.wav is silent"):
        spoken_lines(Conversation(lines=(Line(kind="turn", when=SILENT, wav=path),)))


@pytest.mark.skipif(shutil.which("espeak-ng") is not None, reason="espeak-ng is installed here")
def test_a_voice_of_espeak_asks_for_espeak_where_it_is_not_installed():
    with pytest.raises(BadInputError, match="needs espeak-ng, which is not installed: install it, or use anna, ben"):
        sound_of_words("hello", "espeak:en-gb", -26.0)


@pytest.mark.skipif(shutil.which("espeak-ng") is None, reason="espeak-ng is not installed")
def test_a_voice_of_espeak_speaks():
    assert active_speech_level(sound_of_words("hello there", "espeak:en-gb", -26.0))[0] == pytest.approx(-26, abs=0.1)
    with pytest.raises(BadInputError, match="has no voice"):
        sound_of_words("hello", "espeak:xx-nowhere", -26.0)


def test_a_line_longer_than_a_minute_of_speech_is_refused_before_it_is_said(monkeypatch):
    monkeypatch.setattr("rtcprobe.conversation.utterances._say", lambda *_: pytest.fail("it was said"))
    with pytest.raises(BadInputError, match="has 100,000 characters: 1,200 at the most"):
        sound_of_words("a" * 100_000, "anna", -26.0)
