"""What tshark saw of a join: its milestones as packets on the wire, to hold the probe's own against.

Facts:
    1. Packets between addresses of one machine pass its loopback device, whatever device holds the address.
    2. The first byte of a datagram tells STUN (0 to 3), DTLS (20 to 63) and RTP (128 to 191) apart, the second RTCP
       from RTP. Source: RFC 7983 §7, RFC 5761 §4.
"""

from __future__ import annotations

import signal
import statistics
import struct
import subprocess
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from rtcprobe.hearing.relate import related
from rtcprobe.recording import Came, Said

__all__ = ["Capture", "Frame", "milestones", "passages"]

DEVICE = "lo"
FIELDS = ("frame.time_epoch", "ip.src", "ip.dst", "tcp.srcport", "tcp.dstport", "tcp.flags", "tcp.payload")
UDP_FIELDS = ("udp.srcport", "udp.dstport", "udp.payload")
STARTED = b"Capturing on"
STUN_SUCCESS = 0x0101
ICE_PACING_S = 0.020
DTLS_HANDSHAKE = (20, 22)
SYN, SYN_ACK = 0x02, 0x12


@dataclass(frozen=True, slots=True)
class Frame:
    """One packet: when (seconds since 1970), the ports, TCP flags (None: UDP), payload."""

    at_s: float
    source: int
    destination: int
    flags: int | None
    payload: bytes

    @property
    def is_rtp(self) -> bool:
        payload = self.payload
        return self.flags is None and len(payload) > 12 and payload[0] >> 6 == 2 and not 192 <= payload[1] <= 223

    @property
    def is_handshake(self) -> bool:
        return self.flags is None and self.payload[:1] != b"" and self.payload[0] in DTLS_HANDSHAKE

    @property
    def is_stun(self) -> bool:
        return self.flags is None and self.payload[:1] in {b"\0", b"\1"}

    @property
    def is_stun_success(self) -> bool:
        return self.flags is None and int.from_bytes(self.payload[:2], "big") == STUN_SUCCESS


class Capture:
    """A running tshark that writes what the loopback device carries, until ``frames`` is asked for."""

    def __init__(self, folder: Path, tshark: str) -> None:
        self._tshark = tshark
        self._file = folder / "capture.pcapng"
        self._process = subprocess.Popen(
            [tshark, "-i", DEVICE, "-w", str(self._file)], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE
        )
        assert self._process.stderr is not None
        said = b""
        while STARTED not in said:
            line = self._process.stderr.readline()
            assert line, f"tshark did not start: {said.decode(errors='replace')}"
            said += line
        time.sleep(0.5)  # it says so a little before it does so

    def frames(self) -> list[Frame]:
        """Stop, and return every TCP and UDP packet in the order they passed."""
        time.sleep(0.5)  # packets come from the kernel in batches
        self._process.send_signal(signal.SIGINT)
        self._process.communicate(timeout=10)
        columns = [option for field in (*FIELDS, *UDP_FIELDS) for option in ("-e", field)]
        command = [self._tshark, "-r", str(self._file), "-Y", "tcp or udp", "-T", "fields", *columns]
        # Nobody needs the protocols above: they are told apart here.
        told = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60).stdout
        return [_frame(line.split("\t")) for line in told.splitlines()]

    def stop(self) -> None:
        """End it, if it runs still."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


def passages(frames: Sequence[Frame], said: Said, came: Came) -> list[tuple[float, float]]:
    """Return, of each packet that came, how long it was under way: by the probe, and by the capture; seconds.

    A server may give packets sources and numbers of its own: what left is known by its source and number, what came by
    its number and timestamp, and of several that have those (two listeners to one talker) by the instant.
    """
    up: dict[tuple[int, int], Frame] = {}
    down: dict[tuple[int, int], list[Frame]] = {}
    for frame in frames:
        if not frame.is_rtp:
            continue
        sequence, timestamp, source = struct.unpack("!2xHII", frame.payload[:12])
        if up.setdefault((source, sequence), frame) is not frame or source not in {d.ssrc for d in said.departures[:1]}:
            down.setdefault((sequence, timestamp), []).append(frame)
    left = [(each, up[each.ssrc, each.sequence]) for each in said.departures if (each.ssrc, each.sequence) in up]
    clock_s = statistics.median(frame.at_s - each.at_s for each, frame in left)
    related_to = related(said, came)
    assert related_to is not None
    by_timestamp = {each.timestamp: (each, frame) for each, frame in left}
    found = []
    for (at_s, packet), (_, known) in zip(came.arrivals, related_to, strict=True):
        if known.timestamp not in by_timestamp:
            continue
        each, frame = by_timestamp[known.timestamp]
        arrived = min(down[packet.sequence, packet.timestamp], key=lambda frame: abs(frame.at_s - clock_s - at_s))
        found.append((at_s - each.at_s, arrived.at_s - frame.at_s))
    return found


def milestones(frames: Sequence[Frame], *, server_port: int) -> list[dict[str, float]]:
    """Return when each WebSocket join at ``server_port`` reached its milestones, one join after the other."""
    starts = [at for at, frame in enumerate(frames) if frame.flags == SYN and frame.destination == server_port]
    return [
        _join(frames[start:end], server_port) for start, end in zip(starts, [*starts[1:], len(frames)], strict=True)
    ]


def _join(frames: Sequence[Frame], server_port: int) -> dict[str, float]:
    client_port = frames[0].source
    said = [frame for frame in frames if frame.source == client_port and frame.flags is not None and frame.payload]
    heard = [frame for frame in frames if frame.source == server_port and frame.payload]
    syn_ack = next(frame for frame in frames if frame.source == server_port and frame.flags == SYN_ACK)
    answer = next(frame for frame in heard if b'"jsep"' in frame.payload)
    # The server's candidate is in its answer; the client's, in its offer, is masked.
    media_port = int(answer.payload.split(b" typ host")[0].rsplit(b" ", 1)[1])
    came = [frame for frame in frames if frame.source == media_port]
    both = [frame for frame in frames if media_port in {frame.source, frame.destination}]
    first_check = next(frame for frame in both if frame.is_stun)
    answered = min(frame.at_s for frame in came if frame.is_stun_success)
    first_rtp = next(frame for frame in came if frame.is_rtp)
    handshake = [frame for frame in both if frame.is_handshake and frame.at_s < first_rtp.at_s]
    return {
        "tcp_connected": syn_ack.at_s,
        "signaling_connected": heard[0].at_s,
        "session_created": heard[1].at_s,
        "plugin_attached": heard[2].at_s,
        "offer_sent": next(
            frame for frame in said[1:] if b"GET" not in frame.payload and len(frame.payload) > 1000
        ).at_s,
        "answer_received": answer.at_s,
        "ice_connected": max(answered, first_check.at_s + ICE_PACING_S),
        "dtls_connected": handshake[-1].at_s,
        "first_packet": first_rtp.at_s,
    }


def _frame(columns: Sequence[str]) -> Frame:
    at_s, _, _, tcp_from, tcp_to, flags, tcp_payload, udp_from, udp_to, udp_payload = columns
    over_tcp = bool(tcp_from)
    return Frame(
        float(at_s),
        int(tcp_from or udp_from),
        int(tcp_to or udp_to),
        int(flags, 16) if over_tcp else None,
        bytes.fromhex((tcp_payload if over_tcp else udp_payload).replace(":", "")),
    )
