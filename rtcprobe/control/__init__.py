"""How fast may a sender send? Congestion control of real senders, pure: feedback in, bits per second out.

The map: ``feedback.py`` is what goes over the wire, ``receiver.py`` who writes it, ``history.py`` who reads it;
``grouping.py``, ``trendline.py``, ``aimd.py`` the delay-based estimate; ``loss.py`` the loss-based; ``throughput.py``
what arrives, ``alr.py`` whether the sender had enough to send, ``reports.py`` what RTCP reports tell, ``protection.py``
how much parity is sent, ``allocation.py`` which stream gets what, ``ccfb.py`` RFC 8888, ``probing.py``, ``window.py``
and ``pacer.py`` the rest.
``GoogCc`` puts them together, ``Remb`` is stock aiortc, ``Fixed`` none.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported

if TYPE_CHECKING:
    from rtcprobe.control.base import Controller, Fixed
    from rtcprobe.control.feedback import (
        EXTENSION_URI,
        Feedback,
        parse_extension,
        parse_feedback,
        write_extension,
    )
    from rtcprobe.control.gcc import START_BPS, GoogCc
    from rtcprobe.control.pacer import Pacer
    from rtcprobe.control.probing import Probe
    from rtcprobe.control.protection import ParityRates, code_rates
    from rtcprobe.control.receiver import Recorder, interval_s
    from rtcprobe.control.remb import Remb, RembEstimator, parse_remb, write_remb
    from rtcprobe.control.reports import LossReports

__all__ = [
    "EXTENSION_URI",
    "START_BPS",
    "Controller",
    "Feedback",
    "Fixed",
    "GoogCc",
    "LossReports",
    "Pacer",
    "ParityRates",
    "Probe",
    "Recorder",
    "Remb",
    "RembEstimator",
    "code_rates",
    "interval_s",
    "parse_extension",
    "parse_feedback",
    "parse_remb",
    "write_extension",
    "write_remb",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "base": ("Controller", "Fixed"),
            "gcc": ("START_BPS", "GoogCc"),
            "pacer": ("Pacer",),
            "probing": ("Probe",),
            "protection": ("ParityRates", "code_rates"),
            "receiver": ("Recorder", "interval_s"),
            "remb": ("Remb", "RembEstimator", "parse_remb", "write_remb"),
            "reports": ("LossReports",),
            "feedback": ("EXTENSION_URI", "Feedback", "parse_extension", "parse_feedback", "write_extension"),
        },
    )
