"""Encoded speech that is kept: the same bytes as if encoded, and another name for whatever would make others."""

from dataclasses import replace

import numpy as np
import pytest

from rtcprobe.audio import kept, matched
from rtcprobe.audio.kept import kept_or_encoded, know_markers
from rtcprobe.audio.marker import CODES, MarkerTrain
from rtcprobe.audio.mouth import Mouth, Noise, Speech, encoded
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.shelf import Shelf

LASTS_S = 0.21
SPEECH = Speech(samples=np.random.default_rng(5).standard_normal(4800).astype(np.float32))
MOUTHS = [Mouth(), Mouth(programme=Noise()), Mouth(programme=SPEECH)]


@pytest.mark.parametrize("mouth", MOUTHS)
@pytest.mark.parametrize("codec", [OpusSettings(), OpusSettings(dtx=True, ptime_s=0.060)])
def test_what_is_kept_is_what_would_be_encoded_and_is_not_encoded_again(tmp_path, monkeypatch, mouth, codec):
    fresh = list(encoded(mouth.pieces(LASTS_S), codec))
    shelf = Shelf("speech", tmp_path)
    assert list(kept_or_encoded(mouth, codec, LASTS_S, shelf)) == fresh
    with monkeypatch.context() as patched:
        patched.setattr(kept, "encoded", None)
        assert list(kept_or_encoded(mouth, codec, LASTS_S, shelf)) == fresh
    for path in tmp_path.iterdir():
        path.write_bytes(b"damaged")
    assert list(kept_or_encoded(mouth, codec, LASTS_S, shelf)) == fresh


def test_whatever_makes_other_bytes_makes_another_name(tmp_path, monkeypatch):
    def names(mouth=MOUTHS[0], codec=OpusSettings(), lasts_s=LASTS_S, folder=tmp_path):  # noqa: B008 - frozen
        kept_or_encoded(mouth, codec, lasts_s, Shelf("speech", folder))
        return len(list(folder.iterdir()))

    louder = Speech(samples=SPEECH.samples, marker_to_speech_db=-9.0)
    other = Speech(samples=np.roll(SPEECH.samples, 1))
    assert names() == names() == 1
    assert names(codec=OpusSettings(bitrate_bps=31_999)) == 2
    assert names(codec=OpusSettings(complexity=1)) == 3
    assert names(lasts_s=0.2101) == 4
    assert names(Mouth(train=MarkerTrain(seed=1))) == 5
    assert names(Mouth(train=replace(MarkerTrain(), loops=True))) == 6
    assert names(Mouth(programme=Noise(level_dbfs=-80.0001))) == 7
    assert names(Mouth(programme=Noise(level_dbfs=-80.0, seed=1))) == 8
    assert names(Mouth(programme=SPEECH)) == names(Mouth(programme=Speech(samples=SPEECH.samples.copy()))) == 9
    assert names(Mouth(programme=louder)) == 10
    assert names(Mouth(programme=other)) == 11
    monkeypatch.setattr(kept, "_made_by", lambda: "another libopus")
    assert names() == 12


def test_nothing_is_kept_of_long_speech_nor_where_the_sources_cannot_be_told(tmp_path, monkeypatch):
    shelf = Shelf("speech", tmp_path)
    kept_or_encoded(Mouth(), OpusSettings(), 601.0, shelf)  # a generator: nothing is encoded yet
    monkeypatch.setattr(kept, "_made_by", lambda: None)
    list(kept_or_encoded(Mouth(), OpusSettings(), LASTS_S, shelf))
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("told", [{}, {"SIMD Extensions": {"baseline": ["X86_V2"], "not found": ["X86_V3"]}}])
def test_on_a_processor_with_no_more_instructions_than_numpy_needs_it_is_kept_too(tmp_path, monkeypatch, told):
    kept._made_by.cache_clear()
    with monkeypatch.context() as patched:
        patched.setattr(np, "show_config", lambda **_: told)
        list(kept_or_encoded(Mouth(), OpusSettings(), LASTS_S, Shelf("speech", tmp_path)))
    assert len(list(tmp_path.iterdir())) == 1
    kept._made_by.cache_clear()


def test_what_is_known_of_markers_is_kept_to_the_bit_and_a_damaged_file_is_worked_out_again(tmp_path, monkeypatch):
    shelf, worked_out = Shelf("speech", tmp_path), matched.written_spectra()
    for damaged in (False, True):
        know_markers.cache_clear()
        know_markers(shelf)
        (path,) = tmp_path.iterdir()
        if damaged:
            path.write_bytes(path.read_bytes()[:-1])
        know_markers.cache_clear()
        with monkeypatch.context() as patched:
            patched.setattr(matched, "_known", {})
            know_markers(shelf)
            assert len(matched._known) == CODES
            assert matched.written_spectra() == worked_out
    know_markers.cache_clear()
