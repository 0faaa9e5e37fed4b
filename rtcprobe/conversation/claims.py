"""What an agent says of itself while it talks: who began to speak, and who stopped, by its own detectors.

Facts:
    - RTVI (pipecat's clients): JSON over the data channel, ``{"label": "rtvi-ai", "type": ...}``; ``user-stopped-
      speaking`` is when the agent took the turn for over, after its own silence and whatever else decides that.
      Source: pipecat 1.14, ``processors/frameworks/rtvi/models.py``.
    - OpenAI's realtime API has events of the same meaning; those of its output exist over WebRTC alone.
      Source: https://platform.openai.com/docs/api-reference/realtime-server-events.

Rule: an event is the agent's claim. It comes over the same line as the sound, so what lies between two of them is what
    the agent holds to have lain between, but for how differently late the two were.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Final, Literal, NamedTuple

__all__ = ["Claim", "Deed", "claimed_response_s", "claimed_spans", "claimed_stop_s", "read_deed"]

Deed = Literal["user began", "user stopped", "agent began", "agent stopped"]

_DEEDS: Final[Mapping[str, Deed]] = {
    "user-started-speaking": "user began",
    "user-stopped-speaking": "user stopped",
    "bot-started-speaking": "agent began",
    "bot-stopped-speaking": "agent stopped",
    "input_audio_buffer.speech_started": "user began",
    "input_audio_buffer.speech_stopped": "user stopped",
    "output_audio_buffer.started": "agent began",
    "output_audio_buffer.stopped": "agent stopped",
    "output_audio_buffer.cleared": "agent stopped",
}
# Characters; a page that floods its channel costs a look at the length, no parsing.
_LONGEST: Final = 1_000_000
_NEAR_S: Final = 1.5
"""An event this far from what was heard is about something else: agents say that they begin up to a second early."""


class Claim(NamedTuple):
    """What an agent said had happened; ``at_s`` is when its message came, seconds since the call's epoch."""

    at_s: float
    deed: Deed


def read_deed(message: object) -> Deed | None:
    """Return what a message of an agent's says of who speaks; None where it says nothing of that, or cannot be read."""
    if not isinstance(message, str) or len(message) > _LONGEST:
        return None
    try:
        told = json.loads(message)
    # Nested thousands deep is no event, either.
    except (ValueError, RecursionError):
        return None
    kind = told.get("type") if isinstance(told, dict) else None
    return _DEEDS.get(kind) if isinstance(kind, str) else None


def claimed_response_s(claims: Sequence[Claim], ended_s: float, heard_s: float) -> float | None:
    """Return what the agent holds that an answer took: from the end of the turn to its voice; None: it did not say.

    The turn ended at ``ended_s``, and the answer was heard at ``heard_s``.
    """
    began_s = _nearest(claims, "agent began", heard_s, after_s=ended_s)
    # No earlier than was heard to have passed between the two, but for how far an event may be off.
    return None if began_s is None else _since(claims, "user stopped", began_s, heard_s - ended_s + _NEAR_S)


def claimed_stop_s(claims: Sequence[Claim], begun_s: float, silent_s: float) -> float | None:
    """Return what the agent holds that falling silent took, interrupted at ``begun_s``; None: it did not say."""
    stopped_s = _nearest(claims, "agent stopped", silent_s, after_s=begun_s)
    return None if stopped_s is None else _since(claims, "user began", stopped_s, stopped_s - begun_s)


def claimed_spans(claims: Sequence[Claim]) -> list[tuple[float, float]]:
    """Return when the agent says that it spoke, seconds since the epoch."""
    found, began_s = list[tuple[float, float]](), None
    for each in claims:
        # A second beginning without an end between is the same speech: detectors say so again.
        if each.deed == "agent began" and began_s is None:
            began_s = each.at_s
        elif each.deed == "agent stopped" and began_s is not None:
            found.append((began_s, each.at_s))
            began_s = None
    return found


def _nearest(claims: Sequence[Claim], deed: Deed, to_s: float, *, after_s: float) -> float | None:
    came_s = [each.at_s for each in claims if each.deed == deed and each.at_s >= after_s]
    near_s = min(came_s, key=lambda each: abs(each - to_s), default=None)
    return near_s if near_s is not None and abs(near_s - to_s) <= _NEAR_S else None


def _since(claims: Sequence[Claim], deed: Deed, until_s: float, most_s: float) -> float | None:
    """Return how long before ``until_s`` the latest ``deed`` was claimed, where it is no longer than ``most_s``."""
    before_s = max((each.at_s for each in claims if each.deed == deed and each.at_s <= until_s), default=None)
    return None if before_s is None or until_s - before_s > most_s else until_s - before_s
