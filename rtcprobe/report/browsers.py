"""A browser that took part, in words: which one, what was done to it, how well it kept time, what it says of itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rtcprobe.report.sentences import milliseconds
from rtcprobe.units import format_ratio

__all__ = ["browser_words"]


def browser_words(peer: Mapping[str, Any]) -> Iterator[str]:
    """Yield what is to be said of ``peer``, a phrase each; nothing where it is no browser."""
    if "browser" not in peer:
        return
    yield f"{peer['browser']}, {peer.get('priority', 'ordinary')}"
    late = [peer.get(f"mouth_late_p{q}_s") for q in (50, 95, 99)]
    # Old results, and pages whose sound is a file, do not tell how late their mouth was.
    if None not in late:
        yield f"its mouth late by {'/'.join(milliseconds(each) for each in late if each is not None)} ms (p50/p95/p99)"
    # A generated track goes past getUserMedia, and so past what Chromium does to a microphone; a file
    # (``--use-file-for-fake-audio-capture``) goes through it.
    if str(peer.get("mouth", "")).startswith("generator"):
        yield "the page's echo cancellation, noise suppression and gain control passed by"
    elif str(peer.get("mouth", "")).startswith("file"):
        yield "its microphone a file, the page's echo cancellation, noise suppression and gain control before the clock"
    if peer.get("media"):
        yield str(peer["media"])
    said = peer.get("getStats") or {}
    # W3C webrtc-stats: jitterBufferDelay is a sum of seconds over emitted samples, a mean only when divided by their
    # count.
    counted = said.get("jitterBufferEmittedCount")
    if counted:
        held = milliseconds(said.get("jitterBufferDelay", 0.0) / counted)
        yield f"getStats, beside ours: jitter buffer {held} ms, {_concealed(said)} concealed that was not silence"


def _concealed(said: Mapping[str, float]) -> str:
    received = said.get("totalSamplesReceived")
    # Concealed silence (DTX, nothing sent) is no sound made up: W3C counts it in both.
    heard = said.get("concealedSamples", 0.0) - said.get("silentConcealedSamples", 0.0)
    return format_ratio(heard / received) if received else "nothing"
