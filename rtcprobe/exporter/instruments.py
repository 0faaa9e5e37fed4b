"""The metrics of the table, alive: counted, set and observed by name, and written out in both formats.

Facts:
    A server with 20 probes has some ten thousand series; the client library needs 100 ms and more to write them. So
    every owner of series (a probe, the server) keeps the text of each family until one of its figures changes, and a
    scrape joins texts: families must stand together (both formats say so), so the join goes family by family.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Literal

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics, generate_latest
from prometheus_client import Metric as Family
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from rtcprobe.exporter.metrics import PROBE_LABELS, TABLE, Metric, Scope

__all__ = ["CONTENT_TYPES", "Format", "Instruments", "expose", "negotiate"]

Format = Literal["text", "openmetrics"]

CONTENT_TYPES: Mapping[Format, str] = {
    "text": "text/plain; version=0.0.4; charset=utf-8",
    "openmetrics": "application/openmetrics-text; version=1.0.0; charset=utf-8",
}

_END = b"# EOF\n"
_LABELS: Mapping[str, tuple[str, ...]] = {row.name: row.labels for row in TABLE}

_Key = tuple[tuple[str, str], ...]

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter, that nobody reads


class Instruments:
    """The metrics of some scopes, in a registry of their own.

    ``common`` are the values of ``PROBE_LABELS``; None for the server's own metrics, which have none.
    """

    def __init__(self, scopes: Iterable[Scope], common: Mapping[str, str] | None = None) -> None:
        wanted = tuple(scopes)
        self.common = dict(common or {})
        if self.common and set(self.common) != set(PROBE_LABELS):
            raise ValueError(f"a probe has the labels {PROBE_LABELS}, not {tuple(self.common)}")
        self.registry = CollectorRegistry()
        self._metrics = {
            row.name: _made(row, self.registry, common=bool(common)) for row in TABLE if row.scope in wanted
        }
        self._texts: dict[Format, dict[bytes, tuple[bytes, bytes]]] = {"text": {}, "openmetrics": {}}
        self._stale: dict[Format, set[str]] = {form: set(self._metrics) for form in self._texts}
        self._fresh: dict[str, set[_Key]] = {}
        self._children: dict[str, dict[_Key, Counter | Gauge | Histogram]] = {}

    def count(self, name: str, amount: float = 1.0, /, **labels: str) -> None:
        """Add to a counter; with 0, only make its series known, so that its first increase can be seen."""
        metric = self._child(name, labels)
        if not isinstance(metric, Counter):
            raise TypeError(f"{name} is no counter")
        metric.inc(amount)

    def set(self, name: str, value: float, /, **labels: str) -> None:
        """Set a gauge."""
        metric = self._child(name, labels)
        if not isinstance(metric, Gauge):
            raise TypeError(f"{name} is no gauge")
        metric.set(value)

    def observe(self, name: str, value: float, /, **labels: str) -> None:
        """Add one observation to a histogram."""
        metric = self._child(name, labels)
        if not isinstance(metric, Histogram):
            raise TypeError(f"{name} is no histogram")
        metric.observe(value)

    @contextmanager
    def anew(self, names: Iterable[str]) -> Iterator[None]:
        """Forget every series of these gauges that is not set meanwhile: what a run did not measure is absent.

        Making a series costs ten times as much as setting it, so those that stay are kept.
        """
        self._fresh = {name: set() for name in names}
        yield
        for name, fresh in self._fresh.items():
            self._touch(name)
            children = self._children.get(name, {})
            metric = self._metrics[name]
            for key in [key for key in children if key not in fresh]:
                del children[key]
                values = {**self.common, **dict(key)}
                metric.remove(*(values[label] for label in (*PROBE_LABELS, *_LABELS[name])))
        self._fresh = {}

    def texts(self, form: Format) -> Mapping[bytes, tuple[bytes, bytes]]:
        """Return by family its header (HELP, TYPE, UNIT) and its sample lines; each kept until it changes."""
        stale = self._stale[form]
        if stale:
            changed = _Some([metric for name, metric in self._metrics.items() if name in stale])
            self._texts[form].update(_by_family(_written(changed, form)))
            stale.clear()
        return self._texts[form]

    def _touch(self, name: str) -> None:
        for stale in self._stale.values():
            stale.add(name)

    def _child(self, name: str, labels: Mapping[str, str]) -> Counter | Gauge | Histogram:
        self._touch(name)
        children = self._children.setdefault(name, {})
        key = tuple(labels.items())
        if name in self._fresh:
            self._fresh[name].add(key)
        if key not in children:
            metric = self._metrics[name]
            children[key] = metric.labels(**self.common, **labels) if self.common or labels else metric
        return children[key]


class _Some(Collector):
    """Some metrics of a registry."""

    def __init__(self, metrics: Sequence[Counter | Gauge | Histogram]) -> None:
        self._metrics = metrics

    def collect(self) -> Iterator[Family]:
        for metric in self._metrics:
            yield from metric.collect()


def expose(owners: Iterable[Instruments], form: Format, more: Iterable[Collector] = ()) -> bytes:
    """Return the whole exposition of ``owners``, families together, then that of other collectors (``process_…``)."""
    families: dict[bytes, list[bytes]] = {}
    for owner in owners:
        for name, (header, lines) in owner.texts(form).items():
            if lines:
                families.setdefault(name, [header]).append(lines)
    parts = [part for family in families.values() for part in family]
    parts.extend(_written(collector, form) for collector in more)
    return b"".join(parts) + (_END if form == "openmetrics" else b"")


def negotiate(accept: str) -> Format:
    """Return the format that an Accept header prefers; text for whoever accepts anything."""
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


def _made(row: Metric, registry: CollectorRegistry, *, common: bool) -> Counter | Gauge | Histogram:
    labels = (*PROBE_LABELS, *row.labels) if common else row.labels
    if row.kind == "counter":
        return Counter(row.name, row.meaning, labels, unit=row.unit, registry=registry)
    if row.kind == "gauge":
        return Gauge(row.name, row.meaning, labels, unit=row.unit, registry=registry)
    return Histogram(row.name, row.meaning, labels, unit=row.unit, buckets=row.buckets, registry=registry)


def _written(registry: Collector, form: Format) -> bytes:
    """Return the text of one registry; of OpenMetrics without its end."""
    if form == "text":
        return generate_latest(registry)
    text: bytes = openmetrics.generate_latest(registry, version="1.0.0")  # type: ignore[no-untyped-call]
    return text.removesuffix(_END)


def _by_family(text: bytes) -> dict[bytes, tuple[bytes, bytes]]:
    families: dict[bytes, tuple[bytes, bytes]] = {}
    for block in (b"\n" + text).split(b"\n# HELP ")[1:]:
        header: list[bytes] = []
        lines: list[bytes] = []
        for line in block.splitlines(keepends=True):
            (header if line.startswith(b"# ") or not header else lines).append(line)
        families[block.split(b" ", 1)[0]] = (b"# HELP " + b"".join(header), _ended(b"".join(lines)))
    return families


def _ended(lines: bytes) -> bytes:
    return lines if not lines or lines.endswith(b"\n") else lines + b"\n"
