"""What a network does to packets: pure, seeded, one direction at a time.

The map: ``parse_link`` reads written links into a ``LinkSpec``; a ``Link`` is one hop, a ``Path`` several in a row;
both ``offer`` a packet and answer its ``Fate`` at once. ``Tally`` counts fates into ``Achieved``, to stand beside
``Requested``. ``backbone`` and ``ACCESS`` are the catalogue: regions of the world, and how people reach them.

Models: ``delay.py``, ``loss.py``, ``slot.py``, ``bottleneck.py`` (queue and line) with ``bucket.py``, ``aqm.py`` and
``cross.py`` (who else is in the queue). ``hop.py`` puts them in order.
"""

from rtcprobe.link.access import ACCESS, Access
from rtcprobe.link.aqm import Aqm, CoDel, EcnRamp, Pi2
from rtcprobe.link.border import BORDER, MAINLAND, USUAL_BORDER, Border, border_warnings, entering, enters_mainland
from rtcprobe.link.cross import CrossTraffic, Pulses, RandomWalk, Tcp, Web
from rtcprobe.link.delay import Delay, DelayTrace
from rtcprobe.link.flows import Crossed
from rtcprobe.link.hop import HEADER_BYTES, Fate, Link, Path
from rtcprobe.link.keys import LINK_KEYS
from rtcprobe.link.loss import Bernoulli, BurstLoss, FourState, GilbertElliott, Loss, LossTrace
from rtcprobe.link.parse import parse_link
from rtcprobe.link.regions import REGIONS, Backbone, Region, backbone, distance_km, light_bound_s
from rtcprobe.link.requested import Requested
from rtcprobe.link.slot import Slot
from rtcprobe.link.spec import CapacityTrace, Change, Interval, Limit, LinkSpec, Police, Rate, Reorder
from rtcprobe.link.tally import Achieved, Tally, achieved
from rtcprobe.link.unreached import unreached

__all__ = [
    "ACCESS",
    "BORDER",
    "HEADER_BYTES",
    "LINK_KEYS",
    "MAINLAND",
    "REGIONS",
    "USUAL_BORDER",
    "Access",
    "Achieved",
    "Aqm",
    "Backbone",
    "Bernoulli",
    "Border",
    "BurstLoss",
    "CapacityTrace",
    "Change",
    "CoDel",
    "CrossTraffic",
    "Crossed",
    "Delay",
    "DelayTrace",
    "EcnRamp",
    "Fate",
    "FourState",
    "GilbertElliott",
    "Interval",
    "Limit",
    "Link",
    "LinkSpec",
    "Loss",
    "LossTrace",
    "Path",
    "Pi2",
    "Police",
    "Pulses",
    "RandomWalk",
    "Rate",
    "Region",
    "Reorder",
    "Requested",
    "Slot",
    "Tally",
    "Tcp",
    "Web",
    "achieved",
    "backbone",
    "border_warnings",
    "distance_km",
    "entering",
    "enters_mainland",
    "light_bound_s",
    "parse_link",
    "unreached",
]
