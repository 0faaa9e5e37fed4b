"""The metrics of the table, alive: counted, set and observed by name, and written out in both formats.

Facts:
    A server with 20 probes has some ten thousand series. The client library writes 30 of them in a millisecond, for a
    run that changed 500 of them: long enough to be seen in a scrape. So a series keeps its line, and a family its
    lines, until a figure changes; a series that changed costs a number, not its labels.
    Lines are the same in both formats; headers are not. Families must stand together (both formats say so), so what
    several owners have is joined family by family.
    Compressing 2.4 MB takes 20 ms and more, and a scrape later hardly a byte is another. Deflate's blocks may stand
    side by side where each ends in a full flush (RFC 1951, zlib's manual), so each family keeps its blocks too.
"""

from __future__ import annotations

import functools
import math
import zlib
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from operator import itemgetter
from typing import Literal

from prometheus_client import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector
from prometheus_client.utils import floatToGoString

from rtcprobe.exporter.metrics import PROBE_LABELS, TABLE, Metric, Scope

__all__ = ["CONTENT_TYPES", "Draft", "Format", "Instruments", "expose", "expose_gzip", "negotiate", "takes_gzip"]

Format = Literal["text", "openmetrics"]

CONTENT_TYPES: Mapping[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}

_END = b"# EOF\n"
# Expositions are repetition: of a megabyte level 1 leaves 36 kB in 2 ms, 6 leaves 28 in 5, 9 leaves 22 in 13.
_GZIP_LEVEL = 1
_GZIP_HEAD = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\xff"  # RFC 1952: deflate, no name, no time, no system
# An empty block of fixed codes with its final bit set (RFC 1951 §3.2.3): after a full flush the stream is at a byte's
# edge.
_LAST_BLOCK = b"\x03\x00"

_Key = str | tuple[str, ...]
"""The values of a series' labels in the order of the table; of one label, its value."""


class Instruments:
    """The metrics of some scopes.

    ``common`` are the values of ``PROBE_LABELS``; None for the server's own metrics, which have none.
    """

    def __init__(self, scopes: Iterable[Scope], common: Mapping[str, str] | None = None) -> None:
        wanted = tuple(scopes)
        self.common = dict(common or {})
        if self.common and set(self.common) != set(PROBE_LABELS):
            raise ValueError(f"a probe has the labels {PROBE_LABELS}, not {tuple(self.common)}")
        self._families = {row.name: _Family(row, self.common) for row in TABLE if row.scope in wanted}

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter; with 0, only make its series known, so that its first increase can be seen."""
        if amount < 0:
            raise ValueError(f"{name} only grows, not by {amount}")
        self._families[name].number("counter", labels).add(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        self._families[name].number("gauge", labels).put(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one observation to a histogram."""
        self._families[name].histogram(labels).add(value)

    @contextmanager
    def anew(self, names: Iterable[str]) -> Iterator[None]:
        """Forget every series of these gauges that is not set meanwhile: what a run did not measure is absent."""
        families = [self._families[name] for name in names]
        for family in families:
            family.fresh = set()
        try:
            yield
        finally:
            for family in families:
                family.forget_old()

    def families(self) -> Iterable[tuple[Metric, _Part]]:
        """Return each row that has series, with its sample lines."""
        parts = [(family.row, family.part()) for family in self._families.values()]
        return [(row, part) for row, part in parts if part.text]


class Draft:
    """What a run would change, laid down whole before anything is: one that cannot be counted changes nothing."""

    def __init__(self) -> None:
        self._changes: list[tuple[str, str, float, Mapping[str, str]]] = []
        self._anew: tuple[str, ...] = ()

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """See ``Instruments.count``."""
        self._lay("count", name, amount, labels)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """See ``Instruments.set``."""
        self._lay("set", name, value, labels)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """See ``Instruments.observe``."""
        self._lay("observe", name, value, labels)

    @contextmanager
    def anew(self, names: Iterable[str]) -> Iterator[None]:
        """See ``Instruments.anew``; once a draft."""
        self._anew = tuple(names)
        yield

    def apply(self, into: Instruments) -> None:
        """Make the changes."""
        with into.anew(self._anew):
            for kind, name, value, labels in self._changes:
                getattr(into, kind)(name, value, **labels)

    def _lay(self, kind: str, name: str, value: object, labels: Mapping[str, str]) -> None:
        # Numbers of a result come from another process, and from JSON; NaN in a counter would stay there for ever.
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not math.isfinite(value):
            raise ValueError(f"{name} cannot be {value!r}")
        if kind == "count" and value < 0:
            raise ValueError(f"{name} only grows, not by {value}")
        if not all(isinstance(each, str) for each in labels.values()):
            raise ValueError(f"{name} cannot have the labels {labels}")
        self._changes.append((kind, name, value, labels))


class _Part:
    """Some lines, and what deflate makes of them once somebody asks."""

    __slots__ = ("_deflated", "text")

    def __init__(self, text: bytes) -> None:
        self.text = text
        self._deflated = b""

    def deflated(self) -> bytes:
        if not self._deflated:
            # Raw deflate (negative window bits): head and tail are gzip's, once around all blocks. The full flush
            # forgets what came before, so that a block may follow any other.
            packer = zlib.compressobj(_GZIP_LEVEL, wbits=-zlib.MAX_WBITS)
            self._deflated = packer.compress(self.text) + packer.flush(zlib.Z_FULL_FLUSH)
        return self._deflated


class _Number:
    """A counter's or a gauge's series."""

    __slots__ = ("_head", "_line", "_value")

    def __init__(self, head: str) -> None:
        self._head = head
        self._value = 0.0
        self._line = ""

    def add(self, amount: float) -> None:
        self.put(self._value + amount)

    def put(self, value: float) -> None:
        if value != self._value:
            self._line = ""
        self._value = value

    def lines(self) -> str:
        self._line = self._line or f"{self._head} {_figure(self._value)}\n"
        return self._line


class _Histogram:
    """A histogram's series: its counts, of each bucket alone, and the sum of what was observed."""

    __slots__ = ("_bounds", "_counts", "_heads", "_lines", "_sum")

    def __init__(self, bounds: Sequence[float], heads: Sequence[str]) -> None:
        self._bounds = bounds
        self._counts = [0] * (len(bounds) + 1)
        self._heads = heads
        self._sum = 0.0
        self._lines = ""

    def add(self, value: float) -> None:
        # ``le`` is "less or equal": a value on a bound belongs to it. Each bucket alone here; summed up when written.
        self._counts[bisect_left(self._bounds, value)] += 1
        self._sum += value
        self._lines = ""

    def lines(self) -> str:
        if not self._lines:
            below = list(accumulate(self._counts))
            figures = (*map(float, below), float(below[-1]), self._sum)
            pairs = zip(self._heads, figures, strict=True)
            self._lines = "".join([f"{head} {_figure(figure)}\n" for head, figure in pairs])
        return self._lines


class _Family:
    """All series of a metric that one owner has; ``fresh`` are those touched since ``anew`` began."""

    def __init__(self, row: Metric, common: Mapping[str, str]) -> None:
        self.row = row
        self.fresh: set[_Key] | None = None
        self._common = common
        self._key: Callable[[Mapping[str, str]], _Key] = itemgetter(*row.labels) if row.labels else lambda _labels: ()
        self._numbers: dict[_Key, _Number] = {}
        self._histograms: dict[_Key, _Histogram] = {}
        self._part: _Part | None = None
        if not common and not row.labels:  # there is one series, and it is known from the start
            _ = self.histogram({}) if row.kind == "histogram" else self.number(row.kind, {})

    def number(self, kind: str, labels: Mapping[str, str]) -> _Number:
        if self.row.kind != kind:
            raise TypeError(f"{self.row.name} is no {kind}")
        key = self._touched(labels)
        found = self._numbers.get(key)
        if found is None:
            found = self._numbers[key] = _Number(self._head("", labels))
        return found

    def histogram(self, labels: Mapping[str, str]) -> _Histogram:
        if self.row.kind != "histogram":
            raise TypeError(f"{self.row.name} is no histogram")
        key = self._touched(labels)
        found = self._histograms.get(key)
        if found is None:
            heads = [*self._bucket_heads(labels), self._head("_count", labels), self._head("_sum", labels)]
            found = self._histograms[key] = _Histogram(self.row.buckets, heads)
        return found

    def forget_old(self) -> None:
        """Forget what was not touched since ``fresh`` was emptied."""
        fresh = self.fresh or set()
        self.fresh = None
        # As many touched as there are: nothing is old, and the text stays.
        if len(fresh) < len(self._numbers):
            self._numbers = {key: number for key, number in self._numbers.items() if key in fresh}
            self._part = None

    def part(self) -> _Part:
        if self._part is None:
            numbers = [each.lines() for each in self._numbers.values()]
            histograms = [each.lines() for each in self._histograms.values()]
            self._part = _Part("".join(numbers + histograms).encode())
        return self._part

    def _touched(self, labels: Mapping[str, str]) -> _Key:
        # ``itemgetter`` refuses a label that is missing; one too many shows only in how many there are.
        if len(labels) != len(self.row.labels):
            raise ValueError(f"{self.row.name} has the labels {self.row.labels}, not {tuple(labels)}")
        key = self._key(labels)
        self._part = None
        if self.fresh is not None:
            self.fresh.add(key)
        return key

    def _head(self, suffix: str, labels: Mapping[str, str]) -> str:
        written = ",".join([text for _, text in self._written(labels)])
        return f"{self.row.name}{suffix}{{{written}}}" if written else f"{self.row.name}{suffix}"

    def _bucket_heads(self, labels: Mapping[str, str]) -> list[str]:
        """Return the head of each bucket's line: the same labels twenty times and more, but for the bound."""
        # ``le`` has its place among the labels' names in order, as the client library writes it.
        written = self._written(labels)
        before = "".join([f"{text}," for name, text in written if name < "le"])
        after = "".join([f",{text}" for name, text in written if name > "le"])
        bounds = [*map(_figure, self.row.buckets), "+Inf"]
        return [f'{self.row.name}_bucket{{{before}le="{bound}"{after}}}' for bound in bounds]

    def _written(self, labels: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return each label's name and how it is written, in the order of names."""
        return [(name, f'{name}="{_escaped(value)}"') for name, value in sorted({**self._common, **labels}.items())]


def expose(owners: Iterable[Instruments], form: Format, more: Iterable[Collector] = ()) -> bytes:
    """Return the whole exposition of ``owners``, families together, then that of other collectors (``process_…``)."""
    return b"".join([part.text for part in _parts(owners, form, more)])


def expose_gzip(owners: Iterable[Instruments], form: Format, more: Iterable[Collector] = ()) -> bytes:
    """Return the same, compressed as gzip has it (RFC 1952)."""
    blocks, crc, size = [_GZIP_HEAD], 0, 0
    for part in _parts(owners, form, more):
        blocks.append(part.deflated())
        crc = zlib.crc32(part.text, crc)
        size += len(part.text)
    # RFC 1952 §2.3.1: CRC-32 of the whole text and its size modulo 2³², least byte first.
    ending = crc.to_bytes(4, "little") + (size % 2**32).to_bytes(4, "little")
    return b"".join([*blocks, _LAST_BLOCK, ending])


def _parts(owners: Iterable[Instruments], form: Format, more: Iterable[Collector]) -> Iterator[_Part]:
    families: dict[str, list[_Part]] = {}
    for owner in owners:
        for row, part in owner.families():
            families.setdefault(row.name, [_header(row, form)]).append(part)
    for family in families.values():
        yield from family
    ending = b"".join([_written(collector, form) for collector in more]) + (_END if form == "openmetrics" else b"")
    if ending:
        yield _Part(ending)


def negotiate(accept: str) -> Format:
    """Return the format that an Accept header prefers; text for whoever accepts anything."""
    # Accept = media-range [ ";" "version=" … ] [ ";" "q=" weight ], …           RFC 9110 §12.5.1
    # A version of OpenMetrics that is not ours is not offered; of several entries of one format the heaviest counts.
    # Text wins a tie, as it is what every Prometheus has read since 0.4.
    weights: dict[Format, float] = {"text": 0.0, "openmetrics": 0.0}
    for each in accept.lower().split(","):
        kind, *parameters = (part.strip() for part in each.split(";"))
        words = dict(part.split("=", 1) for part in parameters if "=" in part)
        try:
            weight = float(words.get("q", "1"))
        except ValueError:
            weight = 0.0
        if kind == "application/openmetrics-text" and words.get("version", "1.0.0") == "1.0.0":
            weights["openmetrics"] = max(weights["openmetrics"], weight)
        elif kind in {"text/plain", "text/*"}:
            weights["text"] = max(weights["text"], weight)
    return "openmetrics" if weights["openmetrics"] > weights["text"] else "text"


@functools.cache  # as many as the table has rows, twice
def _header(row: Metric, form: Format) -> _Part:
    name = row.name if form == "text" else row.name.removesuffix("_total")  # OpenMetrics: a family is not its sample
    unit = f"# UNIT {name} {row.unit}\n" if row.unit and form == "openmetrics" else ""
    text = f"# HELP {name} {_escaped(row.meaning, quotes=False)}\n# TYPE {name} {row.kind}\n{unit}"
    return _Part(text.encode())


def _figure(value: float) -> str:
    text: str = floatToGoString(value)  # type: ignore[no-untyped-call]
    return text


def _escaped(text: str, *, quotes: bool = True) -> str:
    text = text.replace("\\", r"\\").replace("\n", r"\n")
    return text.replace('"', r"\"") if quotes else text


def _written(collector: Collector, form: Format) -> bytes:
    """Return the text of a collector of the client library; of OpenMetrics without its end."""
    if form == "text":
        return generate_latest(collector)
    text: bytes = openmetrics.generate_latest(collector, version="1.0.0")  # type: ignore[no-untyped-call]
    return text.removesuffix(_END)


def takes_gzip(accepted: str) -> bool:
    """Return whether an ``Accept-Encoding`` header allows gzip: named, or meant by ``*``, and not with ``q=0``.

    Source: RFC 9110 §12.5.3.
    """
    weights: dict[str, float] = {}
    for each in accepted.split(","):
        coding, *parameters = (part.strip().lower() for part in each.split(";"))
        weight = next((part[2:] for part in parameters if part.startswith("q=")), "1")
        try:
            weights[coding] = float(weight)
        except ValueError:
            weights[coding] = 0.0  # what cannot be read asks for nothing
    return weights.get("gzip", weights.get("x-gzip", weights.get("*", 0.0))) > 0.0
