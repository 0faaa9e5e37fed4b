"""From an attempt to what was heard in it: when a join first heard the other side, and a call's account each way."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from rtcprobe.audio.opus import SAMPLE_RATE_HZ
from rtcprobe.audio.wav import wav_file
from rtcprobe.call.peer import Peer
from rtcprobe.call.targets.base import Call
from rtcprobe.call.targets.base import Way as PeerWay
from rtcprobe.hearing.ears import Ear
from rtcprobe.hearing.openings import first_audio_s
from rtcprobe.hearing.played import PlayedEar, played_ear
from rtcprobe.hearing.pooled import CallAccount
from rtcprobe.hearing.speech import Voices
from rtcprobe.probe.placing import Attempt
from rtcprobe.probe.seeing import watched
from rtcprobe.recording import Came, Said
from rtcprobe.result import Join, Retransmission
from rtcprobe.scenario import Scenario
from rtcprobe.timeline import Cost, Stop, phases, price
from rtcprobe.ways import Way

if TYPE_CHECKING:
    from rtcprobe.hearing.lips import LipSync

__all__ = ["Joined", "Listened", "RoundTrip", "hear_call", "judge_join"]


RoundTrip = Callable[[str, str], float | None]
"""Returns the round trip that the media path of two is asked to have, seconds; None where it is not known."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Listened:
    """One way of a call as it was left: ``phase_s`` is where the grid of the listener's loudspeaker lies."""

    way: Way
    said: Said
    came: Came
    phase_s: float


def hear_call(
    ways: Sequence[Listened],
    voices: Voices,
    scenario: Scenario,
    *,
    wanted: tuple[Way, ...],
    wav_dir: Path | None,
    lips: Mapping[Way, LipSync] | None = None,
) -> Mapping[Way, CallAccount]:
    """Hear a call on every way ``wanted``, every listener with an ear of its own.

    ``wav_dir`` gets mouth and ear of each. ``lips`` makes ways of sound agree with the pictures beside them.

    Raises:
        BadInputError: a WAV that cannot be written.
    """
    heard = {each.way: each for each in ways if each.way in wanted}
    ears: dict[Way, Ear | PlayedEar] = {}
    for way, each in heard.items():
        listener = scenario.party(each.came.listener)
        voice = voices[each.said.party]
        devices = scenario.party(each.said.party).devices.to(listener.devices)
        # An end that plays by itself (a browser) left sound, and not packets to be played.
        if each.came.sound is not None:
            ears[way] = played_ear(each.said, each.came, voice, devices=devices)
            continue
        ears[way] = Ear(
            each.said,
            each.came,
            voice,
            playout=listener.playout,
            devices=devices,
            phase_s=each.phase_s,
            lips=(lips or {}).get(way),
        )
    if wav_dir is not None:
        _write_wavs(wav_dir, heard, voices, ears, scenario)
    return {way: ear.account(way, _echo_path_s(way, ears)) for way, ear in ears.items()}


def _echo_path_s(way: Way, ears: Mapping[Way, Ear | PlayedEar]) -> float | None:
    """Return how far away an echo of what is said on a way would come from: the mean delay of both ways of the two.

    None where one of them was heard by nobody, though it should have been.
    """
    # There and back is one way named twice: it counts once.
    delays_s = [ears[each].delay_s for each in dict.fromkeys((way, way.back)) if each in ears]
    known_s = [each for each in delays_s if each is not None]
    return sum(known_s) / len(known_s) if len(known_s) == len(delays_s) else None


@dataclass(frozen=True, slots=True)
class Joined:
    """The join of one party, and the milestones of the other end of it, which is not timed; None where it is, too."""

    timed: Join
    other: Join | None


def judge_join(
    attempt: Attempt, joiner: Peer, scenario: Scenario, number: int, *, round_trip_s: RoundTrip, outside: bool
) -> Joined:
    """Return what the join of ``joiner`` came to in round ``number``.

    ``round_trip_s`` is the media path's between two, None if not known. Of more than two, a party's join is that over
    the connection that was its last.
    """
    call, party = attempt.call, _named(attempt.call, joiner)
    server = call.server_of(joiner)
    ends = _meeting(call, joiner) if server is None else [joiner]
    marks = {peer: dict(peer.timeline.marks) for peer in dict.fromkeys((*ends, joiner))}
    asked: Mapping[str, int] = {}
    # In a room each has its own trouble; a call of two has one for both.
    failed, stopped = call.troubles.get(joiner, (call.failed, call.stopped))
    joining = {peer.side for peer in call.joiners}
    meshed = 1 < len(call.joiners) == len(joining)  # of several who listen to one alone, all have one side's name
    if failed is not None and meshed and joiner.heard_packet.is_set():
        failed, stopped = None, None  # somebody else of the room was not heard
    if failed is None:
        asked = _mark_firsts(attempt, joiner, ends, marks, scenario, outside=outside)
    total_s = marks[joiner].get("first_audio")
    if failed is None and total_s is None:
        failed = f"{party} first_audio: nothing of it could be played"
        stopped = Stop(joiner.timeline.reached(), "first_audio")
    # Of a join that was never heard, what timers cost is counted to where it was given up.
    end_s = call.setup.join_timeout_s if total_s is None else total_s
    costs = price(call.waits(joiner), total_s=end_s, not_before_s=call.awaited_s(joiner, end_s))
    # To the server where one forwards: that is the path of this join, whatever lies behind it.
    apart_s = round_trip_s(ends[0].side, server or (ends[1].side if len(ends) > 1 else "callee"))
    timed = Join(
        party=party,
        round=number,
        marks=marks[joiner],
        phases=phases(marks[joiner], joiner.timeline.order),
        retransmissions=tuple(_again(each, {joiner.side: party}) for each in costs),
        rtts=total_s / apart_s if total_s is not None and apart_s else None,
        failed=failed,
        asked=asked,
        reached=None if stopped is None else stopped.reached,
        awaited=None if stopped is None else stopped.awaited,
        last=next((peer.side for peer in ends if peer is not joiner), None) if meshed else None,
    )
    other = next((peer for peer in ends if peer.side not in joining), None)
    # Once a round: every further joiner would tell the same other end again.
    if other is None or joiner is not call.joiners[0]:
        return Joined(timed, None)
    return Joined(timed, Join(party=other.side, round=number, marks=marks[other]))


def _mark_firsts(
    attempt: Attempt,
    joiner: Peer,
    ends: Sequence[Peer],
    marks: dict[Peer, dict[str, float]],
    scenario: Scenario,
    *,
    outside: bool,
) -> Mapping[str, int]:
    """Mark when each of ``ends`` heard and saw first, and return what the first pictures of ``joiner`` took."""
    call, asked = attempt.call, dict[str, int]()
    for way in call.ways:
        back = way.talker.side == joiner.side and way.listener in ends
        if way.listener is not joiner and not back:
            continue  # another listener of the room: an attempt of its own
        heard_s = _first_audio_s(attempt, way, scenario, outside=outside)
        if heard_s is not None:
            # Of several talkers, whoever was heard first.
            marks[way.listener]["first_audio"] = min(heard_s, marks[way.listener].get("first_audio", heard_s))
        seen_on = watched(call, way.listener, outside=outside)
        if not seen_on:
            continue
        from rtcprobe.probe.pictures import first_pictures  # noqa: PLC0415 - 30 modules, of which sound needs none

        first = first_pictures(seen_on, scenario)
        marks[way.listener] |= {name: at_s - way.listener.timeline.begun_s for name, at_s in first.marks_s.items()}
        if way.listener is joiner:
            asked = dict(first.asked)
    return asked


def _again(cost: Cost, names: Mapping[str, str]) -> Retransmission:
    """Return what a timer that fired cost; ``names`` are what sides are called where that is not their name."""
    wait = cost.wait
    party = names.get(wait.side, wait.side)
    return Retransmission(timer=wait.timer, party=party, at_s=wait.at_s, cost_s=cost.cost_s, what=wait.what)


def _named(call: Call, joiner: Peer) -> str:
    """Return what the party is called that joins by ``joiner``: of several listeners outside each has a name."""
    return next((way.direction.listener for way in call.ways if way.listener is joiner), joiner.side)


def _meeting(call: Call, joiner: Peer) -> list[Peer]:
    """Return who calls and who is called where ``joiner`` listens: two ends, or one that hears itself."""
    both = next(({way.talker, way.listener} for way in call.ways if way.listener is joiner), {joiner})
    return [peer for peer in call.peers if peer in both]


def _first_audio_s(attempt: Attempt, way: PeerWay, scenario: Scenario, *, outside: bool) -> float | None:
    """Return when the listener heard the talker first, seconds since the listener began."""
    arrived = attempt.call.came_on(way, forwarded=outside)
    listener = scenario.party(arrived.listener)
    heard_s = first_audio_s(
        attempt.call.said_on(way),
        arrived,
        playout=listener.playout,
        devices=listener.devices,
        phase_s=attempt.phase_s(way.listener),
    )
    return None if heard_s is None else heard_s - arrived.begun_s


def _write_wavs(
    folder: Path,
    ways: Mapping[Way, Listened],
    voices: Voices,
    ears: Mapping[Way, Ear | PlayedEar],
    scenario: Scenario,
) -> None:
    """Write four files whose first sample is the start of the call: sound in the air, devices' delays included.

    The mouth's file ends with what was spoken when the call ended.
    """
    for way, ear in ears.items():
        said, listener = ways[way].said, ways[way].came.listener
        voice = voices[said.party]
        with wav_file(folder / f"{way}.mouth.wav") as mouth:
            mouth.begin((said.started_s or 0.0) - scenario.party(said.party).devices.capture_s)
            # A mouth that was cut off said less than its speech holds.
            left = round(ear.said_s() * SAMPLE_RATE_HZ)
            for piece in voice.sound():
                mouth.write(piece[:left])
                left = max(0, left - len(piece))
        with wav_file(folder / f"{way}.ear.wav") as heard:
            heard.begin(ear.start_s + scenario.party(listener).devices.playback_s)
            ear.sound(heard.write)
