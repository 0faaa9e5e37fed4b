"""What a page leaves of its part in a call, as any end does: when it spoke, what left and came, the sound it played."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from rtcprobe.call.ends.browser.events import PageTimeline, Told
from rtcprobe.call.ends.browser.figures import Passed
from rtcprobe.call.ends.browser.filming import PagePictures
from rtcprobe.call.ends.browser.reporting import excuses_of, report_of, spoilt
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.ends.browser.tab import Tab
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.call.transceiver import Sound
from rtcprobe.playout.base import BLOCK_S
from rtcprobe.recording import Came, Said
from rtcprobe.runtime.media_seam import MediaPath
from rtcprobe.runtime.outside import OutsideHost
from rtcprobe.timeline import Side, Wait

__all__ = ["PageRecord"]

_LAST_PACKET_S: Final = 0.04
"""How long after the last word its packet may leave: it is of 20 ms. What leaves later is silence that nobody waits
for, sent while the page is asked for its figures, which holds it up for some 20 ms."""


class PageRecord:
    """What is readable of a page at any moment; who leads it (``end.BrowserEnd``) fills it in."""

    side: Side
    host: OutsideHost
    tab: Tab
    tap: BrowserTap
    timeline: PageTimeline
    told: Told
    returned: Returned
    sights: PagePictures
    speaks: bool
    direct: bool
    """Nothing stands between it and whom it hears."""
    figures: Mapping[str, float]
    """What it says of its own playout, once it was asked."""
    passed: Passed | None
    """Whether all media passed our link, once the call is over."""
    sections: Sequence[Any] = ()
    pictures: Sequence[Any] = ()

    @property
    def host_name(self) -> str:
        """The machine it is on."""
        return self.host.name

    @property
    def started_s(self) -> float | None:
        """When its first sample was spoken; None before."""
        return self.told.mouth.began_s

    @property
    def said_all(self) -> bool:
        """Whether it has said all it has."""
        return self.told.mouth.ended_s is not None

    @property
    def came_s(self) -> tuple[float, float] | None:
        """When the first and the last packet of sound came; None before the first."""
        arrivals = self.tap.arrivals
        return (arrivals[0][0], arrivals[-1][0]) if len(arrivals) else None

    def said(self) -> Said:
        """Return what was said so far."""
        mouth = self.told.mouth
        since_s = mouth.began_s or 0.0
        until_s = math.inf if mouth.ended_s is None else mouth.ended_s + _LAST_PACKET_S
        return Said(
            party=self.side,
            frames=(),
            ptime_s=BLOCK_S,
            started_s=mouth.began_s,
            finished=self.said_all,
            # The page's sender never pauses (a generator's track gives silence):
            # packets beyond the speech belong to no frame of it.
            departures=[each for each in self.tap.spoken() if since_s <= each.at_s <= until_s],
            # A microphone of the browser's own speaks from when it was opened: what was
            # said before the talk began is asked of nobody.
            gaps_s=() if mouth.since_s is None else ((-math.inf, mouth.since_s),),
            lasts_s=mouth.lasts_s,
            late_s=mouth.late_s,
            late_from_s=mouth.late_from_s,
        )

    def came(self, *, forwarded: bool, there_and_back: bool, section: Sound | None = None) -> Came:
        """Return what came so far: packets by their headers, and the sound the page played."""
        del section  # of a page's sections none is ours to choose from
        sound, *beside = self.returned.sounds(self.told.shift_s, self.figures)
        return Came(
            listener=self.side,
            arrivals=self.tap.arrivals,
            agreed=None,
            begun_s=self.timeline.begun_s,
            forwarded=forwarded and not self.direct,
            there_and_back=there_and_back,
            sound=sound,
            beside=beside,
            away_s=self.tap.echoed_s() if there_and_back else (),
        )

    def disturbed(self) -> str | None:
        """Return that the browser itself spoilt more than a twentieth of the call, in a sentence; None where not."""
        sound = self.returned.sounds(self.told.shift_s, {})[0]
        return spoilt(self.said(), sound, self.came_s)

    def path(self) -> MediaPath:
        """Return nothing: what was agreed on is the page's matter."""
        return MediaPath()

    def line_waits(self) -> list[Wait]:
        """Return what the link's TCP sent again for its signalling."""
        return self.tab.socks.line.waits()

    def report(self) -> dict[str, Any]:
        """Return which browser it was and what was done to it, and what it says of itself."""
        return report_of(self.tab, self.told, self.figures, self.passed, speaks=self.speaks)

    def excuses(self) -> str:
        """Return what the page's own faults say about a join that failed, as the end of a sentence."""
        return excuses_of(self.tab, self.told, speaks=self.speaks)
