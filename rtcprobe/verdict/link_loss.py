"""Whether a link that lost more or less than it was asked to did so by chance."""

from __future__ import annotations

from rtcprobe.result import LinkReport
from rtcprobe.verdict.statistics import share_interval

__all__ = ["loss_interval"]


def loss_interval(report: LinkReport) -> tuple[float, float] | None:
    """Return the 95 % interval of the loss that packets met (Wilson's), None where none were offered.

    Packets are lost in bursts, so fewer of them are independent: of a two-state chain with mean burst B and loss p,
    one in 2 B (1 − p) − 1 (ITU-T G.107 §3.5's BurstR is B (1 − p)); B is what was asked for, or met if longer.
    """
    loss, offered = report.achieved.loss, report.achieved.offered
    if loss is None or not offered:
        return None
    bursts = (report.requested.mean_burst, report.achieved.mean_burst, 1.0)
    burst_ratio = max(max(float(each) for each in bursts if each is not None) * (1.0 - loss), 1.0)
    return share_interval(loss, float(offered) / (2.0 * burst_ratio - 1.0))
