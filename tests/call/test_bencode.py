"""Bencode: what was written is read again, what is none is refused, whatever came."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rtcprobe.call.bencode import decode, encode

VALUES = st.recursive(
    st.integers(min_value=-(10**18), max_value=10**18) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.parametrize(
    ("value", "written"),
    [
        # BEP 3's own examples.
        ("spam", b"4:spam"),
        (3, b"i3e"),
        (-3, b"i-3e"),
        (["spam", "eggs"], b"l4:spam4:eggse"),
        ({"cow": "moo", "spam": "eggs"}, b"d3:cow3:moo4:spam4:eggse"),
        ({"spam": ["a", "b"]}, b"d4:spaml1:a1:bee"),
    ],
)
def test_the_examples_of_the_specification(value, written):
    assert encode(value) == written
    assert decode(written) == value


@given(VALUES)
def test_what_was_written_is_read_again(value):
    assert decode(encode(value)) == value


def test_keys_are_written_in_order_and_read_in_any():
    assert encode({"b": 1, "a": 2}) == b"d1:ai2e1:bi1ee"
    assert decode(b"d1:bi1e1:ai2ee") == {"a": 2, "b": 1}


@pytest.mark.parametrize(
    ("written", "said"),
    [
        (b"", "no value at byte 0"),
        (b"i-0e", "no number at byte 0"),
        (b"i03e", "no number at byte 0"),
        (b"i12", "no number at byte 0"),
        (b"5:spam", "longer than what came"),
        (b"999999999999999:x", "no value at byte 0"),
        (b"l4:spam", "no value at byte 7"),
        (b"d4:spame", "a key without a value"),
        (b"di1e1:ae", "a key that is no string"),
        (b"4:spamX", "1 bytes more"),
        (b"l" * 1000, "nested more than 16 deep"),
    ],
)
def test_what_is_none_is_refused(written, said):
    with pytest.raises(ValueError, match=said):
        decode(written)


@given(st.binary(max_size=60))
def test_whatever_came_is_a_value_or_a_refusal(written):
    with contextlib.suppress(ValueError):
        decode(written)


def test_bytes_that_are_no_text_do_not_hide_the_rest():
    assert decode(b"d3:sdp2:\xff\xfe6:result2:oke") == {"sdp": "\ufffd\ufffd", "result": "ok"}
