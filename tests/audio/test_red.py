from rtcprobe.audio.red import RedEncoder

OPUS = 111  # 0x6F; with the F bit 0xEF


def test_the_first_frame_has_one_byte_of_header_and_no_copy():
    assert RedEncoder(1, OPUS).encode(b"abc", 0) == b"\x6fabc"


def test_the_second_frame_carries_the_first_before_it():
    red = RedEncoder(1, OPUS)
    red.encode(b"abc", 5_000)
    # Header of the copy: F 1, type 111 | offset 960 = 0b00_0011_1100_0000 in 14 bits, length 3 in 10 bits:
    # 960 << 10 | 3 = 0x0F0003. Source: RFC 2198 §3.
    assert red.encode(b"defg", 5_960) == b"\xef\x0f\x00\x03" + b"\x6f" + b"abc" + b"defg"


def test_copies_stand_oldest_first_in_headers_and_blocks():
    red = RedEncoder(2, OPUS)
    red.encode(b"1", 0)  # two bytes or less are not kept: see below
    for index, payload in enumerate((b"aaa", b"bbbb")):
        red.encode(payload, 960 * (index + 1))
    # Offsets 1,920 << 10 | 3 = 0x1E0003 and 960 << 10 | 4 = 0x0F0004.
    assert red.encode(b"cc", 2_880) == b"\xef\x1e\x00\x03\xef\x0f\x00\x04\x6faaabbbbcc"


def test_no_more_copies_than_asked_for():
    red = RedEncoder(1, OPUS)
    for index in range(5):
        packet = red.encode(bytes([65 + index]) * 3, 960 * index)
    assert packet == b"\xef\x0f\x00\x03\x6fDDDEEE"


def test_a_frame_that_says_nothing_to_hear_is_sent_but_not_repeated():
    red = RedEncoder(1, OPUS)
    red.encode(b"abc", 0)
    assert red.encode(b"\x78", 960) == b"\xef\x0f\x00\x03\x6fabc\x78"
    # The last frame of speech is still the newest kept, now 1,920 back: 1,920 << 10 | 3 = 0x1E0003.
    assert red.encode(b"defg", 1_920) == b"\xef\x1e\x00\x03\x6fabcdefg"


def test_what_is_older_than_14_bits_of_samples_is_not_repeated():
    red = RedEncoder(1, OPUS)
    red.encode(b"abc", 0)
    assert len(red.encode(b"def", 16_383)) == 4 + 1 + 3 + 3
    assert len(red.encode(b"ghi", 16_383 + 16_384)) == 1 + 3


def test_the_offset_survives_a_wrap_of_the_timestamp():
    red = RedEncoder(1, OPUS)
    red.encode(b"abc", 2**32 - 480)
    assert red.encode(b"def", 480)[:4] == b"\xef\x0f\x00\x03"


def test_a_copy_has_at_most_1023_bytes():
    red = RedEncoder(1, OPUS)
    red.encode(bytes(1_023), 0)
    # 1,023 = all ten bits: 960 << 10 | 1,023 = 0x0F03FF.
    assert red.encode(b"abc", 960)[:4] == b"\xef\x0f\x03\xff"
    red.encode(bytes(1_024), 1_920)
    assert red.encode(b"def", 2_880)[:4] == b"\xef\x1e\x00\x03"  # the frame before it instead


def test_copies_leave_a_packet_at_most_1200_bytes():
    red = RedEncoder(2, OPUS)
    red.encode(bytes(600), 0)
    red.encode(bytes(300), 960)
    # 600 + 300 + 250 with headers of 4 + 4 + 1 make 1,159; with 292 instead of 250 they would make 1,201.
    assert len(RedEncoder(0, OPUS).encode(bytes(1_300), 0)) == 1_301
    assert len(red.encode(bytes(291), 1_920)) == 1_200
    red = RedEncoder(2, OPUS)
    red.encode(bytes(600), 0)
    red.encode(bytes(300), 960)
    assert len(red.encode(bytes(292), 1_920)) == 300 + 292 + 4 + 1  # the oldest stays behind
