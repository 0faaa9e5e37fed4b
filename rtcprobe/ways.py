"""Who hears whom, and over what: the names of ways and of legs.

Facts:
    A *way* is what a listener gets of a talker in one medium: ``"ana_to_ben"`` is sound, ``"ana_to_ben.video"`` the
    picture of the same two. It is what a recording holds, a hearing turns into an account, and a budget judges.
    A *leg* is what a link is written for: ``"ana_to_sfu"``. In a call of two without a server a leg is a way of sound.

Rules:
    1. A name is its text: it sorts, hashes and travels in JSON as the string it is, and its parts are read from it.
    2. There and back (a target that echoes) is one party twice: ``"ana_to_ana"``. The caller's own has a name of its
       own, ``"round_trip"``: budgets, dashboards and old results know it by that, so it is written so, too.
    3. A party's name holds neither ``_to_`` nor a dot, so that every way has one reading.
"""

from __future__ import annotations

import re
from typing import Literal, Self, get_args

from rtcprobe.errors import BadInputError

__all__ = ["BOTH_LEGS", "BOTH_WAYS", "MEDIA", "Leg", "Medium", "Way", "party_named"]

Medium = Literal["audio", "video", "messages"]

MEDIA: tuple[Medium, ...] = get_args(Medium)

_CALLER = "caller"
_ROUND_TRIP = "round_trip"
"""The one name of the way from the caller to itself."""

_BETWEEN = "_to_"

# party = letter *( letter / digit / "-" / "_" ) ; without "_to_" inside, and no "_" at its end
# 32 characters, for a name becomes a label, a file's name and a column.
_PARTY = re.compile(r"[a-z][a-z0-9_-]{0,31}")


def party_named(text: str) -> str:
    """Return ``text`` where a party may be called so.

    Raises:
        BadInputError: it holds what would make a way's name ambiguous, is empty, or longer than 32 characters.
    """
    if _PARTY.fullmatch(text) is None or _BETWEEN in f"{text}_" or text.endswith("_"):
        raise BadInputError(
            f"a party cannot be called {text!r}",
            "lower-case letters, digits, - and _, 32 at most, a letter first, without _to_: ana, guest-2",
        )
    return text


class Leg(str):
    """Where a link leads: ``"ana_to_sfu"``.

    Raises:
        BadInputError: not two names with ``_to_`` between them.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read a leg's name."""
        source, between, destination = text.partition(_BETWEEN)
        if not between:
            raise BadInputError(f"{text!r} is no leg", "from_to_where: ana_to_sfu")
        party_named(source)
        party_named(destination)
        return super().__new__(cls, text)

    @classmethod
    def between(cls, source: str, destination: str) -> Leg:
        """Return the leg from one place to another."""
        return cls(f"{source}{_BETWEEN}{destination}")

    @property
    def source(self) -> str:
        """Who sends on it."""
        return self.partition(_BETWEEN)[0]

    @property
    def destination(self) -> str:
        """Who gets what is sent on it."""
        return self.partition(_BETWEEN)[2]

    @property
    def words(self) -> str:
        """The name as people say it: ``"ana to sfu"``."""
        return self.replace("_", " ")

    @property
    def back(self) -> Leg:
        """The leg the other way."""
        return Leg.between(self.destination, self.source)


class Way(str):
    """Who hears (or sees) whom: ``"ana_to_ben"``, ``"ana_to_ben.video"``; there and back is one name twice.

    Raises:
        BadInputError: not two names with ``_to_`` between them, or a medium there is not.
    """

    __slots__ = ()

    def __new__(cls, text: str) -> Self:
        """Read a way's name."""
        if text == _ROUND_TRIP:
            return super().__new__(cls, text)
        #   way = party "_to_" party [ "." medium ] / "round_trip"
        parties, dot, medium = text.partition(".")
        talker, between, listener = parties.partition(_BETWEEN)
        if not between or (dot and medium not in MEDIA):
            raise BadInputError(f"{text!r} is no way", "talker_to_listener, and .video after it for the picture")
        party_named(talker)
        party_named(listener)
        sound = _ROUND_TRIP if talker == listener == _CALLER else parties
        # One name a way: ``.audio`` is left out, as it is in every old result, so that two spellings never
        # stand side by side.
        return super().__new__(cls, text if dot and medium != "audio" else sound)

    @classmethod
    def of(cls, talker: str, listener: str, medium: Medium = "audio") -> Way:
        """Return the way from a talker to a listener."""
        return cls(f"{talker}{_BETWEEN}{listener}.{medium}")

    @property
    def talker(self) -> str:
        """Who is heard."""
        return _CALLER if self == _ROUND_TRIP else self.partition(".")[0].partition(_BETWEEN)[0]

    @property
    def listener(self) -> str:
        """Who hears."""
        return _CALLER if self == _ROUND_TRIP else self.partition(".")[0].partition(_BETWEEN)[2]

    @property
    def medium(self) -> Medium:
        """What it carries: ``"audio"`` where the name does not say."""
        named = self.partition(".")[2]
        return next((each for each in MEDIA if each == named), "audio")

    @property
    def words(self) -> str:
        """The name as people say it: ``"ana to ben"``, ``"ana to ben, video"``, ``"round trip"``."""
        return self.replace(".", ", ").replace("_", " ")

    @property
    def there_and_back(self) -> bool:
        """Whether the talker hears itself, through somebody who echoes."""
        return self.talker == self.listener

    @property
    def back(self) -> Way:
        """The same medium the other way round."""
        return Way.of(self.listener, self.talker, self.medium)


BOTH_WAYS: tuple[Way, Way] = (Way("caller_to_callee"), Way("callee_to_caller"))
"""The two ways of a call between two people, as they are called where nobody gave them names."""

BOTH_LEGS: tuple[Leg, Leg] = (Leg("caller_to_callee"), Leg("callee_to_caller"))
"""What the links of such a call are written for."""
