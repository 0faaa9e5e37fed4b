"""Messages in a run: who sent whom what in each call, and what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rtcprobe.call.targets.base import Call
from rtcprobe.hearing.messages import CallMessages, call_messages, message_account, together
from rtcprobe.messages import CameMessages, SaidMessages
from rtcprobe.result import Account
from rtcprobe.scenario import Scenario
from rtcprobe.ways import Way

__all__ = ["Exchanged", "Messages", "exchanged"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchanged:
    """One way of a call as it was left: what was sent, and what came of it."""

    way: Way
    said: SaidMessages
    came: CameMessages


class Messages:
    """The messages of one run, by way and call. ``without`` says why there are none, though some were written."""

    def __init__(self, scenario: Scenario, *, without: str | None = None) -> None:
        self._without = without if scenario.sending("messages") else None
        self._calls: dict[Way, dict[int, CallMessages]] = {}

    def take(self, number: int, ways: Sequence[Exchanged]) -> None:
        """Take what was exchanged in call ``number``."""
        for each in ways:
            found, calls = call_messages(each.said, each.came), self._calls.setdefault(each.way, {})
            # A way may be left over several connections (who came back): one call's messages all the same.
            calls[number] = together(calls[number], found) if number in calls else found

    def accounts(self) -> tuple[Account, ...]:
        """Return what became of the messages, an account a way."""
        return tuple(message_account(way, calls) for way, calls in self._calls.items())

    def warnings(self) -> Iterator[str]:
        """Yield what a reader should know: channels that never opened, messages nobody sent."""
        if self._without is not None:
            yield self._without
        for way, calls in self._calls.items():
            # Sent, and never opened: SCTP's own state says where it stood.
            shut = [call.state for call in calls.values() if call.opened_s is None and call.sent]
            if shut:
                calls_told = "" if len(calls) == 1 else f" in {len(shut)} of {len(calls)} calls"
                yield f"{way.words}: the channel never opened{calls_told} (SCTP had come to {shut[0]})"
            strangers = sum(call.strangers for call in calls.values())
            if strangers:
                yield f"{way.words}: {strangers} of what came {'are' if strangers > 1 else 'is'} no message of ours"


def exchanged(call: Call) -> list[Exchanged]:
    """Return every way of ``call`` on which messages were sent: of those that end at a channel of ours."""
    if not call.setup.messages:
        return []
    return [Exchanged(way=way, said=said, came=came) for way, said, came in call.messages()]
