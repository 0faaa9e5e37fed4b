"""SCTP under the seam: every name of aiortc's it leans on held; its clock, randomness and timers are the loop's."""

import asyncio
from types import SimpleNamespace

import aiortc.rtcsctptransport as sctp
import numpy as np
import pytest

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.sctp_seam import SctpTap, scheduled, sctp_transport
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop


def virtual(main, seed=1):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(seed)))) as runner:
        return runner.run(main())


async def tapped():
    """Return a transport that sends nothing anywhere, its tap, and what it would have sent."""
    aiortc_seam.install()
    connection = aiortc_seam.new_peer_connection()
    connection.addTransceiver("audio")
    transport, sent, loop = sctp_transport(connection), [], asyncio.get_running_loop()

    async def send(data):
        sent.append((loop.time(), data))

    transport.transport._send_data = send
    transport._remote_port = 5000
    return transport, SctpTap(transport, loop.time), sent


def test_in_virtual_time_tags_numbers_and_cookies_are_seeded_and_the_clock_is_the_loops():
    async def main():
        transport, _, _ = await tapped()
        await asyncio.sleep(7.5)
        return transport._local_tsn, transport._local_verification_tag, transport._hmac_key, sctp.time.time()

    assert virtual(main) == virtual(main)
    assert virtual(main)[:3] != virtual(main, seed=2)[:3]
    assert virtual(main)[3] == pytest.approx(EPOCH_S + 7.5)


def test_a_transport_is_made_once_and_shares_that_of_the_sound():
    async def main():
        aiortc_seam.install()
        connection = aiortc_seam.new_peer_connection()
        sound = connection.addTransceiver("audio")
        made = sctp_transport(connection)
        assert made is sctp_transport(connection)
        assert made.transport is sound.sender.transport
        offer = await connection.createOffer()
        await connection.close()
        return [line for line in offer.sdp.splitlines() if line.startswith("m=")]

    with asyncio.Runner() as runner:
        assert [line.split()[0] for line in runner.run(main())] == ["m=audio", "m=application"]


def test_a_piece_that_t3_sends_again_is_told_from_one_that_acknowledgements_missed():
    async def main():
        transport, tap, _ = await tapped()
        transport._association_state = transport.State.ESTABLISHED
        transport._ssthresh = 10**6
        for number in range(5):
            await transport._send(1, sctp.WEBRTC_STRING, f"m{number:07x}00000000".encode())
        first = tap.left[0].tsn
        # The receiver has 2 to 4 and lacks the first: three acknowledgements say so (RFC 9260 §7.2.4).
        for seen in (2, 3, 4):
            missing = sctp.SackChunk()
            missing.cumulative_tsn, missing.gaps = sctp.tsn_minus_one(first), [(2, seen)]
            await transport._receive_sack_chunk(missing)
        await asyncio.sleep(sctp.SCTP_RTO_INITIAL + 0.1)
        return first, tap.left

    first, pieces = virtual(main)
    assert [each.number for each in pieces[:5]] == [0, 1, 2, 3, 4]
    again = [(each.tsn - first, each.why) for each in pieces[5:]]
    assert again[0] == (0, "fast retransmit")
    assert (0, "T3-rtx") in again[1:]
    assert {why for _, why in again[1:]} == {"T3-rtx"}


def test_a_lost_init_is_named_t1_init():
    async def main():
        transport, tap, _ = await tapped()
        await transport._init()
        await asyncio.sleep(sctp.SCTP_RTO_INITIAL + 0.1)
        transport._t1_cancel()
        return tap.opening, tap.state

    (expired,), state = virtual(main)
    assert (expired.what, expired.at_s - expired.from_s) == ("T1-init", pytest.approx(sctp.SCTP_RTO_INITIAL))
    assert state == "COOKIE-WAIT"


def test_a_piece_that_comes_twice_is_noted_once():
    async def main():
        transport, tap, _ = await tapped()
        transport._last_received_tsn = 6
        piece = sctp.DataChunk(flags=sctp.SCTP_DATA_FIRST_FRAG | sctp.SCTP_DATA_LAST_FRAG)
        piece.tsn, piece.protocol, piece.user_data = 7, sctp.WEBRTC_STRING, b"m000000300000000"
        for _ in range(2):
            await transport._receive_data_chunk(piece)
        return tap.came

    (only,) = virtual(main)
    assert (only.tsn, only.begins, only.ends, only.number) == (7, True, True, 3)


def test_a_name_that_moved_is_told_in_a_sentence():
    async def main():
        transport, _, _ = await tapped()
        names = ("_send_chunk", "_t1_expired", "_t3_expired", "_maybe_abandon", "_receive_data_chunk", "_sent_queue")
        there = {name: getattr(transport, name) for name in (*names, "_outbound_queue")}
        for name in names:
            without = SimpleNamespace(**{each: value for each, value in there.items() if each != name})
            with pytest.raises(aiortc_seam.SeamError, match=rf"^SimpleNamespace\.{name} is gone: this rtcprobe knows"):
                SctpTap(without, lambda: 0.0)
        with pytest.raises(aiortc_seam.SeamError, match=r"createSctpTransport is gone: this rtcprobe knows"):
            sctp_transport(SimpleNamespace(sctp=None))

    virtual(main)


def test_whose_message_leaves_next_is_told_by_priorities_and_so_are_channels_announced():
    async def main():
        aiortc_seam.install()
        connection = aiortc_seam.new_peer_connection()
        transport, left = sctp_transport(connection), []
        scheduled(transport, {"gifts": "high", "chat": "very-low"})
        for label in ("chat", "gifts", "plain"):
            channel = connection.createDataChannel(label)
            channel._setReadyState("open")
            for _ in range(8):
                channel.send("x" * 100)

        async def send(stream, protocol, data, **_):
            left.append((transport._data_channels[stream].label, protocol, data))

        transport._send = send
        transport._association_state = transport.State.ESTABLISHED
        transport._data_channel_id = 0
        await transport._data_channel_flush()
        return left

    left = virtual(main)
    opens = {label: int.from_bytes(data[2:4], "big") for label, protocol, data in left if protocol == sctp.WEBRTC_DCEP}
    assert opens == {"chat": 128, "gifts": 1024, "plain": 256}  # RFC 8832 §6.4: low is what nobody says
    said = [label for label, protocol, _ in left if protocol != sctp.WEBRTC_DCEP]
    assert [said[:9].count(label) for label in ("gifts", "plain", "chat")] == [6, 2, 1]  # 4 : 1 : 0.5, a message each
    assert sorted(said) == sorted(["chat", "gifts", "plain"] * 8)
