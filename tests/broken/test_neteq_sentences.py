"""What NetEQ says of delays and sizes that cannot be meant, and what RED says of lengths that lie."""

from __future__ import annotations

import re

import pytest

from rtcprobe.audio.opus import OpusDecoder
from rtcprobe.errors import BadInputError
from rtcprobe.playout.neteq import NetEq
from rtcprobe.playout.neteq.red import split_red


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"min_delay_s": -0.01}, "minimum delay -10ms is impossible: give 0ms to 10s"),
        ({"jitter_buffer_target_s": 11.0}, "jitter buffer target 11s is impossible: give 0ms to 10s"),
        ({"max_delay_s": 0.0}, "maximum delay 0ms is impossible: give 1ms to 10s"),
        (
            {"min_delay_s": 0.2, "max_delay_s": 0.1},
            "maximum delay 100ms is below the minimum delay 200ms: swap them or drop one",
        ),
        ({"max_packets": 5}, "a packet buffer of 5 packets is too small: give 20 or more"),
    ],
)
def test_impossible_arguments_are_refused_in_one_sentence(arguments, sentence):
    with pytest.raises(BadInputError, match=f"^{re.escape(sentence)}$"):
        NetEq(OpusDecoder(), **arguments)


@pytest.mark.parametrize(
    ("payload", "sentence"),
    [
        (b"", "RED headers run past the 0 bytes of the packet"),
        (bytes([0x80 | 111, 15, 0]), "a RED header is cut off after 3 bytes"),
        (bytes([0x80 | 111, 15, 0, 4]), "RED headers run past the 4 bytes of the packet"),
        (bytes([0x80 | 111, 15, 3, 255, 111]) + b"short", "RED blocks of 1023 bytes do not fit the 5 bytes there are"),
        (bytes([0x80 | 111, 15, 0, 0]) * 32 + bytes([111]), "33 RED blocks are more than 32"),
    ],
)
def test_red_that_lies_is_refused_as_a_whole(payload, sentence):
    with pytest.raises(ValueError, match=f"^{re.escape(sentence)}$"):
        split_red(payload)
