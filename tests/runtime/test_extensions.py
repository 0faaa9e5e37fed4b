"""Header extensions by hand, as RFC 8285 §4.2 lays them out, and beside aiortc's own reading."""

from aiortc.rtp import pack_header_extensions, unpack_header_extensions

from rtcprobe.runtime.extensions import Timed, level_in, place_of, times_in

# The example's shape of RFC 8285 §4.2: one byte of data, two, padding, then three.
HEAD = bytes.fromhex("bede000310ff211234000032abcdef00")


def test_each_element_is_found_where_it_stands_padding_between_them_or_not():
    assert [place_of(HEAD, name) for name in (1, 2, 3, 4, None)] == [5, 7, 12, None, None]
    aiortcs = unpack_header_extensions(0xBEDE, HEAD[4:])
    assert all(HEAD[place_of(HEAD, name) :].startswith(value) for name, value in aiortcs)


def test_times_are_read_by_the_names_agreed_on_and_blotted_out_of_the_form():
    timed, form = times_in(HEAD, 3, 2)
    assert timed == Timed(abs_send_time=0xABCDEF, transport_sequence_number=0x1234)
    assert form == bytes.fromhex("bede000310ff21000000003200000000")


def test_an_element_of_another_length_is_no_time_and_no_level():
    assert times_in(HEAD, 1, 3) == (Timed(), HEAD)
    assert level_in(HEAD, 2) is None


def test_a_level_is_a_voice_bit_and_seven_bits_below_overload():
    profile, value = pack_header_extensions([(2, bytes([0x80 | 30]))])
    head = profile.to_bytes(2, "big") + (len(value) // 4).to_bytes(2, "big") + value
    assert level_in(head, 2) == (True, 30)
    assert level_in(head, 1) is None


def test_what_is_cut_short_or_of_the_two_byte_form_says_nothing():
    cut = bytes.fromhex("bede0001000032ab")
    two_bytes = bytes.fromhex("1000000102011e00")
    for head in (cut, two_bytes, b"", HEAD[:4]):
        assert times_in(head, 3, 2) == (Timed(), head)
        assert level_in(head, 2) is None
        assert place_of(head, 3) is None
