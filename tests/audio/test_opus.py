"""The Opus binding beside libopus' own answers, and with everything a network can put in a payload."""

import ctypes

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.audio import opus
from rtcprobe.audio.mouth import Mouth, encode_stream
from rtcprobe.audio.opus import OpusDecoder, OpusEncoder, OpusSettings
from rtcprobe.audio.opus_packet import duration_samples, has_fec, is_dtx, phase_advance_s

LIBRARY = opus._library()
LIBRARY.opus_packet_get_nb_samples.argtypes = [ctypes.c_char_p, ctypes.c_int32, ctypes.c_int32]
SPEECH = Mouth().pcm(1.2)


def decoded(payloads):
    decoder = OpusDecoder()
    return np.concatenate([decoder.decode(payload) for payload in payloads])


@pytest.mark.parametrize(("application", "samples"), [("voip", 312), ("audio", 312), ("lowdelay", 120)])
def test_the_look_ahead_is_six_and_a_half_or_two_and_a_half_milliseconds(application, samples):
    # RFC 6716 §2: 2.5 ms of CELT overlap, and 4 ms more to align the SILK layer.
    assert OpusEncoder(OpusSettings(application=application)).lookahead_samples == samples


@pytest.mark.parametrize("application", ["voip", "lowdelay"])
def test_a_packet_decodes_to_its_packet_time(application):
    for ptime_s in opus.PTIMES_S:
        codec = OpusSettings(ptime_s=ptime_s, application=application)
        payload = encode_stream(SPEECH[: codec.frame_samples], codec)[0]
        assert duration_samples(payload) == codec.frame_samples == len(OpusDecoder().decode(payload)), ptime_s


def test_what_is_decoded_is_what_was_encoded_at_a_high_rate():
    heard = decoded(encode_stream(SPEECH, OpusSettings(bitrate_bps=128_000, application="lowdelay")))[120:]
    error = heard - SPEECH[: len(heard)]
    assert np.mean(np.square(error)) < 1e-3 * np.mean(np.square(SPEECH))


def test_integers_and_floats_encode_alike():
    whole = (SPEECH * 32767).astype(np.int16)[:960]
    codec = OpusSettings(bitrate_bps=64_000)
    assert OpusEncoder(codec).encode(whole) == OpusEncoder(codec).encode(whole.astype(np.float32) / 32768)


@pytest.mark.parametrize("pcm", [np.zeros(959, np.float32), np.zeros((960, 1), np.float32), np.zeros(960)])
def test_samples_of_another_shape_or_type_are_refused(pcm):
    with pytest.raises(ValueError, match="samples"):
        OpusEncoder(OpusSettings()).encode(pcm)


@given(payload=st.binary(min_size=1, max_size=24))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_the_duration_of_any_bytes_is_what_libopus_says(payload):
    said = LIBRARY.opus_packet_get_nb_samples(payload, len(payload), 48_000)
    try:
        assert duration_samples(payload) == said
    except ValueError:
        # libopus counts a packet of no frames as 0 samples; to us it is malformed.
        assert said <= 0


@given(payload=st.binary(min_size=1, max_size=400))
@settings(max_examples=50, deadline=None, derandomize=True)
def test_redundancy_is_read_as_libopus_reads_it(payload):
    if not hasattr(LIBRARY, "opus_packet_has_lbrr"):
        pytest.skip("this libopus is older than 1.4")
    LIBRARY.opus_packet_has_lbrr.argtypes = [ctypes.c_char_p, ctypes.c_int32]
    said = LIBRARY.opus_packet_has_lbrr(payload, len(payload))
    if said >= 0:
        assert has_fec(payload) == bool(said)


@pytest.mark.parametrize("ptime_s", [0.010, 0.020, 0.040, 0.060])
def test_redundancy_is_there_when_asked_for_and_never_in_low_delay(ptime_s):
    for application, expected in (("voip", True), ("lowdelay", False)):
        codec = OpusSettings(
            application=application, fec=True, expected_loss=0.2, ptime_s=ptime_s, complexity=5, bitrate_bps=48_000
        )
        assert any(has_fec(payload) for payload in encode_stream(SPEECH, codec)) is expected
    assert not any(has_fec(payload) for payload in encode_stream(SPEECH, OpusSettings(ptime_s=ptime_s)))


def test_redundancy_brings_back_more_of_a_lost_frame_than_concealment():
    codec = OpusSettings(fec=True, expected_loss=0.2, complexity=5, bitrate_bps=64_000)
    payloads = encode_stream(SPEECH, codec)
    whole = decoded(payloads).reshape(-1, 960)
    # Every frame that the next packet holds a copy of, lost on its own.
    wanted = [at for at in range(2, len(payloads) - 1) if has_fec(payloads[at + 1])]
    assert len(wanted) > 5
    errors = {"conceal": 0.0, "fec": 0.0}
    for at in wanted:
        for way in errors:
            decoder = OpusDecoder()
            for payload in payloads[:at]:
                decoder.decode(payload)
            made_up = decoder.decode_fec(payloads[at + 1], 960) if way == "fec" else decoder.conceal(960)
            errors[way] += float(np.sum(np.square(made_up - whole[at])))
    # The copy is coded at a lower rate, so it is no perfect one: at least 6 dB better is what makes it worth sending.
    assert errors["fec"] < 0.25 * errors["conceal"]


@given(payloads=st.lists(st.binary(max_size=60), min_size=1, max_size=6))
@settings(max_examples=25, deadline=None, derandomize=True)
def test_no_bytes_break_a_decoder(payloads):
    decoder = OpusDecoder()
    for payload in payloads:
        for attempt in (decoder.decode, lambda bytes_: decoder.decode_fec(bytes_, 960)):
            try:
                pcm = attempt(payload)
            except ValueError:
                continue
            assert pcm.dtype == np.float32
            assert 0 < len(pcm) <= 5760
    assert len(decoder.conceal(480)) == 480
    assert len(decoder.decode(encode_stream(SPEECH[:960], OpusSettings())[0])) == 960


@pytest.mark.parametrize("samples", [0, -120, 100, 5880])
def test_concealment_of_odd_lengths_is_refused(samples):
    with pytest.raises(ValueError, match="multiples of 120"):
        OpusDecoder().conceal(samples)


def test_concealment_goes_on_for_a_while_and_fades():
    decoder = OpusDecoder()
    for payload in encode_stream(SPEECH[13_000:15_880], OpusSettings()):  # the first marker sounds here
        loud = decoder.decode(payload)
    faded = [decoder.conceal(960) for _ in range(25)]
    assert np.std(faded[0]) > 0.3 * np.std(loud)
    assert np.std(faded[-1]) < 0.03 * np.std(loud)


def test_dtx_says_nothing_to_hear_between_markers_only():
    payloads = encode_stream(SPEECH, OpusSettings(dtx=True))
    quiet = np.array([is_dtx(payload) for payload in payloads])
    # libopus needs 200 ms of silence before it stops: of the 420 ms between markers at most 220 are not sent.
    assert 0.2 < quiet.mean() < 0.6
    loud = np.abs(SPEECH.reshape(-1, 960)).max(axis=1) > 0.1
    assert not np.any(quiet & loud)


def test_the_phase_advance_is_that_of_the_streams_main_mode():
    silk = encode_stream(SPEECH, OpusSettings())
    celt = encode_stream(SPEECH, OpusSettings(application="lowdelay"))
    assert phase_advance_s(silk) == pytest.approx(48e-6)
    assert phase_advance_s(celt) == 0.0
    assert phase_advance_s([*silk, *celt[:10]]) == pytest.approx(48e-6)
    assert phase_advance_s([]) == 0.0
