"""The arithmetic of the live NetEQ benchmark: its paths, and the grid it puts a recording on. No receiver is needed."""

import asyncio
import socket
from pathlib import Path

import numpy as np
import pytest

BENCHMARKS = str(Path(__file__).parents[1] / "benchmarks")
BLOCK = np.ones(480, dtype=np.float32)


@pytest.fixture(autouse=True)
def _benchmarks_in_reach(monkeypatch):
    monkeypatch.syspath_prepend(BENCHMARKS)


def recorded(noted_s):
    import live_hearing

    return live_hearing.on_grid([(float(at_s), BLOCK) for at_s in noted_s])


def test_blocks_noted_late_stand_where_they_were_pulled():
    """Ticks at 3.7 ms past every 10 ms; each is noted 0 to 0.1 ms late, some 6 ms, two in a bunch with their next."""
    rng = np.random.default_rng(1)
    pulled_s = 0.0037 + 0.010 * np.arange(1000)
    noted_s = pulled_s + rng.uniform(0, 0.0001, 1000)
    noted_s[100:900:40] += 0.006
    noted_s[300], noted_s[301] = pulled_s[302] - 0.0002, pulled_s[302] - 0.0001  # 19.8 and 9.9 ms late
    heard = recorded(noted_s)
    assert len(heard.ticks_s) == 1000
    assert np.abs(heard.ticks_s - pulled_s).max() < 0.0001
    assert heard.phase_s(5.0) == pytest.approx(0.0037, abs=0.0001)


def test_ticks_of_which_nothing_was_noted_are_silent():
    pulled_s = 0.002 + 0.010 * np.arange(500)
    heard = recorded(np.delete(pulled_s, slice(200, 230)))
    assert np.flatnonzero(heard.silent).tolist() == list(range(200, 230))
    assert not heard.pcm[200 * 480 : 230 * 480].any()


def test_a_grid_that_slips_is_followed():
    """Three milliseconds in ten seconds, as real audio threads do."""
    pulled_s = 0.0085 + 0.010003 * np.arange(1000)
    heard = recorded(pulled_s)
    assert len(heard.ticks_s) == 1000
    assert np.abs(heard.ticks_s - pulled_s).max() < 0.0005


def test_no_path_lets_a_frame_overtake_another():
    import neteq_live

    for name, path in neteq_live.PATHS.items():
        delays_s = path(3500, np.random.default_rng(7))
        arrived = np.isfinite(delays_s)
        arrivals_s = (0.020 * np.arange(3500) + delays_s)[arrived]
        if name != "p12_step80":  # its second step is 80 ms down: four frames are overtaken
            assert np.diff(arrivals_s).min() > -1e-9, name
        assert np.nanmin(delays_s) >= 0.040 - 1e-12, name


def test_a_stall_holds_two_hundred_milliseconds_and_lets_them_go_at_once():
    import neteq_live

    delays_s = neteq_live.stalls(3500, np.random.default_rng(0))
    # Frames 250 to 259 are sent 0, 20, ... 180 ms into the stall at 5 s and leave at its end.
    assert delays_s[248:262] == pytest.approx([0.04, 0.04, *np.arange(0.24, 0.05, -0.02), 0.04, 0.04])
    assert np.count_nonzero(delays_s > 0.041) == 13 * 10  # stalls at 5, 10, ... 65 s


def test_bursts_are_three_long_and_lose_one_in_twenty():
    import neteq_live

    lost = np.isnan(neteq_live.bursts(400_000, np.random.default_rng(3)))
    starts = np.count_nonzero(lost[1:] & ~lost[:-1])
    # 20,000 lost in 6,667 bursts; deviations of both about 1 %
    assert lost.mean() == pytest.approx(0.05, rel=0.06)
    assert lost.sum() / starts == pytest.approx(3.0, rel=0.05)


def test_a_planned_network_carries_what_is_no_media_at_once_and_media_when_it_is_due():
    """One STUN packet, one frame that is held back and one that is lost, over real sockets of this machine."""
    import live_call

    from rtcprobe.runtime.network import acting_as
    from rtcprobe.runtime.real import RealEventLoop

    def media(frame):
        return b"\x80\x6f" + bytes(2) + (frame * live_call.FRAME_TICKS).to_bytes(4) + bytes(4) + b"sound"

    class Receiver(asyncio.DatagramProtocol):
        def __init__(self):
            self.came, self.last = [], asyncio.Event()

        def datagram_received(self, data, _address):
            self.came.append(data)
            if data == media(2):
                self.last.set()

    async def main():
        loop = asyncio.get_running_loop()
        network = live_call.PlannedNetwork(loop, [0.020, float("nan"), 0.0])
        host = network.add_host("mouth", "127.0.0.1")
        receiving = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)  # of nobody's network, as a real receiver's is
        receiving.bind(("127.0.0.1", 0))
        receiver = Receiver()
        there, _ = await loop.create_datagram_endpoint(lambda: receiver, sock=receiving)
        with acting_as(host):
            here, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=("127.0.0.1", 0))
        network.releaser.start()
        try:
            for data in (media(0), b"\0\1\0\0" + bytes(16), media(1), media(2)):
                here.sendto(data, receiving.getsockname())
            await asyncio.wait_for(receiver.last.wait(), 10)
        finally:
            network.releaser.stop()
            network.releaser.join(10)  # it notes what left after it has sent it
            here.close()
            there.close()
        return receiver.came, network

    with asyncio.Runner(loop_factory=RealEventLoop) as runner:
        came, network = runner.run(main())
    assert came == [b"\0\1\0\0" + bytes(16), media(0), media(2)]
    assert [number for number, _, _ in network.releaser.left] == [0, 2]
    assert all(late_s >= 0 for _, _, late_s in network.releaser.left)
