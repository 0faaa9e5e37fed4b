"""From a scenario to what a call of it is made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from rtcprobe.audio.level import levels_of
from rtcprobe.audio.mouth import encoded
from rtcprobe.audio.opus import OpusSettings
from rtcprobe.audio.protection import Protection
from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.script import cues_of
from rtcprobe.call.targets.base import CallSetup, Route
from rtcprobe.call.targets.loopback import mesh_routes
from rtcprobe.hearing.speech import Voices
from rtcprobe.link import LinkSpec
from rtcprobe.messages import MessagePlan
from rtcprobe.scenario import Scenario

if TYPE_CHECKING:  # few calls have one
    from rtcprobe.call.camera import Camera

__all__ = ["call_setup"]

_SETTLED = 10
"""Frames: what an encoder remembers of before is gone by then."""

LINGER_S = 0.150
"""How long a join goes on beyond a delay its playout was given: stock aiortc lets a frame go when five are there."""


def call_setup(
    scenario: Scenario,
    voices: Voices,
    hops: Mapping[Route, Sequence[LinkSpec]] | None,
    *,
    endless: bool,
    cameras: Mapping[str, Camera] | None = None,
) -> CallSetup:
    """Return what a call between the parties of ``scenario`` is made of.

    ``hops`` are those of each route (None: nothing lies between anybody), ``cameras`` what those show who have one.
    ``endless``: for a join, which all parties make at once, whatever the script says; the mouths never come to an end.
    """
    sounds = list(scenario.sending("audio").values())
    cues = cues_of(scenario.parties, scenario.script)
    # Made before the call: encoding within it would cost its time.
    silences = {cue.party: _silence(voices[cue.party].codec) for cue in cues if cue.does == "stop"}
    # Levels cost a pass over the sound: only a server that picks the loudest reads them.
    speech = {
        name: Speech(
            frames=voice.frames,
            ptime_s=voice.codec.ptime_s,
            endless=endless,
            silence=silences.get(name),
            levels=levels_of(voice.sound(), voice.codec.frame_samples) if "last_n" in scenario.target.options else None,
            voice=voice,
        )
        for name, voice in voices.items()
    }
    names = [party.name for party in scenario.parties]
    return CallSetup(
        routes=dict.fromkeys(mesh_routes(names), ()) if hops is None else hops,
        speech={name: speech.get(name) for name in names},
        hears={party.name: party.hears for party in scenario.parties if party.hears != "all"},
        cameras=cameras or {},
        messages=_messages(scenario, endless=endless),
        connection=scenario.signaling.connection,
        dtls_timeout_s=scenario.dtls.timeout_s,
        join_timeout_s=scenario.call.join_timeout_s,
        # A join ends with the first sample heard, which a fixed playout holds back by its whole delay.
        linger_s=max(party.playout.delay_s or 0.0 for party in scenario.parties) + LINGER_S,
        protection=sounds[0].protection if sounds else Protection(),
        ice=scenario.ice,
        cues=() if endless else cues,
        lasts_s=scenario.call.duration_s,
    )


def _messages(scenario: Scenario, *, endless: bool) -> dict[str, MessagePlan]:
    """Return what each sends who sends messages; in a join, over a channel that opens, nothing."""
    plans = {name: stream.messages for name, stream in scenario.sending("messages").items()}
    return {
        name: replace(plan, rate_hz=0.0, listed=()) if endless else plan
        for name, plan in plans.items()
        if plan is not None
    }


def _silence(codec: OpusSettings) -> bytes:
    """Return a frame of silence, as an encoder sends them once it has settled."""
    *_, last = encoded([np.zeros(_SETTLED * codec.frame_samples, dtype=np.float32)], codec)
    return last
