"""NetEQ: the receiver inside Chrome and nearly every mobile SDK, in our own words.

Facts:
    NetEQ decides most of the mouth-to-ear delay a vendor can influence. It has no prefetch: the first packet plays at
    once, then audio is stretched and shortened until what waits covers how late packets come. The rules are those of
    libwebrtc ``branch-heads/7871`` (M150), ``modules/audio_coding/neteq``; ``benchmarks/neteq_truth.py`` holds them
    against recordings of a real one.

Read in this order:
    ``history`` (how late is a packet), ``delay`` (how long to wait), ``buffer`` and ``red`` (what waits), ``intake``
    (how it gets there), ``decision`` (what a tick does), ``sync``, ``stretch``, ``expand``, ``merge``, ``noise`` (what
    that sounds like; their tools in ``dsp``), ``sound`` (doing it), ``stats`` (counting it), ``core`` (all together),
    ``foresight`` and ``leap`` (many ticks at once, where all packets are known), ``glide`` (where they are not).
"""

from rtcprobe.playout.neteq.core import WORDS, NetEq, NetEqTrace
from rtcprobe.playout.neteq.stats import NetEqStats

__all__ = ["WORDS", "NetEq", "NetEqStats", "NetEqTrace"]
