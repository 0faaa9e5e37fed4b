"""Lines that shrink, as files in ``scenarios/adaptation/``: what RFC 8867 asks of one flow, and ours.

Facts: a file has ``about``, ``source``, ``length``, ``link`` (what carries the media) and ``back`` (what carries
feedback), the last two as every ``--link``. ``flows`` lists the calls that share the line, one each: ``start``,
``delay`` (beside the line's, each way), ``pause`` (two instants), ``way`` (there or back); without it there is one.
``degradation`` is what falls first: maintain-framerate (the size), maintain-resolution (the frame rate) or balanced.
``max`` is what each camera's encoder may take at most: 1.5 Mb/s in RFC 8867 (§4.3), 4 Mb/s where nothing is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

from rtcprobe.adaptation.degrading import DEGRADATIONS, DEGRADES, Degradation
from rtcprobe.adaptation.meeting import Flow
from rtcprobe.adaptation.model import Settings
from rtcprobe.errors import BadInputError, nearest
from rtcprobe.link import LinkSpec, parse_link
from rtcprobe.strictyaml import read_yaml
from rtcprobe.units import format_duration, format_rate, parse_duration, parse_rate

__all__ = ["LONGEST_S", "Case", "case_names", "case_of_link", "find_case"]

# Series grow with the call, 18,000 rows of rates an hour and a row for each packet's delay.
LONGEST_S: Final = 3600.0
_KEYS: Final = ("about", "source", "length", "link", "back")
_MORE_KEYS: Final = ("flows", "max", "degradation")
_FLOW_KEYS: Final = ("start", "delay", "pause", "way")
# Beyond what RFC 8867 asks for (§5.2 has two, §5.4 five); each flow is a call of its own in memory.
_MOST_FLOWS: Final = 32
# A satellite's way takes 0.3 s: more than 5 s is a slip of the unit.
_LONGEST_DELAY_S: Final = 5.0
# ``maxBitrate`` of the recorded calls, which no line of theirs reached.
_USUAL_MAX_BPS: Final = 4e6
_MAX_BPS: Final = (150e3, 100e6)
"""RFC 8867 §4.3 has 150 kb/s as the least rate of a camera."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One line and how long a call over it lasts."""

    name: str
    about: str
    source: str
    length_s: float
    link: LinkSpec
    back: LinkSpec
    flows: tuple[Flow, ...] = (Flow(),)
    max_bps: float = _USUAL_MAX_BPS
    degrades: Degradation = DEGRADES

    def settings(self, seed: int) -> Settings:
        """Return one call of the model over it, from beginning to end."""
        return Settings(
            forward=self.link,
            back=self.back,
            length_s=self.length_s,
            max_bps=self.max_bps,
            seed=seed,
            degrades=self.degrades,
        )


def _folder() -> Path:
    package = Path(__file__).parents[1]
    # Installed from a wheel, or run from a checkout.
    for folder in (package / "_scenarios" / "adaptation", package.parent / "scenarios" / "adaptation"):
        if folder.is_dir():
            return folder
    raise BadInputError("this installation has no adaptation scenarios", "give --link, or install again")


def case_names() -> tuple[str, ...]:
    """Return the names of the cases that come with rtcprobe, in alphabetical order."""
    return tuple(sorted(path.stem for path in _folder().glob("*.yaml")))


def find_case(name: str) -> Case:
    """Return the case of that name, or in the file at that path.

    Raises:
        BadInputError: there is none, or it cannot be meant.
    """
    path = Path(name)
    if path.suffix not in (".yaml", ".yml"):
        known = case_names()
        if name not in known:
            near = nearest(name, known)
            hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(known)}"
            raise BadInputError(f"adaptation scenario {name!r} is not known", hint)
        path = _folder() / f"{name}.yaml"
    return read_yaml(path, lambda written: _case(written, path), called=f"adaptation scenario {str(path)!r}")


def _case(written: object, path: Path) -> Case:
    # All of the first five, and of the others as many as are wanted.
    if not isinstance(written, dict) or set(written) - set(_MORE_KEYS) != set(_KEYS):
        raise BadInputError(
            "not the keys of an adaptation scenario", f"give {', '.join(_KEYS)}, or flows, max and degradation too"
        )
    length_s = parse_duration(written["length"])
    flows = _flows(written.get("flows", [{}]), length_s)
    link, back = parse_link(written["link"], folder=path.parent), parse_link(written["back"], folder=path.parent)
    return Case(
        name=path.stem,
        about=str(written["about"]),
        source=str(written["source"]),
        length_s=_length(length_s),
        link=link,
        back=back,
        flows=flows,
        max_bps=_max_bps(written.get("max")),
        degrades=_degrades(written.get("degradation", DEGRADES)),
    )


def _max_bps(written: object) -> float:
    if written is None:
        return _USUAL_MAX_BPS
    max_bps = parse_rate(written)
    if not _MAX_BPS[0] <= max_bps <= _MAX_BPS[1]:
        raise BadInputError(f"max {format_rate(max_bps)} is impossible", "give 150kbit to 100mbit")
    return max_bps


def _degrades(written: object) -> Degradation:
    for known in DEGRADATIONS:
        if written == known:
            return known
    raise BadInputError(f"degradation {written!r} is not known", f"write {', '.join(DEGRADATIONS)}")


def _flows(written: object, length_s: float) -> tuple[Flow, ...]:
    """Return the flows of a file."""
    if not isinstance(written, list) or not 1 <= len(written) <= _MOST_FLOWS:
        raise BadInputError(f"flows {written!r} is no list of 1 to {_MOST_FLOWS}", "write it like [{start: 0s}]")
    flows = tuple(_flow(each, length_s) for each in written)
    # Figures are of what goes there: without a flow that way there would be none.
    if all(flow.way == "back" for flow in flows):
        raise BadInputError("no flow goes there", "let one have way: there")
    return flows


def _flow(written: object, length_s: float) -> Flow:
    if not isinstance(written, dict) or set(written) - set(_FLOW_KEYS):
        raise BadInputError(f"flow {written!r} cannot be read", f"give some of {', '.join(_FLOW_KEYS)}")
    start_s = parse_duration(written.get("start", "0s"))
    delay_s = parse_duration(written.get("delay", "0s"))
    way = written.get("way", "there")
    if way not in ("there", "back"):
        raise BadInputError(f"way {way!r} is not known", "write there or back")
    if not 0 <= start_s < length_s:
        raise BadInputError(f"start {format_duration(start_s)} is not within the call", "let it begin before the end")
    if not 0 <= delay_s <= _LONGEST_DELAY_S:
        raise BadInputError(f"delay {format_duration(delay_s)} is impossible", "give 0s to 5s")
    pause = written.get("pause")
    if pause is None:
        return Flow(start_s=start_s, delay_s=delay_s, way=way)
    if not isinstance(pause, list) or len(pause) != 2:
        raise BadInputError(f"pause {pause!r} is no two instants", "write it like [40s, 60s]")
    begin_s, end_s = (parse_duration(each) for each in pause)
    if not begin_s < end_s:
        raise BadInputError(f"pause {pause!r} ends before it begins", "write it like [40s, 60s]")
    return Flow(start_s=start_s, delay_s=delay_s, way=way, pauses=((begin_s, end_s),))


def case_of_link(line: str, length_s: float) -> Case:
    """Return the case of a line that the user wrote; feedback takes its delay, and nothing else, back."""
    spec = parse_link(line)
    return Case(
        name="link",
        about=line,
        source="--link",
        length_s=_length(length_s),
        link=spec,
        # Feedback that was lost or queued as well would mix two causes; who wants that writes a file with
        # ``back``.
        back=LinkSpec(delay=spec.delay),
    )


def _length(length_s: float) -> float:
    # Below five seconds no phase is long enough for a figure (``settling``).
    if not 5.0 <= length_s <= LONGEST_S:
        raise BadInputError(f"length {format_duration(length_s)} is impossible", "give 5s to 1h")
    return length_s
