"""Playout policies by name: ``neteq``, ``fixed:60ms``, ``aiortc``; one call, heard by whichever is asked for.

Rules:
    1. A policy is named as a user writes it; what stands behind the colon is a delay: of ``fixed`` the one it keeps, of
       ``neteq`` the application's wish for its jitter buffer (W3C ``jitterBufferTarget``).
    2. Only NetEQ knows RED. The others are given frames as if each came in a packet of its own
       (``copies.unpacked``).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from rtcprobe.errors import BadInputError
from rtcprobe.playout.aiortc import StockPlayout
from rtcprobe.playout.base import BLOCK_S, Decoder, Playout
from rtcprobe.playout.fixed import FixedDelay
from rtcprobe.playout.neteq import NetEq, NetEqStats, NetEqTrace
from rtcprobe.units import format_duration, parse_duration

__all__ = ["PlayoutChoice", "Policy", "PolicyName", "gaps", "make_policy", "w3c_figures"]

PolicyName = Literal["neteq", "fixed", "aiortc"]

MOST_DELAY_S = 10.0
"""As far as libwebrtc lets an application go. Source: ``pc/jitter_buffer_delay.cc``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayoutChoice:
    """A policy and its delay in seconds; None where the policy chooses for itself."""

    policy: PolicyName
    delay_s: float | None = None

    def __post_init__(self) -> None:
        if self.delay_s is not None and not 0.0 <= self.delay_s <= MOST_DELAY_S:
            raise BadInputError(f"playout delay {format_duration(self.delay_s)} is impossible", "give 0ms to 10s")

    @classmethod
    def parse(cls, text: object) -> PlayoutChoice:
        """Return the policy ``text`` names.

        Raises:
            BadInputError: an unknown policy, a delay without its unit, one missing or one too many.
        """
        policy, colon, delay = text.partition(":") if isinstance(text, str) else ("", "", "")
        # ``policy = "neteq" [":" duration] / "fixed:" duration / "aiortc"``; a colon without a delay is a
        # slip, not none.
        if policy == "neteq" and bool(colon) == bool(delay):
            return cls(policy="neteq", delay_s=parse_duration(delay) if delay else None)
        if policy == "fixed" and delay:
            return cls(policy="fixed", delay_s=parse_duration(delay))
        if text == "aiortc":
            return cls(policy="aiortc")
        raise BadInputError(f"playout {text!r} is not known", "use neteq, neteq:100ms, fixed:60ms or aiortc")

    def __str__(self) -> str:
        return self.policy if self.delay_s is None else f"{self.policy}:{format_duration(self.delay_s)}"

    @property
    def knows_red(self) -> bool:
        """Whether the policy takes RED packets as they are."""
        return self.policy == "neteq"


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """A playout at work, and what it says of itself afterwards (plain words and numbers).

    ``targets_s`` returns the delay it aimed at, tick by tick: shape (ticks,), or one for all; empty without an aim.
    """

    playout: Playout
    figures: Callable[[], Mapping[str, Any]]
    targets_s: Callable[[], npt.NDArray[np.float64]]


def make_policy(
    choice: PlayoutChoice, decoder: Decoder, *, payload_type: int, red_payload_type: int | None = None
) -> Policy:
    """Return a fresh policy that decodes one stream with ``decoder``; ``red_payload_type`` where RED was agreed on."""
    # NetEQ has no delay to keep: what stands behind the colon is a wish, and nought is none.
    if choice.policy == "neteq":
        neteq = NetEq(
            decoder,
            jitter_buffer_target_s=choice.delay_s or 0.0,
            payload_type=payload_type,
            red_payload_type=red_payload_type,
        )
        return Policy(
            playout=neteq, figures=lambda: _neteq_figures(neteq), targets_s=lambda: neteq.trace().target_ms / 1e3
        )
    playout: FixedDelay | StockPlayout
    if choice.policy == "fixed":
        playout = FixedDelay(choice.delay_s or 0.0, decoder, payload_type=payload_type)
    else:
        playout = StockPlayout(decoder, payload_type=payload_type)
    # One value for all ticks: a fixed delay never moves.
    aims = [] if choice.delay_s is None else [choice.delay_s]
    return Policy(playout=playout, figures=lambda: asdict(playout.figures), targets_s=lambda: np.array(aims))


def _neteq_figures(neteq: NetEq) -> Mapping[str, Any]:
    """Return W3C's figures under W3C's names and units (webrtc-stats, RTCInboundRtpStreamStats), ours beside them."""
    stats = neteq.stats()
    emitted = stats.jitter_buffer_emitted_count
    trace = neteq.trace()
    # Two kinds of gaps, of which only one moves the delay: a late packet's. So they are told apart.
    late, lost = gaps(trace)
    return {
        "gaps_by_loss": len(lost),
        "gaps_by_lateness": len(late),
        "delay_raised_by_lateness_s": sum(late) * BLOCK_S,
        "target_delay_s": stats.target_delay_s,
        "mean_target_delay_s": stats.jitter_buffer_target_delay_s / emitted if emitted else None,
        "mean_jitter_buffer_delay_s": stats.mean_jitter_buffer_delay_s,
        "concealed": stats.concealed_ratio,
        "buffer_flushes": stats.buffer_flushes,
        "decode_errors": stats.decode_errors,
        "unknown_payload_types": stats.unknown_payload_types,
        "malformed_red_packets": stats.malformed_red_packets,
        "primary_frames_decoded": stats.primary_frames_decoded,
        "red_frames_decoded": stats.red_frames_decoded,
        "fec_frames_decoded": stats.fec_frames_decoded,
        "ticks": {word: int((trace.operations == index).sum()) for index, word in enumerate(trace.words)},
        "w3c": w3c_figures(stats),
    }


def w3c_figures(stats: NetEqStats) -> dict[str, float]:
    """Return counters under W3C's names and in its units: samples, and sums of seconds over samples.

    Source: W3C webrtc-stats, RTCInboundRtpStreamStats.
    """
    return {
        "packetsReceived": stats.packets_received,
        "packetsDiscarded": stats.packets_discarded,
        "fecPacketsReceived": stats.fec_packets_received,
        "fecPacketsDiscarded": stats.fec_packets_discarded,
        "totalSamplesReceived": stats.total_samples_received,
        "concealedSamples": stats.concealed_samples,
        "silentConcealedSamples": stats.silent_concealed_samples,
        "concealmentEvents": stats.concealment_events,
        "insertedSamplesForDeceleration": stats.inserted_samples_for_deceleration,
        "removedSamplesForAcceleration": stats.removed_samples_for_acceleration,
        "jitterBufferDelay": stats.jitter_buffer_delay_s,
        "jitterBufferTargetDelay": stats.jitter_buffer_target_delay_s,
        "jitterBufferMinimumDelay": stats.jitter_buffer_minimum_delay_s,
        "jitterBufferEmittedCount": stats.jitter_buffer_emitted_count,
        "interruptionCount": stats.interruption_count,
        "totalInterruptionDuration": stats.total_interruption_duration_s,
    }


def gaps(trace: NetEqTrace) -> tuple[list[int], list[int]]:
    """Return the lengths (ticks) of the gaps that were concealed: those a late packet ended, those a later one did.

    A packet that comes late after all is played where it belongs: everything behind it is later by the gap, until
    NetEQ wins it back. A gap that a later packet ends (merge) takes its own time and moves nothing. What was concealed
    before the first sound is no gap.
    """
    normal, expand, merge, muted = (trace.words.index(word) for word in ("normal", "expand", "merge", "muted"))
    # Between two ticks that played something lies the gap that the later one ended; before the first
    # that did, the wait for the first packet is none.
    operations = trace.operations
    played = np.flatnonzero((operations != expand) & (operations != muted))
    lengths, ended = np.diff(played) - 1, operations[played[1:]]
    late, lost = (lengths[(lengths > 0) & (ended == by)].tolist() for by in (normal, merge))
    return late, lost
