"""When a datagram reached its socket, as the kernel saw it: its age, however late it is read."""

import socket
import struct
import sys
import time

import pytest

from rtcprobe.runtime.stamps import age_s, tell_stamps

OPTION = 35
"""SO_TIMESTAMPNS. Source: asm-generic/socket.h."""


def stamped(aged_s):
    nanoseconds = time.time_ns() - round(aged_s * 1e9)
    return [(socket.SOL_SOCKET, OPTION, struct.pack("@ll", *divmod(nanoseconds, 1_000_000_000)))]


def test_the_age_is_how_long_ago_the_stamp_was():
    assert age_s(stamped(0.25)) == pytest.approx(0.25, abs=0.1)


@pytest.mark.parametrize("aged_s", [-5.0, 3600.0], ids=["wall clock set back", "wall clock set on"])
def test_an_age_that_cannot_be_is_none(aged_s):
    assert age_s(stamped(aged_s)) == 0.0


def test_where_nothing_is_told_a_datagram_came_now():
    assert age_s([]) == 0.0
    assert age_s([(socket.IPPROTO_IP, socket.IP_TOS, b"\x2e")]) == 0.0


@pytest.mark.skipif(sys.platform != "linux", reason="other systems tell by other options")
def test_the_kernel_tells_of_a_datagram_that_it_came_between_sending_and_reading():
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as here,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as there,
    ):
        here.bind(("127.0.0.1", 0))
        tell_stamps(here)
        sent_s = time.monotonic()
        there.sendto(b"x", here.getsockname())
        _, ancillary, _, _ = here.recvmsg(100, 64)
        aged_s = age_s(ancillary)
        assert 0.0 < aged_s <= time.monotonic() - sent_s + 1e-3
