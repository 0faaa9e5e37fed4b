"""An AudioBridge of Janus: a mixer. Each party sends its sound and gets one stream of everybody else's.

Facts:
    1. Who joins makes an offer with ``configure``; what comes back is the mix without one's own voice, a packet every
       20 ms, whether or not anybody speaks.
    2. Of each talker's packets the bridge keeps ``prebuffer`` (six unless told) and one more before it mixes the first,
       and never again. What a hiccup of the talker adds to that stays (``hearing.plateaus``). Of a prebuffer of one it
       mixes what came last. The rules, and what a newer Janus does instead: ``audio.mixer``.
    3. A mix is encoded anew: nothing in it tells whose packet it was made of. So markers alone tell who is heard, and
       talkers of a mix have no code in common, and take turns.

Rules:
    1. The delay between a departure and its sound's arrival is the network's and the bridge's. The network's is known
       near enough: what the emulated lines did, and of the rest half a STUN round trip on either side. What
       is left is the bridge's: prebuffer, the wait for its tick (0 to 20 ms), its encoder's look-ahead (6.5 ms).

Source: https://janus.conf.meetecho.com/docs/audiobridge.html; janus-gateway 1.1.2, ``plugins/janus_audiobridge.c``
(OPUS_APPLICATION_VOIP, the mixer's thread).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from rtcprobe.call.janus import JanusHandle, JanusSession
from rtcprobe.call.peer import Media, Peer
from rtcprobe.call.script import goes_on_stage
from rtcprobe.call.targets.base import CallSetup, Way
from rtcprobe.call.targets.janus_steps import CONNECTION, MEDIA, SESSION, JanusApi, JanusSteps
from rtcprobe.call.targets.janus_text import TextRoomBeside
from rtcprobe.call.targets.outside_room import RoomCall
from rtcprobe.call.targets.room_hooks import Attendee
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.runtime.direction import Direction

__all__ = ["AudioBridgeCall"]

AUDIOBRIDGE: Final = "janus.plugin.audiobridge"
_ORDER = (*CONNECTION, *SESSION, "room_joined", "ice_gathered", "offer_sent", "answer_received", *MEDIA)


class AudioBridgeCall(TextRoomBeside, JanusSteps, RoomCall):
    """One call of a bridge; ``prebuffer`` is in packets, None: the room's own."""

    speaker_order = listener_order = _ORDER
    apart = False

    def __init__(
        self,
        api: JanusApi,
        room: int | str,
        prebuffer: int | None,
        setup: CallSetup,
        seed: np.random.SeedSequence,
        *,
        textroom: int | str | None = None,
    ) -> None:
        self.api, self.room = api, room
        self._asked = {} if prebuffer is None else {"prebuffer": prebuffer}
        super().__init__(setup, seed, server=api.host)
        self.open_textroom(textroom, setup, seed)
        self._places: dict[str, tuple[JanusSession, JanusHandle]] = {}

    @property
    def ways(self) -> list[Way]:
        """Who hears whom, and what is known of the way (rule 1)."""
        return [each._replace(mixed=self._mixed(each)) for each in super().ways]

    def connect_party(self, who: Attendee) -> None:
        """Make the one connection of a party."""
        track = None if who.mouth is None else who.mouth.track()
        # A party that hears nobody gets no mix; one without a voice only takes it. Either way it is one section.
        media: Media = "sendonly" if not who.hears else "recvonly" if track is None else "sendrecv"
        host = who.host.beside() if who.all_peers else who.host
        peer = self.add_peer(host, who.line, [SoundWanted(track=track, media=media)], _ORDER)
        who.publishing = None if track is None else peer
        # One connection stands for all whom it hears: the mix has no parts.
        who.hearing = dict.fromkeys(who.hears, peer)
        who.seated()

    async def publish(self, who: Attendee, peer: Peer) -> None:
        """Join the bridge and take part in the mix; who is there and goes on stage is muted no more."""
        # Muted in the bridge, connected all the same: going on stage is one message, not a join.
        waits = goes_on_stage(who.name, self.setup.cues) and not who.may_be_heard
        if who.name not in self._places:
            await self._take_part(who, peer, muted=waits)
            return
        body = {"request": "configure", "muted": False}
        await self._places[who.name][1].message(f"go on stage in bridge {self.room}", body)

    async def depart(self, who: Attendee) -> None:
        """Destroy the session."""
        await super().depart(who)
        if who.name in self._places:
            await self._places.pop(who.name)[0].close()

    async def listen(self, who: Attendee, talker: str, peer: Peer) -> None:
        """Join the bridge as somebody who says nothing."""
        del talker
        await self._take_part(who, peer, muted=True)

    async def _take_part(self, who: Attendee, peer: Peer, *, muted: bool) -> None:
        place = await self.attach(peer, AUDIOBRIDGE, lambda why: self.lose_party(who, why))
        _, handle = self._places[who.name] = place
        body: Mapping[str, Any] = {"request": "join", "room": self.room, "display": who.name, **self._asked}
        await handle.message(f"join bridge {self.room}", body, pin=self.api.pin)
        self.mark(peer, "room_joined")
        configure = {"request": "configure", "muted": muted}
        await self.exchange_descriptions(peer, handle, f"configure in bridge {self.room}", configure)

    def _mixed(self, way: Way) -> dict[str, float]:
        """Return the stages of a way but for the bridge's own; {} where no STUN check was answered."""
        talker, listener = self.attendees[way.direction.talker], self.attendees[way.direction.listener]
        beyond = [_beyond_s(peer, who) for peer, who in ((way.talker, talker), (way.listener, listener))]
        known = [each for each in beyond if each is not None]
        if len(known) < len(beyond):
            return {}
        # Means add up whatever the distributions are; percentiles would not.
        network_s = _mean_s(talker.host.up) + _mean_s(listener.host.down) + sum(known)
        return {"network": network_s}


def _beyond_s(peer: Peer, who: Attendee) -> float | None:
    """Return half of what the fastest STUN round trip took beyond the emulated line."""
    if peer.tap.round_trip_s is None:
        return None
    # A STUN check passes both lines and whatever lies beyond: less the fastest of
    # the lines, half of the rest is one way there.
    emulated_s = sum(way.tally.fastest_s() or 0.0 for way in (who.host.up, who.host.down))
    return max(0.0, peer.tap.round_trip_s - emulated_s) / 2


def _mean_s(way: Direction) -> float:
    """Return what the packets of an emulated line took, on average."""
    delays_s = way.tally.delays_s()
    return float(np.mean(delays_s)) if len(delays_s) else 0.0
