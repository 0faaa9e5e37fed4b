"""A sender that adapts, in virtual time: a model of one over an emulated link, and the figures that it is judged by.

The map: ``encoder.py`` is what a camera's encoder makes of a rate, ``sender.py`` what the sender makes of its frames,
``receiver.py`` who asks again and shows them, ``model.py`` the call of both over ``rtcprobe.link``, ``meeting.py``
several calls over one line, ``figures.py`` what came of it, ``cases.py`` lines that shrink.
"""

from typing import TYPE_CHECKING

from rtcprobe.lazily import exported

if TYPE_CHECKING:
    from rtcprobe.adaptation.cases import Case, case_names, case_of_link, find_case
    from rtcprobe.adaptation.figures import FIGURES, capacity_of, fall_of, figures_of
    from rtcprobe.adaptation.meeting import Flow, fairness, jain, least_share, meet, together
    from rtcprobe.adaptation.model import Call, Course, Settings, controller_of

__all__ = [
    "FIGURES",
    "Call",
    "Case",
    "Course",
    "Flow",
    "Settings",
    "capacity_of",
    "case_names",
    "case_of_link",
    "controller_of",
    "fairness",
    "fall_of",
    "figures_of",
    "find_case",
    "jain",
    "least_share",
    "meet",
    "together",
]

if not TYPE_CHECKING:
    __getattr__ = exported(
        __name__,
        {
            "cases": ("Case", "case_names", "case_of_link", "find_case"),
            "figures": ("FIGURES", "capacity_of", "fall_of", "figures_of"),
            "meeting": ("Flow", "fairness", "jain", "least_share", "meet", "together"),
            "model": ("Call", "Course", "Settings", "controller_of"),
        },
    )
