"""libwebrtc's sender-side congestion control, put together: transport-wide feedback in, a target out.

Order within a report: RTT, application-limited, acknowledged rate, probe results, delay-based, loss-based, target,
probes, congestion window. One update a report.

Source: libwebrtc main f3ae3eb62e2a (2026-08-21), ``modules/congestion_controller/goog_cc/goog_cc_network_control.cc``,
``delay_based_bwe.cc``, ``send_side_bandwidth_estimation.cc``; field trials at their defaults.
"""

from __future__ import annotations

import math
from typing import Final

from rtcprobe.control.aimd import LEAST_BPS, Aimd
from rtcprobe.control.alr import Alr
from rtcprobe.control.base import FeedbackKind
from rtcprobe.control.feedback import Feedback
from rtcprobe.control.grouping import Grouping
from rtcprobe.control.history import History, Report
from rtcprobe.control.loss import LossBased
from rtcprobe.control.probing import Growth, Probe, ProbeResults, Probing
from rtcprobe.control.reports import LossReports
from rtcprobe.control.throughput import Throughput
from rtcprobe.control.trendline import Signal, Trendline
from rtcprobe.control.window import Pushback, RttBackOff
from rtcprobe.errors import BadInputError
from rtcprobe.units import format_rate

__all__ = ["START_BPS", "DelayBased", "GoogCc"]

START_BPS: Final = 300e3
"""Source: libwebrtc ``api/transport/bitrate_settings.h``."""

# kStartPhase: the first 2 s; reports that stay away for 2 s begin a new detector, for its delays hang together no more.
_START_S: Final = 2.0
_SILENCE_S: Final = 2.0
# The pacer's factor, and the larger one while no feedback has set a congestion window.
_PACE: Final = 1.1
_PACE_BEFORE_FEEDBACK: Final = 2.5
# kProbeDropThroughputFraction.
_PROBE_FLOOR: Final = 0.85


class DelayBased:
    """The delay-based estimate: grouping, trendline and AIMD, fed by reports."""

    def __init__(self, start_bps: float) -> None:
        self.aimd = Aimd(start_bps)
        self.trendline = Trendline()
        self.recovered = False
        self._grouping = Grouping()
        self._told_s: float | None = None
        self._known = False

    @property
    def silent(self) -> bool:
        """Whether no report came yet."""
        return self._told_s is None

    def update(self, report: Report, acked_bps: float | None, probe_bps: float | None) -> float | None:
        """Return the estimate if the report moved it; ``recovered`` says whether an underuse ended in it."""
        now_s = report.at_s
        if self._told_s is not None and now_s - self._told_s > _SILENCE_S:
            self._grouping, self.trendline = Grouping(), Trendline()
        self._told_s = now_s
        self.recovered = False
        before: Signal = self.trendline.signal
        for packet in report.received:
            deltas = self._grouping.add(packet.sent_s, packet.arrival_s, packet.size_bytes, now_s)
            if deltas is not None:
                self.trendline.add(1e3 * deltas.arrival_s, 1e3 * deltas.send_s, 1e3 * packet.arrival_s)
            signal = self.trendline.signal
            if before == "underuse" and signal == "normal":
                self.recovered = True
            before = signal
        # An overuse outweighs a probe of the same report: the queue grows now.
        if before == "overuse":
            if acked_bps is not None:
                return self.aimd.update(before, acked_bps, now_s) if self.aimd.may_reduce(now_s, acked_bps) else None
            # Nothing is acknowledged yet: by half, once an RTT.
            if self.aimd.may_reduce(now_s, self.aimd.rate_bps / 2 - 1):
                self.aimd.set_rate(self.aimd.rate_bps / 2, now_s)
                return self.aimd.rate_bps
            return None
        if probe_bps is not None:
            self.aimd.set_rate(probe_bps, now_s)
            return self.aimd.rate_bps
        return self.aimd.update(before, acked_bps, now_s)


class GoogCc:
    """The whole controller.

    ``max_bps`` limits the estimate (None: nothing does). ``alr_probes``: probe an application-limited sender each 5 s,
    as screen shares, and transports whose last configured stream is audio, are. Starting later than 0 s is fine.
    """

    feedback_kind: FeedbackKind = "transport-cc"

    def __init__(
        self,
        *,
        start_bps: float = START_BPS,
        max_bps: float | None = None,
        min_bps: float = 0.0,
        alr_probes: bool = False,
    ) -> None:
        if not LEAST_BPS <= start_bps <= (max_bps or math.inf):
            raise BadInputError(f"start {format_rate(start_bps)} is impossible", "give 5kbit up to the maximum")
        self.target_bps = start_bps
        self.encoder_share = 1.0
        self.pacing_bps = _PACE_BEFORE_FEEDBACK * start_bps
        self.padding_bps = 0.0
        self.state = "starting"
        self.history = History()
        self.delay = DelayBased(start_bps)
        self.loss = LossBased(start_bps, max_bps or math.inf)
        self.alr = Alr(start_bps)
        self.throughput = Throughput()
        self.probing = Probing(start_bps, max_bps, in_alr_every_5s=alr_probes)
        self.pushback = Pushback()
        self.back_off = RttBackOff()
        self.reports = LossReports()
        self._least_bps, self._most_bps = max(min_bps, LEAST_BPS), max_bps or math.inf
        # Nothing limits until something was told: the target starts at ``start_bps``, not at what no report
        # has measured.
        self._delay_bps = math.inf
        self._remb_bps = math.inf
        self._rtt_s = 0.0
        self._begun_s: float | None = None
        self._sent_probes: dict[int, Probe] = {}
        self._results = ProbeResults()

    def sent(self, sequence: int, size_bytes: int, now_s: float, cluster: int | None = None) -> None:
        """Take down a packet that left with the extension."""
        if self._begun_s is None:
            self._begun_s = now_s
            self.probing.network_up(now_s)
        self.history.sent(sequence, size_bytes, now_s, cluster)
        self.alr.sent(size_bytes, now_s)
        # Each packet under way fills the window: the encoder's share follows without waiting for a report.
        if self.pushback.size_bytes:
            self._push_back()

    def told(self, feedback: Feedback, now_s: float) -> None:
        """Take in one message; one that says nothing new changes nothing."""
        report = self.history.read(feedback, now_s)
        if report is None:
            return
        longest_rtt_s = self._rtts(report)
        self.throughput.add(report.received)
        acked_bps = self.throughput.bps()
        in_alr = self.alr.since_s is not None
        probe_bps = self._probed(report, acked_bps)
        delay_bps = self.delay.update(report, acked_bps, probe_bps)
        if delay_bps is not None:
            # A probe is a measurement: it is adopted at once, not grown to.
            if probe_bps is not None and self.delay.trendline.signal != "overuse":
                self._adopt(delay_bps, now_s)
            self._delay_bps = delay_bps
        # The loss-based estimate begins from where the start has come to, not from 300 kb/s.
        if not self.loss.ready and self._in_start(now_s):
            self.loss.set_start(max(self.target_bps, min(self._delay_bps, self._most_bps)))
        self.loss.update(report.packets, self._delay_bps, acked_bps, in_alr=in_alr)
        self._estimate(now_s)
        if self.delay.recovered:
            self.probing.recovered(now_s, self.alr.since_s, self.alr.ended_s)
        if longest_rtt_s is not None:
            self.pushback.told(longest_rtt_s, self.target_bps)

    def told_remb(self, rate_bps: float, now_s: float) -> None:
        """Take in a receiver's limit; it caps the target."""
        self._remb_bps = rate_bps if rate_bps > 0 else math.inf
        self._adopt(self.target_bps, now_s)

    def told_loss(self, lost: int, expected: int, now_s: float) -> None:
        """Take in what RTCP receiver reports add: packets lost, of so many expected."""
        if self.reports.told(lost, expected, now_s):
            self._estimate(now_s)

    def set_rtt(self, rtt_s: float) -> None:
        """Take in the RTT of RTCP reports."""
        # A report whose last-SR field is another's, or whose clock jumped, gives hours: nothing that a call
        # would survive.
        if 0 <= rtt_s < 60:
            self.delay.aimd.rtt_s = self._rtt_s = rtt_s

    def set_total(self, total_bps: float, now_s: float) -> None:
        """Adopt what the streams may use together: probes go to twice that at most."""
        self.probing.set_total(total_bps, now_s)

    def process(self, now_s: float) -> None:
        """Do what time alone brings; due every 25 ms."""
        self._estimate(now_s)
        self.probing.process(now_s, self.alr.since_s)

    def probes(self) -> list[Probe]:
        """Return the probes to send, each once."""
        wanted = self.probing.take()
        self._sent_probes.update((probe.number, probe) for probe in wanted)
        return wanted

    def _rtts(self, report: Report) -> float | None:
        """Take in the RTTs of a report; return the longest."""
        if not report.received:
            return None
        newest_s = report.received[-1].arrival_s
        # Two RTTs of a report: from each packet's leaving to the report's coming (the longest sets the
        # window), and without the time that a packet waited at the receiver for the report (the least is what
        # the path itself takes).
        longest_s, propagation_s = 0.0, math.inf
        for packet in report.received:
            rtt_s = report.at_s - packet.sent_s
            longest_s = max(longest_s, rtt_s)
            propagation_s = min(propagation_s, rtt_s - (newest_s - packet.arrival_s))
        self.back_off.told(propagation_s, report.at_s)
        return longest_s

    def _probed(self, report: Report, acked_bps: float | None) -> float | None:
        probe_bps = None
        for packet in report.received:
            if packet.cluster is not None and packet.cluster in self._sent_probes:
                result = self._results.add(packet, self._sent_probes[packet.cluster])
                probe_bps = probe_bps if result is None else result
        if probe_bps is not None and acked_bps is not None:
            # A probe may fail for reasons of its own: it lowers no further than a little below what arrives.
            probe_bps = max(probe_bps, min(self.delay.aimd.rate_bps, _PROBE_FLOOR * acked_bps))
        return probe_bps

    def _in_start(self, now_s: float) -> bool:
        """Whether 2 s have not passed since the first receiver report, or since the first packet where none comes."""
        begun_s = self._begun_s if self.reports.first_s is None else self.reports.first_s
        return begun_s is None or now_s - begun_s < _START_S

    def _estimate(self, now_s: float) -> None:
        """Decide the target from what is known."""
        if self.back_off.exceeded(self.history.last_sent_s):
            self._adopt(self.back_off.lowered(self.target_bps, now_s), now_s, "no feedback")
        # While nothing is lost in the first 2 s the delay alone decides: so a call is fast at once.
        elif self._in_start(now_s) and not self.loss.average and not self.reports.fraction:
            delay_bps = self._delay_bps if self._delay_bps < math.inf else 0.0
            self._adopt(max(self.target_bps, delay_bps), now_s)
        elif self.loss.ready:
            self._adopt(self.loss.target_bps, now_s)
        else:
            self.reports.seen(self.target_bps, now_s)
            self._adopt(self.reports.decided(self.target_bps, self._rtt_s, now_s), now_s)

    def _adopt(self, rate_bps: float, now_s: float, why: str | None = None) -> None:
        limits = {"delay": self._delay_bps, "receiver": self._remb_bps, "maximum": self._most_bps}
        limit = min(limits, key=limits.__getitem__)
        # Only a word for people: which of the limits the rate stands against; ``state`` is read by no rule.
        by = limit if rate_bps >= limits[limit] or self.loss.state == "delay" else "loss"
        if self.delay.silent:
            by = "starting" if self._in_start(now_s) else "no feedback"
        self.state = why or by
        before_bps = self.target_bps
        self.target_bps = max(min(rate_bps, limits[limit]), self._least_bps)
        told = self.pushback.size_bytes is not None
        self.pacing_bps = (_PACE if told else _PACE_BEFORE_FEEDBACK) * self.target_bps
        # While loss lets the rate grow again, padding shows whether there is room; else nobody would find out.
        self.padding_bps = self.target_bps if self.loss.state == "increasing" else 0.0
        self._push_back()
        if self.target_bps != before_bps:
            self.alr.set_estimate(self.target_bps)
        self.probing.set_estimate(self.target_bps, self._growth(why), now_s)

    def _growth(self, why: str | None) -> Growth:
        if why is not None or self.delay.trendline.signal != "normal" or self.loss.state == "decreasing":
            return "none"
        if self.loss.state == "increasing":
            # Padding asks the same question as a probe would: one of them at a time.
            return "none" if self.padding_bps else "slow"
        return "free"

    def _push_back(self) -> None:
        allowed_bps = self.pushback.allowed_bps(self.target_bps, self.history.in_flight_bytes)
        self.encoder_share = min(1.0, allowed_bps / self.target_bps)
