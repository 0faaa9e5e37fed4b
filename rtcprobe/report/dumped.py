"""A browser's own figures beside a run's: rows of their own, for what a browser counts is no ear's delay."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from rich.text import Text

from rtcprobe.report.lines import rule, wrapped
from rtcprobe.report.sentences import milliseconds
from rtcprobe.result import Account, Result
from rtcprobe.units import format_ratio

if TYPE_CHECKING:
    from rtcprobe.capture import Dump, DumpedStream

__all__ = ["CAPTION", "COLUMNS", "NOTE", "dumped_lines", "dumped_rows"]

Runs = Sequence[tuple[str, Sequence[Result]]]

CAPTION: Final = "A browser's own count, beside the runs'"
COLUMNS: Final = ("", "jitter buffer, ms", "its target, ms", "made up or frozen", "packets lost", "round trip, ms")
NOTE: Final = (
    "All of it as W3C counts: time in the jitter buffer leaves out capture, network, decoding and devices, so it is "
    "never a mouth-to-ear delay; of video the mean wait of a frame, and the share of the time in which it stood."
)


def dumped_rows(dumps: Sequence[Dump], runs: Runs) -> list[tuple[str, ...]]:
    """Return a row for each stream that a browser received, then one for each way of each side's runs."""
    rows = [_of_stream(dump, stream) for dump in dumps for stream in dump.streams]
    for label, results in runs:
        ways = dict.fromkeys(way for each in results for way in each.mouth_to_ear)
        for way in ways:
            accounts = [each.mouth_to_ear[way] for each in results if way in each.mouth_to_ear]
            rows.append(_of_runs(f"{label}, {way}", accounts))
    return rows


def dumped_lines(dumps: Sequence[Dump], runs: Runs) -> Iterator[Text]:
    """Return the same for a terminal: a line a stream and a way."""
    yield rule(CAPTION)
    for name, buffer, target, made_up, lost, trip in dumped_rows(dumps, runs):
        said = f"{name}: jitter buffer {buffer} ms (target {target}), {made_up} made up or frozen, {lost} lost"
        yield from wrapped(said + ("" if trip == "-" else f", round trip {trip} ms"), indent=1, most=None)
    yield from wrapped(NOTE, indent=1, style="dim", most=None)


def _of_stream(dump: Dump, stream: DumpedStream) -> tuple[str, ...]:
    one = len(dump.streams) == 1
    # A call alone needs no telling apart; of several streams the SSRC does it, as names in a dump are the page's.
    which = "" if one else f", connection {stream.connection}, {stream.medium}"
    return (
        f"{dump.name}{which}" + ("" if one or stream.ssrc is None else f" {stream.ssrc}"),
        milliseconds(stream.jitter_buffer_s),
        milliseconds(stream.target_s),
        _share(stream.concealed if stream.medium == "audio" else stream.frozen),
        _share(stream.lost),
        milliseconds(stream.rtt_s),
    )


def _of_runs(name: str, accounts: Sequence[Account]) -> tuple[str, ...]:
    counted = [each.playout.w3c for each in accounts if each.playout is not None]
    # Lost before any copy: what W3C calls packetsLost knows no RED.
    sent = [each.protection for each in accounts if each.protection is not None]

    def over(part: str, whole: str) -> float | None:
        parts = [(each.get(part), each.get(whole)) for each in counted]
        # A run that counted nothing has no part in a mean: sums over sums, as W3C's totals are meant to be divided.
        known = [(some, all_of) for some, all_of in parts if some is not None and all_of]
        return math.fsum(some for some, _ in known) / math.fsum(all_of for _, all_of in known) if known else None

    packets = sum(each.sent for each in sent)
    return (
        name,
        milliseconds(over("jitterBufferDelay", "jitterBufferEmittedCount")),
        milliseconds(over("jitterBufferTargetDelay", "jitterBufferEmittedCount")),
        _share(over("concealedSamples", "totalSamplesReceived")),
        _share(sum(each.lost_before for each in sent) / packets if packets else None),
        "-",
    )


def _share(value: float | None) -> str:
    return "-" if value is None else format_ratio(value)
