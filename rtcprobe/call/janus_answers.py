"""What a Janus server answers: judged, and read.

Errors of the server come as ``error`` (code, reason), those of a plugin within its data (error_code, error).
Source: https://janus.conf.meetecho.com/docs/rest.html; janus-gateway 1.1.2, ``apierror.h`` and ``plugins/*.c``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from rtcprobe.call.faults import quoted
from rtcprobe.call.signaling import Sdp
from rtcprobe.errors import MeasurementError

__all__ = [
    "NO_SUCH_FEED",
    "JanusAnswer",
    "JanusRefusalError",
    "description",
    "id_of",
    "judge_error",
    "judged",
    "refused",
]

NO_SUCH_FEED: Final = 428  # JANUS_VIDEOROOM_ERROR_NO_SUCH_FEED in plugins/janus_videoroom.c

_CURES: Final[Mapping[int, str]] = {
    # The server's own.
    403: "check the server's api secret and token (target.secret, target.token)",  # JANUS_ERROR_UNAUTHORIZED
    405: "check the server's token (target.token)",  # JANUS_ERROR_UNAUTHORIZED_PLUGIN
    460: "load the plugin on the server",  # JANUS_ERROR_PLUGIN_NOT_FOUND
    # The VideoRoom's.
    426: "create the room on the server, or correct the URL",  # JANUS_VIDEOROOM_ERROR_NO_SUCH_ROOM
    428: "the publisher has left the room",
    429: "give what is missing, such as the room's pin (target.pin)",  # JANUS_VIDEOROOM_ERROR_MISSING_ELEMENT
    432: "wait until a publisher has left, or take another room",  # JANUS_VIDEOROOM_ERROR_PUBLISHERS_FULL
    433: "check the room's pin (target.pin)",  # JANUS_VIDEOROOM_ERROR_UNAUTHORIZED
    # The AudioBridge's.
    485: "create the room on the server, or correct the URL",  # JANUS_AUDIOBRIDGE_ERROR_NO_SUCH_ROOM
    489: "check the room's pin (target.pin)",  # JANUS_AUDIOBRIDGE_ERROR_UNAUTHORIZED
}
"""What to do about an error code; the plugins' begin at 411 and 421, and do not collide for the codes named here."""


class JanusRefusalError(MeasurementError):
    """The server or a plugin answered with an error; ``code`` is its number, None where it gave none."""

    def __init__(self, message: str, hint: str, code: int | None) -> None:
        super().__init__(message, hint)
        self.code = code


@dataclass(frozen=True, slots=True)
class JanusAnswer:
    """What a plugin answered: its ``data``, and a session description if one came along."""

    data: Mapping[str, Any]
    sdp: Sdp | None = None


def judged(what: str, said: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return what was said, unless it is an error.

    Raises:
        JanusRefusalError: it is one.
    """
    if said.get("janus") == "error":
        raise judge_error(what, said)
    return said


def judge_error(what: str, said: Mapping[str, Any]) -> MeasurementError:
    """Return the refusal that an error of the server's own makes."""
    error = said.get("error")
    error = error if isinstance(error, Mapping) else {}
    return refused(what, error.get("code"), error.get("reason"))


def refused(what: str, code: object, reason: object) -> MeasurementError:
    """Return the refusal of an error code and its reason, of whatever kind the server made them."""
    # Codes have three digits; a number of any length would be printed as it is.
    code = code if isinstance(code, int) and abs(code) < 1_000_000 else None
    number = "" if code is None else f" {code}"
    words = f", {quoted(reason)}" if isinstance(reason, str) else ""
    cure = _CURES.get(code, "") if isinstance(code, int) else ""
    sentence = f"Janus, {what}: the server answered error{number}{words}"
    return JanusRefusalError(sentence, cure, code if isinstance(code, int) else None)


def id_of(said: Mapping[str, Any], what: str) -> int:
    """Return the id that a successful answer gives."""
    data = said.get("data")
    number = data.get("id") if isinstance(data, Mapping) else None
    if said.get("janus") != "success" or not isinstance(number, int):
        raise MeasurementError(f"Janus, {what}: the answer is not one of Janus", "is this the address of its API?")
    return number


def description(what: str, jsep: object) -> Sdp | None:
    """Return the session description that came along, if one did.

    Raises:
        MeasurementError: something else came.
    """
    if jsep is None:
        return None
    if isinstance(jsep, Mapping):
        kind, text = jsep.get("type"), jsep.get("sdp")
        if isinstance(kind, str) and kind in {"offer", "answer"} and isinstance(text, str):
            return Sdp(kind=kind, text=text)
    raise MeasurementError(f"Janus, {what}: the session description of the answer cannot be read")
