import pytest

from rtcprobe.audio.payloads import Payloads


def test_payloads_come_back_by_their_place_and_nothing_is_none():
    some = [b"one", None, b"three", b"", b"5"]
    payloads = Payloads(some)
    assert list(payloads) == [b"one", None, b"three", None, b"5"]
    assert (payloads[-1], payloads[1:3], len(payloads)) == (b"5", [None, b"three"], 5)
    assert payloads.sizes.tolist() == [3, 0, 5, 0, 1]
    assert list(Payloads()) == []
    with pytest.raises(IndexError, match="there are 5 payloads, not 5"):
        payloads[5]
