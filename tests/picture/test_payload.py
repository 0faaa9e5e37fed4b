"""RTP payload formats: the bytes that the RFCs give, what another stack reads in them, and what is cut off."""

import numpy as np
import pytest
from aiortc.codecs.h264 import H264PayloadDescriptor, h264_depayload
from aiortc.codecs.vpx import VpxPayloadDescriptor, vp8_depayload
from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.picture.film import Place
from rtcprobe.picture.payload import MOST_BYTES, payload_format
from rtcprobe.picture.settings import CODECS

VP8, H264 = payload_format("vp8"), payload_format("h264")
START = b"\x00\x00\x00\x01"


def nal(kind: int, size: int, importance: int = 3) -> bytes:
    return (
        bytes([importance << 5 | kind]) + np.random.default_rng(size).integers(1, 256, size - 1).astype("u1").tobytes()
    )


def test_a_vp8_frame_has_its_descriptor_before_each_piece():
    # RFC 7741 §4.2: X=1 S=1 PID=0; I=1; M=1 and 15 bits.
    packets = VP8.packets(b"\x10" + bytes(2999), 0x1234)
    assert [packet[:4] for packet in packets] == [b"\x90\x80\x92\x34", b"\x80\x80\x92\x34", b"\x80\x80\x92\x34"]
    assert [len(packet) for packet in packets] == [1004, 1004, 1004]
    assert VP8.frame(packets) == b"\x10" + bytes(2999)


def test_a_picture_id_starts_anew_after_fifteen_bits():
    assert VP8.packets(b"\x01", 0x8000)[0][2:4] == b"\x80\x00"


@pytest.mark.parametrize(
    ("descriptor", "begins"),
    [("10", True), ("00", False), ("9080 05", True), ("90e0 8123 07 40", True), ("9010 1f", True), ("11", False)],
)
def test_every_vp8_descriptor_is_stepped_over(descriptor, begins):
    seen = VP8.look(bytes.fromhex(descriptor) + b"\x00rest")
    assert (seen.begins, seen.size_bytes) == (begins, 5)
    assert seen.key == begins  # P = 0 in the first byte of a frame


@pytest.mark.parametrize("codec", CODECS)
def test_another_stack_puts_the_same_frame_together(film_of, codec):
    depayload = {"vp8": vp8_depayload, "h264": h264_depayload}[codec]
    form = payload_format(codec)
    for number in range(3):
        packets = form.packets(film_of(codec).frame(Place(0, number)), number)
        assert max(map(len, packets)) <= MOST_BYTES
        assert b"".join(map(depayload, packets)) == form.frame(packets)
        assert any(form.look(packet).key for packet in packets) == (number == 0)


def test_h264_units_that_fit_share_a_packet_and_large_ones_are_cut():
    sps, pps, idr = nal(7, 20), nal(8, 6), nal(5, 3000)
    packets = H264.packets(START + sps + START + pps + b"\x00\x00\x01" + idr, 0)
    # RFC 6184 §5.7.1: type 24, a size of 16 bits before each unit.
    assert packets[0] == b"\x78" + b"\x00\x14" + sps + b"\x00\x06" + pps
    # §5.8: type 28 with the unit's importance; S first, E last, the unit's own type in each.
    assert [packet[:2].hex() for packet in packets[1:]] == ["7c85", "7c05", "7c45"]
    assert b"".join(packet[2:] for packet in packets[1:]) == idr[1:]
    assert H264.frame(packets) == START + sps + START + pps + START + idr
    assert [H264PayloadDescriptor.parse(packet)[0].first_fragment for packet in packets] == [True, True, False, False]


def test_what_tells_only_the_encoders_settings_is_not_sent():
    assert H264.packets(START + nal(6, 600) + START + nal(1, 50), 0) == [nal(1, 50)]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 5, 7, 8]), st.integers(2, 4000)), min_size=1, max_size=12))
def test_any_units_come_back_in_packets_that_fit(units):
    frame = b"".join(START + nal(kind, size) for kind, size in units)
    packets = H264.packets(frame, 0)
    assert H264.frame(packets) == frame
    assert max(map(len, packets)) <= MOST_BYTES


@settings(max_examples=200, deadline=None)
@given(st.sampled_from(CODECS), st.binary(max_size=40))
def test_nonsense_is_a_value_error_at_most(codec, payload):
    form = payload_format(codec)
    for read in (form.look, lambda data: form.frame([data])):
        try:
            read(payload)
        except ValueError as error:
            assert "cut off" in str(error) or "type" in str(error)  # noqa: PT017 - both ways are right


def test_vp8_descriptors_of_another_stack_are_read():
    for picture_id in (0, 0x7FFF):
        sent = VpxPayloadDescriptor(partition_start=1, partition_id=0, picture_id=picture_id, tl0picidx=9, tid=(1, 0))
        assert VP8.look(bytes(sent) + b"\x01x") == (True, False, 2)
