"""What the talker's RED encoder packs, the listener's splitter unpacks, for any frames at any times."""

from hypothesis import given, settings
from hypothesis import strategies as st

from rtcprobe.audio.red import RedEncoder
from rtcprobe.playout.neteq.red import split_red

FRAMES = st.lists(st.tuples(st.binary(min_size=1, max_size=1_400), st.integers(120, 20_000)), min_size=1, max_size=12)


@settings(max_examples=25)
@given(FRAMES, st.integers(0, 9), st.integers(0, 127), st.integers(0, 2**32 - 1))
def test_every_block_that_is_unpacked_was_a_frame_at_that_time(frames, copies, payload_type, origin):
    red = RedEncoder(copies, payload_type)
    spoken = {}
    timestamp = origin
    for payload, step in frames:
        timestamp = (timestamp + step) % 2**32
        packet = red.encode(payload, timestamp)
        blocks = split_red(packet)
        assert (blocks[0].payload, blocks[0].timestamp_offset, blocks[0].payload_type) == (payload, 0, payload_type)
        assert len(blocks) <= 1 + copies
        assert len(packet) <= max(1_200, 1 + len(payload))
        for block in blocks[1:]:
            assert spoken[(timestamp - block.timestamp_offset) % 2**32] == block.payload
            assert block.timestamp_offset < 2**14
        ages = [block.timestamp_offset for block in blocks]
        assert ages == sorted(ages)
        spoken[timestamp] = payload


@settings(max_examples=25)
@given(st.lists(st.binary(min_size=3, max_size=100), min_size=1, max_size=20), st.integers(0, 9))
def test_of_short_frames_in_a_row_every_one_is_repeated_as_often_as_asked_for(payloads, copies):
    # 9 copies of 100 bytes, 10 ms apart: 936 + 101 bytes and 4,320 samples, within both bounds.
    red = RedEncoder(copies, 111)
    packets = [split_red(red.encode(payload, 480 * index)) for index, payload in enumerate(payloads)]
    for index, blocks in enumerate(packets):
        assert [block.payload for block in blocks] == payloads[max(0, index - copies) : index + 1][::-1]
