"""Grafana's panels in few words: what a dashboard is made of, and how Grafana reads it.

Source: `@grafana/schema` (Dashboard, schema version 39), against which the JSON is type-checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WIDTH = 24

DATASOURCE = {"type": "prometheus", "uid": "${datasource}"}

GOOD, FAIR, BAD, CALM = "green", "orange", "red", "blue"

WINDOWS = ("5m", "15m", "1h", "6h", "1d", "7d", "28d")


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A PromQL expression and how its series are called; ``instant`` for what is shown as of now."""

    expr: str
    legend: str = ""
    instant: bool = False
    format: str = "time_series"


@dataclass(frozen=True, slots=True, kw_only=True)
class Panel:
    """One picture: ``width`` of 24 columns; ``defaults`` and ``options`` are Grafana's own."""

    title: str
    description: str
    kind: str
    unit: str
    queries: tuple[Query, ...]
    width: int = 12
    height: int = 8
    defaults: Mapping[str, Any] = field(default_factory=dict)
    overrides: tuple[Mapping[str, Any], ...] = ()
    options: Mapping[str, Any] = field(default_factory=dict)
    transformations: tuple[Mapping[str, Any], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dashboard:
    """A question, and its rows of panels."""

    uid: str
    title: str
    description: str
    rows: tuple[tuple[str, tuple[Panel, ...]], ...]
    single_probe: bool = False


# -- kinds of panel ----------------------------------------------------------------------------------------------------


def lines(
    title: str,
    description: str,
    unit: str,
    *queries: Query,
    stacked: bool = False,
    limits: Sequence[tuple[float, str]] = (),
    width: int = 12,
    height: int = 8,
    top: float | None = None,
    least: float | None = 0,
) -> Panel:
    """Curves over time, perhaps stacked; ``limits`` are drawn as dashed lines. ``least`` None: some are below zero."""
    custom: dict[str, Any] = {
        "drawStyle": "line",
        "lineWidth": 1,
        "fillOpacity": 40 if stacked else 0,
        "showPoints": "auto",
        "spanNulls": 3_600_000,
        "stacking": {"mode": "normal" if stacked else "none", "group": "A"},
        "axisSoftMin": 0,
    }
    defaults: dict[str, Any] = {"custom": custom} if least is None else {"custom": custom, "min": least}
    if top is not None:
        defaults["max"] = top
    if limits:
        custom["thresholdsStyle"] = {"mode": "dashed"}
        defaults["thresholds"] = steps(GOOD, *limits)
    return Panel(
        title=title,
        description=description,
        kind="timeseries",
        unit=unit,
        queries=queries,
        width=width,
        height=height,
        defaults=defaults,
        options={
            "legend": {"displayMode": "list", "placement": "bottom", "showLegend": True, "calcs": []},
            "tooltip": {"mode": "multi", "sort": "desc"},
        },
    )


def number(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    limits: Sequence[tuple[float, str]] = (),
    base: str = CALM,
    width: int = 4,
    decimals: int | None = None,
) -> Panel:
    """One number a series, coloured by ``limits``."""
    defaults: dict[str, Any] = {"thresholds": steps(base, *limits), "color": {"mode": "thresholds"}}
    if decimals is not None:
        defaults["decimals"] = decimals
    return Panel(
        title=title,
        description=description,
        kind="stat",
        unit=unit,
        queries=(query,),
        width=width,
        height=5,
        defaults=defaults,
        options={
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
            "colorMode": "value",
            "graphMode": "none",
            "textMode": "auto",
            "justifyMode": "auto",
        },
    )


def bars(title: str, description: str, unit: str, query: Query, *, width: int = 12, height: int = 8) -> Panel:
    """One bar a series, as of now."""
    return Panel(
        title=title,
        description=description,
        kind="bargauge",
        unit=unit,
        queries=(query,),
        width=width,
        height=height,
        defaults={"min": 0, "color": {"mode": "fixed", "fixedColor": CALM}},
        options={
            "displayMode": "basic",
            "orientation": "horizontal",
            "showUnfilled": False,
            "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False},
        },
    )


def heatmap(title: str, description: str, metric: str, matchers: str, *, width: int = 12) -> Panel:
    """A histogram over time: a column a step, a cell a bucket."""
    return Panel(
        title=title,
        description=description,
        kind="heatmap",
        unit="s",
        queries=(
            Query(
                expr=f"sum by (le) (increase({metric}_bucket{{{matchers}}}[$window]))",
                legend="{{le}}",
                format="heatmap",
            ),
        ),
        width=width,
        options={
            "calculate": False,
            "yAxis": {"unit": "s", "axisPlacement": "left"},
            "color": {"mode": "scheme", "scheme": "Blues", "steps": 64, "exponent": 0.5},
            "cellGap": 1,
            "legend": {"show": True},
            "tooltip": {"mode": "single", "yHistogram": True},
        },
    )


def table(
    title: str,
    description: str,
    unit: str,
    columns: Sequence[tuple[str, Query]],
    *,
    keys: Sequence[str],
    units: Mapping[str, str] | None = None,
    limits: Mapping[str, Sequence[tuple[float, str]]] | None = None,
    bases: Mapping[str, str] | None = None,
    width: int = 24,
    height: int = 8,
) -> Panel:
    """Rows by label ``keys``, a column a query; ``units`` and colours by column."""
    letters = [chr(ord("A") + index) for index in range(len(columns))]
    renamed = {f"Value #{letter}": name for letter, (name, _) in zip(letters, columns, strict=True)}
    overrides: list[dict[str, Any]] = []
    for name, _ in columns:
        properties: list[dict[str, Any]] = [{"id": "unit", "value": (units or {}).get(name, unit)}]
        if limits is not None and name in limits:
            properties.append({"id": "thresholds", "value": steps((bases or {}).get(name, GOOD), *limits[name])})
            properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
        overrides.append({"matcher": {"id": "byName", "options": name}, "properties": properties})
    return Panel(
        title=title,
        description=description,
        kind="table",
        unit=unit,
        queries=tuple(Query(expr=query.expr, instant=True, format="table") for _, query in columns),
        width=width,
        height=height,
        overrides=tuple(overrides),
        options={"showHeader": True, "cellHeight": "sm"},
        transformations=(
            {"id": "merge", "options": {}},
            {
                "id": "organize",
                "options": {
                    "excludeByName": {"Time": True},
                    "indexByName": {name: index for index, name in enumerate((*keys, *renamed))},
                    "renameByName": renamed,
                },
            },
        ),
    )


def shaded(
    title: str,
    description: str,
    unit: str,
    query: Query,
    *,
    row: str,
    column: str,
    limits: Sequence[tuple[float, str]],
    width: int = 24,
    height: int = 10,
) -> Panel:
    """A matrix: a row each value of one label, a column each of another, cells shaded by ``limits``.

    Source: Grafana's transformation `groupingToMatrix` (columnField, rowField, valueField).
    """
    return Panel(
        title=title,
        description=description,
        kind="table",
        unit=unit,
        queries=(Query(expr=query.expr, instant=True, format="table"),),
        width=width,
        height=height,
        defaults={
            "thresholds": steps(GOOD, *limits),
            "color": {"mode": "thresholds"},
            "custom": {"align": "center", "cellOptions": {"type": "color-background", "mode": "basic"}},
            "decimals": 0,
        },
        options={"showHeader": True, "cellHeight": "sm"},
        transformations=(
            {
                "id": "groupingToMatrix",
                "options": {"columnField": column, "rowField": row, "valueField": "Value", "emptyValue": "null"},
            },
        ),
    )


def steps(base: str, *limits: tuple[float, str]) -> dict[str, Any]:
    """Grafana's thresholds: ``base`` until the first limit."""
    listed = [{"value": None, "color": base}, *({"value": value, "color": color} for value, color in limits)]
    return {"mode": "absolute", "steps": listed}


def as_json(dashboard: Dashboard) -> dict[str, Any]:
    """Return the dashboard as Grafana reads it (schema version 39, @grafana/schema's ``Dashboard``)."""
    return {
        "uid": dashboard.uid,
        "title": dashboard.title,
        "description": dashboard.description,
        "tags": ["rtcprobe"],
        "timezone": "browser",
        "editable": True,
        "graphTooltip": 1,
        "schemaVersion": 39,
        "refresh": "1m",
        "time": {"from": "now-6h", "to": "now"},
        "templating": {"list": _variables(single=dashboard.single_probe)},
        "annotations": {"list": []},
        "links": [
            {
                "type": "dashboards",
                "title": "rtcprobe",
                "tags": ["rtcprobe"],
                "asDropdown": False,
                "icon": "external link",
                "includeVars": True,
                "keepTime": True,
                "targetBlank": False,
                "tooltip": "The other questions",
                "url": "",
            }
        ],
        "panels": list(_panels(dashboard.rows)),
    }


def _variables(*, single: bool) -> list[dict[str, Any]]:
    probe: dict[str, Any] = {
        "type": "query",
        "name": "probe",
        "label": "probe",
        "datasource": DATASOURCE,
        "query": 'label_values(rtcprobe_probe_interval_seconds{instance=~"$instance"}, probe)',
        "refresh": 2,
        "sort": 1,
        "multi": not single,
        "includeAll": not single,
    }
    if not single:
        probe |= {"allValue": ".+", "current": {"selected": True, "text": "All", "value": "$__all"}}
    window = {
        "type": "custom",
        "name": "window",
        "label": "window",
        "query": ",".join(WINDOWS),
        "current": {"selected": True, "text": "1h", "value": "1h"},
        "options": [{"selected": each == "1h", "text": each, "value": each} for each in WINDOWS],
        "multi": False,
        "includeAll": False,
    }
    instance = {
        "type": "query",
        "name": "instance",
        "label": "server",
        "datasource": DATASOURCE,
        "query": "label_values(rtcprobe_probe_interval_seconds, instance)",
        "refresh": 2,
        "sort": 1,
        "multi": True,
        "includeAll": True,
        "current": {"selected": True, "text": "All", "value": "$__all"},
    }
    source = {"type": "datasource", "name": "datasource", "label": "Prometheus", "query": "prometheus", "refresh": 1}
    return [source, instance, probe] if single else [source, instance, probe, window]


def _panels(rows: Iterable[tuple[str, tuple[Panel, ...]]]) -> Iterable[dict[str, Any]]:
    serial, y = 0, 0
    for title, panels in rows:
        serial += 1
        yield {
            "id": serial,
            "type": "row",
            "title": title,
            "collapsed": False,
            "panels": [],
            "gridPos": {"x": 0, "y": y, "w": WIDTH, "h": 1},
        }
        y += 1
        x = tallest = 0
        for panel in panels:
            if x + panel.width > WIDTH:
                x, y, tallest = 0, y + tallest, 0
            serial += 1
            yield _panel(panel, serial, x, y)
            x, tallest = x + panel.width, max(tallest, panel.height)
        y += tallest


def _panel(panel: Panel, serial: int, x: int, y: int) -> dict[str, Any]:
    return {
        "id": serial,
        "type": panel.kind,
        "title": panel.title,
        "description": panel.description,
        "datasource": DATASOURCE,
        "gridPos": {"x": x, "y": y, "w": panel.width, "h": panel.height},
        "fieldConfig": {"defaults": {"unit": panel.unit, **panel.defaults}, "overrides": list(panel.overrides)},
        "options": dict(panel.options),
        "transformations": list(panel.transformations),
        "targets": [
            {
                "refId": chr(ord("A") + index),
                "datasource": DATASOURCE,
                "expr": query.expr,
                "legendFormat": query.legend or "__auto",
                "instant": query.instant,
                "range": not query.instant,
                "format": query.format,
            }
            for index, query in enumerate(panel.queries)
        ],
    }
