"""A sender that adapts, in virtual time: a model of one over an emulated link, and the figures that it is judged by.

The map: ``encoder.py`` is what a camera's encoder makes of a rate, ``degrading.py`` what of its picture falls first,
``sender.py`` what the sender makes of its frames, ``own.py`` what it tells beside them, ``receiver.py`` who asks again
and shows them, ``far.py`` when that tells what, ``model.py`` the call of both over ``rtcprobe.link``, ``course.py`` its
rows, ``meeting.py`` several calls over one line, ``figures.py`` what came of it, ``settling.py`` how it came about,
``cases.py`` lines that shrink.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported

if TYPE_CHECKING:
    from rtcprobe.adaptation.cases import Case, case_names, case_of_link, find_case
    from rtcprobe.adaptation.course import Course, delays_by_second
    from rtcprobe.adaptation.figures import FIGURES, capacity_of, fall_of, figures_of, settled_of
    from rtcprobe.adaptation.meeting import Flow, fairness, jain, least_share, meet, together
    from rtcprobe.adaptation.model import Call, Settings, controller_of
    from rtcprobe.adaptation.settling import Settled, settled, swings, utilisation

__all__ = [
    "FIGURES",
    "Call",
    "Case",
    "Course",
    "Flow",
    "Settings",
    "Settled",
    "capacity_of",
    "case_names",
    "case_of_link",
    "controller_of",
    "delays_by_second",
    "fairness",
    "fall_of",
    "figures_of",
    "find_case",
    "jain",
    "least_share",
    "meet",
    "settled",
    "settled_of",
    "swings",
    "together",
    "utilisation",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "cases": ("Case", "case_names", "case_of_link", "find_case"),
            "course": ("Course", "delays_by_second"),
            "figures": ("FIGURES", "capacity_of", "fall_of", "figures_of", "settled_of"),
            "meeting": ("Flow", "fairness", "jain", "least_share", "meet", "together"),
            "model": ("Call", "Settings", "controller_of"),
            "settling": ("Settled", "settled", "swings", "utilisation"),
        },
    )
