"""What dashboards ask Prometheus, in few words: what counters gained, means and quantiles, what was kept and missed."""

from __future__ import annotations

from panels import Query

SERVER = 'instance=~"$instance"'
PROBE = f'{SERVER}, probe=~"$probe"'
ONE = f'{SERVER}, probe="$probe"'


def increase(metric: str, more: str = "", matchers: str = PROBE) -> str:
    """What a counter gained within the window."""
    inside = ", ".join(each for each in (matchers, more) if each)
    return f"increase({metric}{{{inside}}}[$window])"


def mean(metric: str, by: str, more: str = "", matchers: str = PROBE) -> str:
    """The mean of a histogram's observations within the window."""
    over = f"sum by ({by}) ({increase(f'{metric}_sum', more, matchers)})"
    return f"{over} / sum by ({by}) ({increase(f'{metric}_count', more, matchers)})"


def quantile(q: float, metric: str, by: str, more: str = "", matchers: str = PROBE) -> str:
    """A quantile of a histogram within the window: right to within the bucket it falls into."""
    return f"histogram_quantile({q}, sum by (le, {by}) ({increase(f'{metric}_bucket', more, matchers)}))"


def kept(slo: str, by: str) -> str:
    """The share of events that kept the limit of an objective."""
    good = increase("rtcprobe_slo_events_total", f'slo="{slo}", outcome="good"')
    total = increase("rtcprobe_slo_events_total", f'slo="{slo}"')
    return f"sum by ({by}) ({good}) / sum by ({by}) ({total})"


def left(slo: str, by: str) -> str:
    """The share of the error budget that is left: 1 nothing used, 0 all of it, below 0 more than all."""
    allowed = f'(1 - max by ({by}) (rtcprobe_slo_objective_ratio{{{PROBE}, slo="{slo}"}}))'
    return f"1 - (1 - {kept(slo, by)}) / {allowed}"


WAY = 'direction!="round_trip"'  # there and back is no way between two people


def beyond_connect(by: str) -> str:
    """The share of the joins tried that took longer than 600 ms, or were never heard: exact, a bucket ends there."""
    within = increase("rtcprobe_join_seconds_bucket", 'le="0.6"')
    return f"1 - sum by ({by}) ({within}) / sum by ({by}) ({increase('rtcprobe_join_attempts_total')})"


def beyond_ear(by: str) -> str:
    """The share of the markers heard that came later than 100 ms: exact, a bucket ends there."""
    within = increase("rtcprobe_mouth_to_ear_seconds_bucket", f'{WAY}, le="0.1"')
    return f"1 - sum by ({by}) ({within}) / sum by ({by}) ({increase('rtcprobe_mouth_to_ear_seconds_count', WAY)})"


UNHEARD, INVALID = 'fate!="heard"', 'verdict="invalid"'
ROUTE = "probe, target, caller_region, callee_region"
ROUTE_NAME = "{{probe}}"


def q(expr: str, legend: str = "") -> Query:
    """A query over time."""
    return Query(expr=expr, legend=legend)


def now(expr: str, legend: str = "") -> Query:
    """A query as of now."""
    return Query(expr=expr, legend=legend, instant=True)
