"""The page of a recording heard: for each stream a sentence, its figures, and the call second by second."""

from __future__ import annotations

import numpy as np
from markupsafe import Markup

from rtcprobe.capture import Heard, HeardStream, SeenStream
from rtcprobe.report.heard import beside_caption, beside_rows, budget_value, found, rows_of, seen_rows, seen_sentence
from rtcprobe.report.html.charts import Heard as Panel
from rtcprobe.report.html.charts import over_time
from rtcprobe.report.html.page import environment
from rtcprobe.report.html.tables import Table

__all__ = ["heard_page"]

_SOUND = (
    "Dots: mean delay in the jitter buffer, second by second; steps: what it aimed at; crosses: seconds with more than "
    "5 % of their sound made up."
)
_PICTURES = (
    "Dots: mean wait of a picture from its first packet to its decoding, second by second; crosses: seconds in which "
    "the picture stood."
)
_PLAINLY_MADE_UP = 0.05
"""A second with more of its sound made up than this is marked in the picture."""


def heard_page(several: list[Heard], *, title: str | None = None) -> str:
    """Return the page of one or more recordings that were heard."""
    files = []
    for number, heard in enumerate(several):
        streams = [
            {
                "name": f"SSRC {each.stream.ssrc}",
                "ends": f"{each.stream.source} → {each.stream.destination}"
                if each.stream.destination
                else each.stream.source,
                "sentence": found(each, heard.capture.kind),
                "table": Table(
                    caption="Figures, with what they may have been",
                    columns=("", "heard"),
                    rows=tuple(rows_of(each)),
                    words=True,
                ),
                "beside": [
                    Table(
                        caption=beside_caption(beside),
                        columns=("", "the browser", "ours"),
                        rows=tuple(beside_rows(beside)),
                        words=True,
                    )
                    for beside in each.beside
                ],
                "plots": _plots(each, f"f{number}s{place}"),
                "warnings": each.warnings,
                "assumptions": each.rating.assumptions,
                "caption": _SOUND,
            }
            for place, each in enumerate(heard.streams)
        ]
        streams += [_seen(each, heard.capture.kind, f"f{number}v{place}") for place, each in enumerate(heard.videos)]
        budgets = [(kept.verdict, kept.expression, budget_value(kept)) for kept in heard.kept]
        files.append(
            {
                "name": heard.name,
                "kind": heard.capture.kind,
                "streams": streams,
                "budgets": budgets,
                "warnings": heard.warnings,
            }
        )
    # Three in the tab's title, as it is cut there anyway.
    names = ", ".join(each.name for each in several[:3])
    return environment().get_template("heard.html.j2").render(title=title or f"{names} · rtcprobe hear", files=files)


def _seen(each: SeenStream, kind: str, name: str) -> dict[str, object]:
    """Return what the page says of a video stream."""
    ends = f"{each.stream.source} → {each.stream.destination}" if each.stream.destination else each.stream.source
    series = each.middle.series
    # A second without a picture at all has no share of it frozen: no cross.
    frozen = np.array([value or 0.0 for value in series["frozen"]], dtype=np.float64)
    waited = np.array([np.nan if value is None else value for value in series["jitter_buffer_ms"]], dtype=np.float64)
    # A second's figure stands in its middle.
    at_s = np.arange(len(frozen), dtype=np.float64) + 0.5
    # Seconds in which no picture was decoded have no wait: neither zero nor as long as before.
    known = np.isfinite(waited)
    plots = []
    if known.any():
        panel = Panel(
            title="jitter buffer",
            spoken_s=at_s[known],
            delay_ms=waited[known],
            lost_s=at_s[frozen > 0.0],
            rejected_s=np.zeros(0),
            target_since_s=np.zeros(0),
            target_ms=np.zeros(0),
        )
        label = (
            f"Wait of pictures second by second, {np.nanmin(waited):.0f} to {np.nanmax(waited):.0f} ms; crosses mark "
            f"the {int(np.count_nonzero(frozen))} seconds in which the picture stood."
        )
        plots = [over_time([panel], name=f"{name}{width}", width=width, label=label) for width in ("wide", "narrow")]
    return {
        "name": f"SSRC {each.stream.ssrc}, video",
        "ends": ends,
        "sentence": seen_sentence(each, kind),
        "table": Table(
            caption="Figures, with what they may have been",
            columns=("", "seen"),
            rows=tuple(seen_rows(each)),
            words=True,
        ),
        "plots": plots,
        "warnings": each.warnings,
        # R is of sound: of pictures nothing is assumed.
        "assumptions": (),
        "beside": [],
        "caption": _PICTURES,
    }


def _plots(each: HeardStream, name: str) -> list[Markup]:
    seconds = each.to_dict()["series"]
    delay = np.array([np.nan if value is None else value for value in seconds["jitter_buffer_ms"]], dtype=np.float64)
    target = np.array([np.nan if value is None else value for value in seconds["target_ms"]], dtype=np.float64)
    concealed = np.array([value or 0.0 for value in seconds["concealed"]])
    at_s = np.arange(len(delay), dtype=np.float64) + 0.5
    heard, aimed = np.isfinite(delay), np.isfinite(target)
    if not heard.any():
        return []
    panel = Panel(
        title="jitter buffer",
        spoken_s=at_s[heard],
        delay_ms=delay[heard],
        lost_s=at_s[concealed > _PLAINLY_MADE_UP],
        rejected_s=np.zeros(0),
        # A step holds from the beginning of its second.
        target_since_s=at_s[aimed] - 0.5,
        target_ms=target[aimed],
    )
    made_up = int(np.count_nonzero(concealed > _PLAINLY_MADE_UP))
    label = (
        f"Jitter buffer delay second by second, {np.nanmin(delay):.0f} to {np.nanmax(delay):.0f} ms, its target as "
        f"steps; crosses mark the {made_up} seconds with more than 5 % of their sound made up."
    )
    return [over_time([panel], name=f"{name}{width}", width=width, label=label) for width in ("wide", "narrow")]
