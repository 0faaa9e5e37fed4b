import pytest

from rtcprobe.audio.payloads import Looped, Payloads


def test_payloads_come_back_by_their_place_and_nothing_is_none():
    some = [b"one", None, b"three", b"", b"5"]
    payloads = Payloads(some)
    assert list(payloads) == [b"one", None, b"three", None, b"5"]
    assert (payloads[-1], payloads[1:3], len(payloads)) == (b"5", [None, b"three"], 5)
    assert payloads.sizes.tolist() == [3, 0, 5, 0, 1]
    assert list(Payloads()) == []
    with pytest.raises(IndexError, match="there are 5 payloads, not 5"):
        payloads[5]


def test_a_loop_of_payloads_says_the_last_ones_again_and_again():
    once = Payloads([b"lead", b"one", None, b"three"])
    looped = Looped(once, 3, 9)
    told = [b"lead", b"one", None, b"three", b"one", None, b"three", b"one", None]
    assert list(looped) == [looped[place] for place in range(9)] == looped[:] == told
    assert (looped[-2], len(looped), looped.sizes.tolist()) == (b"one", 9, [4, 3, 0, 5, 3, 0, 5, 3, 0])
    with pytest.raises(IndexError, match="there are 9 payloads, not 9"):
        looped[9]
    with pytest.raises(ValueError, match="of 4 payloads the last 5 cannot come again"):
        Looped(once, 5, 9)
