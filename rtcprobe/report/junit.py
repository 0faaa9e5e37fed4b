"""JUnit XML, as Jenkins, GitLab and the other viewers read it: a suite each scenario, a case each budget.

Facts:
    The dialect is that of Jenkins' xunit plugin (``junit-10.xsd``): ``testsuites`` > ``testsuite`` > ``testcase`` with
    at most one of ``failure``, ``error``, ``skipped``, and ``system-out``.
    XML 1.0 §2.2 has no way to write most control characters, not even escaped.

Rules:
    1. A miss is a *failure*, what could not be judged an *error*; an advisory miss is *skipped* with its sentence; an
       undecided budget passes and says so in ``system-out``.
    2. Equal results give equal cases; when, where and how fast they were measured is an attribute of their suite.
       Measuring is the case that takes the time; judging takes none.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from xml.etree import ElementTree as ET

from rtcprobe.report.cases import MEASUREMENT, Case, Suite

__all__ = ["junit"]

_UNWRITABLE = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
"""What is no character of XML 1.0 (§2.2)."""


def junit(cases: Iterable[Case], measured: Iterable[Suite] = ()) -> str:
    """Return the JUnit XML of ``cases``; ``measured`` is what is known of their suites."""
    known = {each.name: each for each in measured}
    suites: dict[str, list[Case]] = {}
    for case in cases:
        # In the order in which scenarios first come: viewers keep it.
        suites.setdefault(case.suite, []).append(case)
    root = ET.Element(
        "testsuites", {"name": "rtcprobe"} | _counts([each for found in suites.values() for each in found])
    )
    for name, found in suites.items():
        # Of suites alone: the schema has no such attribute on the root.
        skipped = {"skipped": str(sum(_skipped(each) for each in found))}
        # A scenario that could not even be read was never measured: it has a case and nothing else.
        about = known.get(name, Suite(name=name, time_s=0.0))
        suite = ET.SubElement(root, "testsuite", {"name": _written(name)} | _counts(found) | skipped | _made(about))
        if about.properties:
            held = ET.SubElement(suite, "properties")
            for key, said in about.properties.items():
                ET.SubElement(held, "property", name=_written(key), value=_written(said))
        for each in found:
            _add(suite, each, about.time_s if each.name == MEASUREMENT else 0.0)
    root.set("time", f"{sum(each.time_s for each in known.values()):.3f}")
    ET.indent(root, " ")
    return '<?xml version="1.0" encoding="UTF-8"?>\n' + ET.tostring(root, encoding="unicode") + "\n"


def _made(about: Suite) -> dict[str, str]:
    """Return when, where and how fast: the timestamp without its zone, as JUnit's own schema wants it (UTC)."""
    found = {"time": f"{about.time_s:.3f}", "timestamp": about.began[:19], "hostname": _written(about.host)}
    return {key: said for key, said in found.items() if said}


def _counts(cases: list[Case]) -> dict[str, str]:
    outcomes = [each.outcome for each in cases]
    return {
        "tests": str(len(cases)),
        "failures": str(outcomes.count("failed")),
        "errors": str(outcomes.count("error")),
    }


def _skipped(case: Case) -> bool:
    return case.outcome == "noted" and case.skips


def _add(suite: ET.Element, case: Case, time_s: float) -> None:
    names = {"classname": f"rtcprobe.{_written(case.suite)}", "name": _written(case.name), "time": f"{time_s:.3f}"}
    element = ET.SubElement(suite, "testcase", names)
    message = _written(case.message)
    if case.outcome == "failed":
        # The sentence twice: Jenkins shows the attribute in lists, GitLab and others the text.
        ET.SubElement(element, "failure", type="missed", message=message).text = message
    elif case.outcome == "error":
        ET.SubElement(element, "error", type="inconclusive", message=message).text = message
    elif _skipped(case):
        ET.SubElement(element, "skipped", message=message)
    elif message:
        ET.SubElement(element, "system-out").text = message


def _written(text: str) -> str:
    r"""Return ``text`` with what XML cannot hold written as Python would: ``\x1b``."""
    return _UNWRITABLE.sub(lambda found: ascii(found[0])[1:-1], text)
