"""What is said of a page in words: which browser it was, what it complained of, whether the machine spoilt its call."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rtcprobe.call.ends.browser.events import Told
from rtcprobe.call.ends.browser.figures import Passed
from rtcprobe.call.ends.browser.tab import Tab
from rtcprobe.hearing.played import MOST_UNSETTLED, SETTLING_S, disturbances, unsettled_s
from rtcprobe.recording import Said, Sounded

__all__ = ["excuses_of", "report_of", "spoilt"]

_PATCHES: Final = (
    "RTCPeerConnection: ICE servers ours, policy relay; getUserMedia: the microphone is ours, and the camera where the "
    "scenario has one"
)
_PATCHES_OF_FILE: Final = "RTCPeerConnection: ICE servers ours, policy relay; getUserMedia: its track is tapped"
_FILE: Final = (
    "file: the browser's own microphone, with what the page asked of echo cancellation, noise suppression and gain; "
    "what that takes lies before the track, and is not in the delay"
)
_GENERATED: Final = "generator: what the page asked of echo cancellation, noise suppression and gain is passed by"


def report_of(
    tab: Tab, told: Told, figures: Mapping[str, float], passed: Passed | None, *, speaks: bool
) -> dict[str, Any]:
    """Return which browser it was and what was done to it, and what its page says of itself (``figures``)."""
    out = _of_browser(tab, speaks=speaks)
    late_s = told.mouth.late_s
    if late_s:
        out |= {f"mouth_late_p{q}_s": float(np.percentile(late_s, q)) for q in (50, 95, 99)}
    if figures:
        out["getStats"] = dict(figures)
    if passed is not None:
        out["media"] = passed.words
    if tab.socks.refused:
        out["hosts_refused"] = dict(tab.socks.refused)
    return out


def excuses_of(tab: Tab, told: Told, *, speaks: bool) -> str:
    """Return what the page's own faults say about a join that failed, as the end of a sentence."""
    # Two faults at most: pages repeat themselves, and the first is the one that the others follow from.
    found = ([f"at {tab.step}"] if tab.step else []) + tab.faults[:2]
    # Without a clock the page never got as far as its first script: then nothing it did not do is worth telling.
    if told.clock is not None and not told.connections:
        found = [*found, "the page made no connection"]
    elif told.clock is not None and not told.asked and speaks:
        found = [*found, "the page never asked for a microphone"]
    return (f" ({'; '.join(found)})" if found else "") + tab.unreached()


def spoilt(said: Said, sound: Sounded, came_s: tuple[float, float] | None) -> str | None:
    """Return that the browser itself spoilt more than a twentieth of the call, in a sentence; None where not.

    ``came_s`` is when the first and the last packet came.
    """
    since_s = said.started_s
    if since_s is None or came_s is None:
        return None
    # What happened before the first packet came harmed nobody's hearing.
    stalls = [each for each in disturbances(said, sound) if each.at_s >= came_s[0]]
    spoilt_s = unsettled_s(stalls, since_s, came_s[1])
    if spoilt_s <= MOST_UNSETTLED * (came_s[1] - since_s):
        return None
    first = next(each for each in stalls if since_s - SETTLING_S < each.at_s < came_s[1])
    late_ms = f"{first.lasted_s * 1e3:.0f} ms late"
    return f"{first.what} of the {said.party}'s browser was {late_ms} at {first.at_s:.2f} s"


def _of_browser(tab: Tab, *, speaks: bool) -> dict[str, Any]:
    chromium, out = tab.chromium, dict[str, Any]()
    if chromium is not None and chromium.version:
        out |= {"browser": f"Chromium {chromium.version}", "flags": " ".join(chromium.flags)}
        out |= {"priority": chromium.priority, "patches": _PATCHES if tab.plan.generates else _PATCHES_OF_FILE}
    if speaks:
        out["mouth"] = _GENERATED if tab.plan.generates else _FILE
    return out
