"""A matplotlib figure as a piece of a page: SVG with the page's own colours, fonts and a text alternative.

Facts:
    Matplotlib writes colours as they were drawn. A figure is drawn in a few colours that mean a part (``INK``,
    ``ACCENT``, ...); each becomes a CSS variable here, so one picture serves light, dark and paper.

Rules:
    1. Text stays text: selectable, in the page's font, escaped by the XML writer. Dollar signs are not mathematics.
    2. Only what is referred to keeps an id, and ids carry the figure's name: many figures share one page.
    3. Equal figures give equal bytes.
"""

from __future__ import annotations

import io
import re
import threading
import warnings
import xml.etree.ElementTree as ET
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import matplotlib as mpl
from markupsafe import Markup
from matplotlib.figure import Figure

__all__ = ["ACCENT", "BAD", "INK", "LINE", "PAPER", "SOFT", "WARN", "drawing", "inline"]

# Seven colours that nobody would draw with, each one above the last: they are marks for ``_VARIABLES``, never seen.
INK: Final = "#010203"
SOFT: Final = "#010204"
LINE: Final = "#010205"
ACCENT: Final = "#010206"
BAD: Final = "#010207"
WARN: Final = "#010208"
PAPER: Final = "#010209"

_VARIABLES: Final = {
    INK: "var(--ink)",
    SOFT: "var(--soft)",
    LINE: "var(--line)",
    ACCENT: "var(--accent)",
    BAD: "var(--bad)",
    WARN: "var(--warn)",
    PAPER: "var(--paper)",
}
_SVG: Final = "{http://www.w3.org/2000/svg}"
_HREF: Final = "{http://www.w3.org/1999/xlink}href"
# What matplotlib writes and a page must not: colours that no theme can change, fonts that nobody has, decimals beyond a
# hundredth of a pixel, ids that two drawings of a page would share, turns by nothing.
_COLOUR: Final = re.compile("|".join(_VARIABLES))
# font       = "font-family:" *( any but ";" ) [ ";" ]       of a style attribute, to be left out
_FONT: Final = re.compile(r"font-family:[^;]*;?\s*")
# decimal    = [ "-" ] 1*DIGIT "." 1*DIGIT                   of paths and transforms, to be rounded
_LONG_DECIMAL: Final = re.compile(r"-?\d+\.\d+")
# reference  = "#" name                                      of url(#name) and of xlink:href
_REFERENCE: Final = re.compile(r"#(\w+)")
# no-turn    = "rotate(" [ "-" ] "0" [ "." 1*"0" ] SP … ")"  of a transform, to be left out
_NO_TURN: Final = re.compile(r"rotate\(-?0(\.0+)? [^)]*\)")
# What is no character of XML 1.0 (§2.2).
_NOT_XML: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ud800-\udfff\ufffe\uffff]")
# serve's workers are processes, but a library's user may report from threads.
_settings_are_shared = threading.Lock()


@contextmanager
def drawing(name: str) -> Iterator[None]:
    """Draw with matplotlib's own defaults and rule 1, whatever a user's ``matplotlibrc`` says; ``name`` as ``inline``.

    Matplotlib's settings belong to the process: while they are ours, no other thread may draw.
    """
    with _settings_are_shared, mpl.rc_context():
        # Before ours: a user's matplotlibrc may set anything, LaTeX too.
        mpl.rcdefaults()
        # Rule 1: letters, not outlines.
        mpl.rcParams["svg.fonttype"] = "none"
        # Rule 3: ids of clip paths come from a hash, salted by a random UUID otherwise.
        mpl.rcParams["svg.hashsalt"] = name
        # "$" in a scenario's name is a dollar.
        mpl.rcParams["text.parse_math"] = False
        # Points are as few as can be seen already (``reduce``); simplifying would move extremes.
        mpl.rcParams["path.simplify"] = False
        yield


def inline(figure: Figure, *, name: str, label: str, classes: str = "chart") -> Markup:
    """Return ``figure``, made and finished within ``drawing``, as an ``<svg role="img">`` to put into a page.

    Args:
        figure: drawn at 72 dots an inch, so that a point is a CSS pixel.
        name: unique in the page, a word; ids begin with it.
        label: what a listener is told instead of the picture.
        classes: CSS classes of the element.
    """
    text = io.StringIO()
    with warnings.catch_warnings():
        # The browser draws the letters, in a font of its own: that matplotlib's has no Chinese only costs it a width.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        # Without its date and creator: rule 3.
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    root = ET.fromstring(_NOT_XML.sub("\ufffd", text.getvalue()))  # noqa: S314 - matplotlib's own, not from outside
    referred = {found for element in root.iter() for found in _references(element)}
    names = {old: f"{name}-{number}" for number, old in enumerate(sorted(referred))}
    _tidy(root, names)
    view_box = root.get("viewBox", "")
    # Width and height in points go: CSS decides, the viewBox keeps the shape.
    root.attrib.clear()
    root.attrib.update(
        {"class": classes, "role": "img", "aria-label": _NOT_XML.sub("\ufffd", label), "viewBox": view_box}
    )
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704 - the XML writer has escaped every text


def _references(element: ET.Element) -> Iterator[str]:
    for attribute, value in element.attrib.items():
        if attribute == _HREF or "url(" in value:
            yield from _REFERENCE.findall(value)


def _tidy(element: ET.Element, names: dict[str, str]) -> None:
    """Take out of ``element`` and what it holds all that a page has no use for."""
    element.tag = element.tag.removeprefix(_SVG)
    element.tail = None
    # Whitespace between elements, which XML keeps.
    if element.tag != "text":
        element.text = None
    for attribute, value in list(element.attrib.items()):
        del element.attrib[attribute]
        tidied = _attribute(attribute, value, names)
        if tidied:
            element.attrib[attribute.replace(_HREF, "href")] = tidied
    kept: list[ET.Element] = []
    for child in list(element):
        tag = child.tag.removeprefix(_SVG)
        if tag in {"metadata", "style"}:
            continue
        _tidy(child, names)
        # A group that says nothing any more: its children take its place.
        if tag in {"g", "defs"} and not child.attrib and (tag == "g" or not len(child)):
            kept.extend(child)
        else:
            kept.append(child)
    element[:] = kept


def _attribute(attribute: str, value: str, names: dict[str, str]) -> str:
    if attribute == "id":
        return names.get(value, "")
    if attribute == _HREF or "url(" in value:
        return _REFERENCE.sub(lambda found: f"#{names[found[1]]}", value)
    if attribute == "style":
        value = _FONT.sub("", _COLOUR.sub(lambda found: _VARIABLES[found[0]], value))
    elif attribute == "transform":
        value = _NO_TURN.sub("", value).strip()
    short = _LONG_DECIMAL.sub(lambda found: f"{round(float(found[0]), 2) + 0.0:g}", value)
    return " ".join(short.split())
