"""A codec whose every sample says which one it is, so that playing can be checked sample by sample.

A payload is a kind, a length in samples and the number of its first sample; it decodes to consecutive numbers from
there on. Concealment is −1, what redundancy gives back is the numbers it stands for. Exact in float32 up to 2²⁴.
"""

import struct

import numpy as np

from rtcprobe.playout.base import RtpPacket

FRAME = 960
CONCEALED = -1.0


class Numbered:
    def decode(self, payload):
        kind, samples, first = struct.unpack("<cIi", payload)
        if kind == b"!":
            raise ValueError("damaged inside")
        return np.arange(first, first + samples, dtype=np.float32)

    def decode_fec(self, payload, samples):
        _, _, first = struct.unpack("<cIi", payload)
        return np.arange(first - samples, first, dtype=np.float32)

    def conceal(self, samples):
        assert samples % 120 == 0
        assert samples > 0
        return np.full(samples, CONCEALED, dtype=np.float32)

    def duration_samples(self, payload):
        if len(payload) != 9:
            raise ValueError("malformed")
        samples = struct.unpack("<cIi", payload)[1]
        if not 0 < samples <= 5760:  # as of Opus: 120 ms at most
            raise ValueError("impossible length")
        return samples

    def has_fec(self, payload):
        return payload[:1] == b"f"


def payload_of(first, samples=FRAME, kind=b"."):
    return struct.pack("<cIi", kind, samples, first)


def packet_of(index, *, samples=FRAME, kind=b".", base=0, first_sequence=0):
    """Packet ``index`` of a stream whose RTP time starts at ``base``; its samples are numbered from 0."""
    return RtpPacket(
        sequence=(first_sequence + index) % 65536,
        timestamp=(base + index * samples) % 2**32,
        payload=payload_of(index * samples, samples, kind),
    )


def stream(count, *, delay_s=0.040, ptime_s=0.020, **more):
    """Arrivals of a constant delay: packet ``index`` is complete, and leaves, at (index + 1) packet times."""
    samples = round(ptime_s * 48_000)
    return [((index + 1) * ptime_s + delay_s, packet_of(index, samples=samples, **more)) for index in range(count)]
