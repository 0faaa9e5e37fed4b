from rtcprobe.call.sources import PATIENCE_PACKETS, Sources
from rtcprobe.playout.base import RtpPacket


def arrival(sequence):
    return 0.02 * sequence, RtpPacket(sequence=sequence, timestamp=960 * sequence, payload=b"x", payload_type=96)


def test_the_first_source_is_listened_to_where_none_was_announced():
    sources = Sources()
    assert sources.take(7, arrival(0)) == (arrival(0),)
    assert sources.take(8, arrival(1)) == ()
    assert sources.take(7, arrival(2)) == (arrival(2),)
    assert sources.strangers == 1


def test_an_announced_source_is_waited_for():
    sources = Sources()
    sources.announced = {7}
    assert sources.take(8, arrival(0)) == ()
    assert sources.take(7, arrival(1)) == (arrival(1),)
    assert sources.take(8, arrival(2)) == ()
    assert (sources.listened, sources.strangers) == (7, 2)


def test_a_source_that_nobody_announced_is_listened_to_when_nothing_else_comes():
    sources = Sources()
    sources.announced = {7}
    for sequence in range(PATIENCE_PACKETS - 1):
        assert sources.take(8, arrival(sequence)) == ()
    assert len(sources.take(8, arrival(PATIENCE_PACKETS))) == PATIENCE_PACKETS
    assert (sources.listened, sources.strangers) == (8, 0)
