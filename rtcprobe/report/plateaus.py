"""Where the delay of a mixer stood, for screen and page: a sentence a way and call in which it stood on two heights."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from rtcprobe.report.sentences import arrow, milliseconds
from rtcprobe.report.words import say
from rtcprobe.result import Account, Span

__all__ = ["plateau_sentences"]


def plateau_sentences(ears: Iterable[Account | None]) -> Iterator[str]:
    """Yield them, way by way; nothing of a way whose mixer kept the same all the time."""
    for ear in ears:
        stairs: dict[int, list[Span]] = {}
        for each in () if ear is None else ear.spans:
            if each.what == "plateau" and each.delay_s is not None:
                stairs.setdefault(each.call, []).append(each)
        for spans in stairs.values():
            if ear is not None and len(spans) > 1:
                heights = (
                    say("{ms} ms from {at} s on", ms=milliseconds(each.delay_s), at=f"{each.from_s:.1f}")
                    for each in spans
                )
                yield say("The mixer kept {way}: {heights}.", way=arrow(ear.way), heights=", ".join(heights))
