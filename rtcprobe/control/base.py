"""What decides how fast a sender sends: feedback in, bits per second out. Time is an argument.

The map: ``GoogCc`` is libwebrtc's sender (``gcc.py``), ``Remb`` what stock aiortc does (``remb.py``), ``Fixed`` no
control at all. ``Pacer`` spreads what they allow over time.
"""

from __future__ import annotations

from typing import Literal, Protocol

from rtcprobe.control.feedback import Feedback
from rtcprobe.control.probing import Probe
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_rate

__all__ = ["Controller", "FeedbackKind", "Fixed"]

FeedbackKind = Literal["transport-cc", "remb", "none"]
"""What the receiver tells; never two at once."""


class Controller(Protocol):
    """Rules: calls come in the order of time; every target is within the controller's own limits, whatever comes."""

    feedback_kind: FeedbackKind
    target_bps: float
    """The estimate: all streams together, headers included."""
    encoder_share: float
    """What share of it the encoder may use: below 1 while too much is under way."""
    pacing_bps: float
    """How fast the pacer sends; infinite: it does not pace."""
    padding_bps: float
    """Up to where the pacer fills up."""
    state: str
    """What limits the target now."""

    def sent(self, sequence: int, size_bytes: int, now_s: float, cluster: int | None = None) -> None:
        """Take down a packet that left."""

    def told(self, feedback: Feedback, now_s: float) -> None:
        """Take in transport-wide feedback."""

    def told_remb(self, rate_bps: float, now_s: float) -> None:
        """Take in a receiver's estimate."""

    def told_loss(self, lost: int, expected: int, now_s: float) -> None:
        """Take in what RTCP receiver reports add: packets lost, of so many expected."""

    def set_rtt(self, rtt_s: float) -> None:
        """Take in the round-trip time that RTCP reports measure."""

    def process(self, now_s: float) -> None:
        """Do what time alone brings; due every 25 ms."""

    def probes(self) -> list[Probe]:
        """Return the probes to send, each once."""


class Fixed:
    """No control: one rate, whatever happens."""

    feedback_kind: FeedbackKind = "none"
    encoder_share = 1.0
    padding_bps = 0.0
    state = "fixed"

    def __init__(self, rate_bps: float, *, paced: bool = True) -> None:
        # libwebrtc's own bounds of an estimate: kCongestionControllerMinBitrate and kDefaultMaxBitrate.
        if not 5e3 <= rate_bps <= 1e9:
            raise BadInputError(f"rate {format_rate(rate_bps)} is impossible", "give 5kbit to 1gbit")
        self.target_bps = rate_bps
        # The pace of ``GoogCc``, so that a rate that is given differs from one that is found in nothing else.
        self.pacing_bps = 1.1 * rate_bps if paced else float("inf")

    def sent(self, sequence: int, size_bytes: int, now_s: float, cluster: int | None = None) -> None:
        """Nothing depends on it."""

    def told(self, feedback: Feedback, now_s: float) -> None:
        """Nothing depends on it."""

    def told_remb(self, rate_bps: float, now_s: float) -> None:
        """Nothing depends on it."""

    def told_loss(self, lost: int, expected: int, now_s: float) -> None:
        """Nothing depends on it."""

    def set_rtt(self, rtt_s: float) -> None:
        """Nothing depends on it."""

    def process(self, now_s: float) -> None:
        """Nothing depends on it."""

    def probes(self) -> list[Probe]:
        """Return none."""
        return []
