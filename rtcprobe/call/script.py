"""What happens in a call, and when: cues carried out by the clock, or once something has happened to a party.

Theory of operation:
    A call without cues has a script all the same: everybody who takes part joins, then all speak until they have said
    all they have (``targets.course``). A script with cues lasts as long as the call was meant to, whoever still speaks.
    Those who come later are not there when the call begins; coming and going are cues like others (``cues_of``).

Rules:
    1. Instants count from when everybody who is there from the start had joined and could speak.
    2. Cues of one instant are carried out in the order written. Who waits for an event waits for its first time.
    3. A cue takes no time: joining goes on while the next ones are carried out.
    4. A cue that nothing was done about is told: its party had left, or was there already; what it waited for never
       came; or doing it went wrong.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from typing import Protocol

from rtcprobe.errors import RtcprobeError, unforeseen
from rtcprobe.scenario import Cue, Party

__all__ = ["Stage", "absent", "cues_of", "goes_on_stage", "perform", "silent"]

_ABOUT_SOUND = ("speak", "stop", "publish")


class Stage(Protocol):
    """Where a script is performed."""

    def act(self, cue: Cue) -> None:
        """Let its party do what the cue says, from now on."""
        ...

    def event(self, party: str, name: str) -> asyncio.Event:
        """Return what is set when it happens to ``party`` for the first time (``scenario.script.Event``)."""
        ...

    def warn(self, sentence: str) -> None:
        """Tell what a reader should know of a cue."""
        ...


def cues_of(parties: Iterable[Party], script: Sequence[Cue]) -> tuple[Cue, ...]:
    """Return the cues of a call: when parties come and leave, then those written."""
    coming = [Cue(party=each.name, does="join", at_s=each.comes_s) for each in parties if each.comes_s > 0.0]
    going = [Cue(party=each.name, does="leave", at_s=each.leaves_s) for each in parties if each.leaves_s is not None]
    return (*coming, *going, *script)


def absent(party: str, cues: Iterable[Cue]) -> bool:
    """Return whether ``party`` is not there at the start: its first coming or going is to come."""
    return next((each.does for each in cues if each.party == party and each.does in ("join", "leave")), "") == "join"


def silent(party: str, cues: Iterable[Cue]) -> bool:
    """Return whether ``party`` waits with speaking until a cue says so."""
    first = next((each.does for each in cues if each.party == party and each.does in _ABOUT_SOUND), "stop")
    return first != "stop"


def goes_on_stage(party: str, cues: Iterable[Cue]) -> bool:
    """Return whether ``party`` is in the audience until a cue lets it publish."""
    return next((each.does for each in cues if each.party == party and each.does in _ABOUT_SOUND), "") == "publish"


async def perform(cues: Sequence[Cue], stage: Stage, lasts_s: float) -> None:
    """Carry out ``cues`` on ``stage``, and return ``lasts_s`` from now."""
    begun_s = asyncio.get_running_loop().time()
    there = {cue.party: not absent(cue.party, cues) for cue in cues}
    # Those with an instant are walked through in order; those that wait for an event each have a task of their own.
    waiting = {asyncio.ensure_future(_after(cue, stage, there)): cue for cue in cues if cue.after is not None}
    try:
        for cue in sorted((cue for cue in cues if cue.at_s is not None and cue.at_s < lasts_s), key=_instant):
            await _until(begun_s + _instant(cue))
            _carry_out(cue, stage, there)
        await _until(begun_s + lasts_s)
        for cue in (waiting[each] for each in waiting if not each.done()):
            stage.warn(f"cue {cue} was not carried out: that never came to pass")
    finally:
        for each in waiting:
            each.cancel()


async def _after(cue: Cue, stage: Stage, there: dict[str, bool]) -> None:
    assert cue.after is not None
    await stage.event(*cue.after).wait()
    _carry_out(cue, stage, there)


def _carry_out(cue: Cue, stage: Stage, there: dict[str, bool]) -> None:
    """Let a party do what a cue says, or tell why nothing was done (rule 4)."""
    # ``die`` is a server's, which is no party that comes or goes.
    if cue.does != "die" and there[cue.party] == (cue.does == "join"):
        why = "was there already" if there[cue.party] else "was not there by then"
        stage.warn(f"cue {cue} was not carried out: {cue.party} {why}")
        return
    if cue.does in ("join", "leave"):
        there[cue.party] = cue.does == "join"
    try:
        stage.act(cue)
    except Exception as error:  # noqa: BLE001 - one cue fails, and is told; the others are carried out
        stage.warn(f"cue {cue}: {error if isinstance(error, RtcprobeError) else unforeseen(error)}")


def _instant(cue: Cue) -> float:
    return cue.at_s or 0.0


async def _until(when_s: float) -> None:
    loop = asyncio.get_running_loop()
    if when_s > loop.time():
        reached = asyncio.Event()
        # ``sleep`` counts from now, and a chain of them would drift by what each wake-up was late.
        loop.call_at(when_s, reached.set)
        await reached.wait()
