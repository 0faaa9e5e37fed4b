"""A message as text: what is written is read, and whatever else comes is told apart, never an exception."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.messages import SMALLEST_BYTES, read_message, write_message

SIZES = st.integers(SMALLEST_BYTES, 600)
NUMBERS = st.integers(0, 16**7 - 1)


@given(NUMBERS, SIZES)
@settings(max_examples=40, deadline=None)
def test_what_is_written_is_read_and_is_as_long_as_asked(number, size_bytes):
    text = write_message(number, size_bytes)
    assert len(text.encode()) == size_bytes
    assert read_message(text) == (number, size_bytes, "")
    assert read_message(text.encode()) == (number, size_bytes, "")


@given(NUMBERS, SIZES, st.data())
@settings(max_examples=40, deadline=None)
def test_a_message_that_was_cut_or_changed_is_never_taken_for_whole(number, size_bytes, data):
    text = write_message(number, size_bytes)
    cut = text[: data.draw(st.integers(0, size_bytes - 1))]
    assert read_message(cut).wrong in ("malformed", "damaged")
    place = data.draw(st.integers(0, size_bytes - 1))
    # Upper case: no digit of the header has any, and a filler's letter becomes another.
    changed = text[:place] + "Z" + text[place + 1 :]
    assert read_message(changed).wrong in ("malformed", "damaged")
    longer = text + "x"
    assert read_message(longer) == (number, size_bytes + 1, "damaged")


@given(st.one_of(st.text(max_size=50), st.binary(max_size=50), st.none(), st.integers()))
@settings(max_examples=60, deadline=None)
def test_what_is_no_message_of_ours_is_malformed_and_raises_nothing(data):
    assert read_message(data).wrong in ("malformed", "damaged")
    assert read_message(data).size_bytes >= 0
