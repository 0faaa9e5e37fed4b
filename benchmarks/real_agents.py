"""Conversations with real voice agents on this machine, beside what the agents themselves know of them.

    .ci/install-live                                                        # once: the agents, in .live/agents
    python benchmarks/real_agents.py [pipecat] [livekit] [--calls N] [--address IP]

Both are offline and real where it matters: their own voice detectors, turn taking and interruptions, their own
transports; what would need a service is played from a file (``tests/live/servers``). Each call is held twice, over
20 ms and over 100 ms of emulated delay both ways, and is a user who says hello, pauses for 0.9 s inside a turn,
interrupts, says uh-huh, and says good bye.

Printed, in ms: how far the instrument's figure of the agent's part (from the user's last packet, at the end of the
emulated line, to the agent's first) is from the agent's own log of it; what 80 ms more on both ways change; what each
event was counted as, by the instrument and by the agent. Limits: 20 ms at the 95th percentile, 160 ± 5 ms, 0 ± 5 ms
beyond what the agent's own log moved by, a second to be rid of the session.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.request
import wave
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple
from unittest.mock import patch

import numpy as np

from rtcprobe.conversation import Claim
from rtcprobe.conversation.utterances import sound_of_words
from rtcprobe.hearing.passage import Leaving, Passage
from rtcprobe.hearing.turns import TURNS, Heard, LineHeard, Talk, Turns, hear_turns
from rtcprobe.probe import run_probe
from rtcprobe.probe.placed import Placed, of_stack
from rtcprobe.probe.placing import Attempt
from rtcprobe.result import Account, Result, Sample
from rtcprobe.scenario import find_scenario

ROOT = Path(__file__).resolve().parents[1]
AGENTS = ("pipecat", "livekit")
PYTHON = ROOT / ".live" / "agents" / "bin" / "python"

_ANSWER = "Of course, I can help you with that. The next train leaves at nine."
_ANSWER_RATE = 24_000
_LINES = (
    "[{say: 'Hello, can you hear me?'}, {say: 'I would like to go [pause 900ms] at nine.'}, "
    "{say: 'No, stop it now, please.', barge_in: 1.2s after onset}, {backchannel: 'uh-huh', during: 1.2s after onset}, "
    "{say: 'Good bye.'}]"
)
_QUICK = ("call.calls=1", "call.joins=2", "call.duration=45s", "budgets=[]", f"conversation.lines={_LINES}")
_START_S = 90.0  # a first start compiles what the agents import, and both may start at once
_RID_S = 1.0
_TRIES = 3
_NEAR_S, _FAR_S = 0.020, 0.100
_LIMIT_MS, _MOVED_MS = 20.0, 5.0


class Turn(NamedTuple):
    """An answer or a stop: the instrument's figure of the agent's part, and the agent's own; seconds."""

    kind: str
    called: str
    delay_s: float
    ways_s: float
    playout_s: float
    agent_s: float
    truth_s: float

    @property
    def error_ms(self) -> float:
        """How much more the instrument says."""
        return (self.agent_s - self.truth_s) * 1e3


class Inside(NamedTuple):
    """Whether the agent spoke into a turn, by the instrument and by its own log; None: within the error of either."""

    called: str
    ours: bool
    its: bool | None


class Call(NamedTuple):
    """A conversation that was held: what was measured, and what the agent says of it, on the clock of the call.

    By RTP timestamp, ``left_s`` is when the user's packets left the emulated line, ``came_s`` when the agent had them.
    ``talk`` is what was recorded, ``heard`` what the instrument made of it.
    """

    result: Result
    talk: Talk
    heard: Turns
    left_s: Mapping[int, float]
    came_s: Mapping[int, float]
    spoke_s: Sequence[tuple[float, float | None]]
    claims: Sequence[Claim]
    """What the agent told of itself over its data channel."""
    rid_s: float
    """How long after the run the agent still had somebody."""

    @property
    def responses(self) -> Account:
        """How turns were answered."""
        return next(iter(self.result.of_kind("response").values()))

    @property
    def interruptions(self) -> Account:
        """How the agent was interrupted."""
        return next(iter(self.result.of_kind("barge_in").values()))

    def turns(self) -> Iterator[Turn]:
        """Yield every answer and every stop whose packets are known on both sides."""
        for account in (self.responses, self.interruptions):
            for sample in account.samples:
                turn = self._turn(account.kind, sample)
                if turn is not None:
                    yield turn

    def _turn(self, kind: str, sample: Sample) -> Turn | None:
        stages = sample.stages
        if stages is None:
            return None
        out_s = sample.spoken_s + math.fsum(stages[each] for each in ("capture", "packing", "way_up"))
        in_s = out_s + stages["network_and_agent"]
        stamp = min(self.left_s, key=lambda each: abs(self.left_s[each] - out_s))
        edges = [begin_s if kind == "response" else end_s for begin_s, end_s in self.spoke_s]
        known = [each for each in edges if each is not None]
        if stamp not in self.came_s or not known:
            return None
        said_s = min(known, key=lambda each: abs(each - in_s))
        ways_s = stages["way_up"] + stages["way_down"]
        truth_s = said_s - self.came_s[stamp]
        return Turn(kind, sample.note or "", sample.delay_s, ways_s, stages["playout"], in_s - out_s, truth_s)

    def spoken_into(self) -> list[Inside]:
        """Return, turn by turn, whether the agent spoke into it: by the instrument, and by the agent's own log.

        Both are told by one rule, at one place (``hearing.turns``, rule 2): what is heard after the turn began is
        spoken into it where it is heard before the end, or left the agent before the last of the turn had come to it.
        What the log has is heard as long after it left as the nearest speech that the instrument heard. Whether the
        agent *sent* its first word after the user's is another question: an answer and a turn that cross on the way
        leave in either order, by a packet.
        """
        down, leaving = Passage(self.talk.to_user.arrivals), Leaving(self.talk.user)
        left = [(self.talk.really_came_s.get(down.stamp(each.first) or -1), each.begin_s) for each in self.heard.agent]
        ours = [(left_s, heard_s) for left_s, heard_s in left if left_s is not None]
        near = [min(ours, key=lambda each: abs(each[0] - begin_s), default=None) for begin_s, _ in self.spoke_s]
        its = [
            (begin_s, begin_s + heard_s - left_s)
            for (begin_s, _), (left_s, heard_s) in zip(self.spoke_s, filter(None, near), strict=False)
        ]
        last = {each.number: each.begin + each.meant_samples - 1 for each in self.talk.lines}
        return [
            Inside(
                line.called, line.inside > 0, _into(line, its, self.came_s.get(leaving.timestamp(last[line.number])))
            )
            for line in self.heard.lines
            if line.kind in TURNS and line.end_s is not None
        ]


def _into(line: LineHeard, spoke: Sequence[tuple[float, float]], had_s: float | None) -> bool | None:
    """Return whether one of what was spoken (when it left, when it was heard) went into ``line``.

    ``had_s`` is when the agent had the last of it. None: the one or the other lies within the error of a boundary.
    """
    assert line.begin_s is not None
    assert line.end_s is not None
    within_s = [
        min(heard_s - line.begin_s, max(line.end_s - heard_s, -math.inf if had_s is None else had_s - left_s))
        for left_s, heard_s in spoke
    ]
    if any(each > _LIMIT_MS / 1e3 for each in within_s):
        return True
    return None if any(each >= -_LIMIT_MS / 1e3 for each in within_s) else False


@contextmanager
def agent(name: str, address: str, folder: Path) -> Iterator[str]:
    """Start the agent ``name`` and yield its origin; it is ended with the block.

    Raises:
        RuntimeError: it did not come up, with the end of its log.
    """
    port = _free_port(address)
    log = folder / f"{name}.log"
    script = ROOT / "tests" / "live" / "servers" / f"{name}_agent.py"
    command = [str(PYTHON), str(script), address, str(port), str(_answer(folder))]
    with log.open("wb") as said:
        process = subprocess.Popen(command, stdout=said, stderr=subprocess.STDOUT, cwd=folder)
    try:
        end_s = time.monotonic() + _START_S
        while not _answers(address, port):
            if process.poll() is not None or time.monotonic() > end_s:
                raise RuntimeError(f"{name} did not come up:\n{log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.05)
        yield f"http://{address}:{port}"
    finally:
        process.kill()
        process.wait()


def held(origin: str, delay_s: float, *, trickle: bool = False) -> Call:
    """Hold the conversation over ``delay_s`` both ways, and ask the agent what it knows of it.

    ``trickle``: the offer goes without candidates, which follow by PATCH.

    Raises:
        RuntimeError: the machine was too busy for it.
    """
    kept: list[tuple[float, Placed]] = []
    heard: list[tuple[Talk, Turns]] = []

    def kept_too(attempt: Attempt, *, outside: bool) -> Placed:
        placed = of_stack(attempt, outside=outside)
        kept.append((attempt.call.network.epoch_s, placed))
        return placed

    def heard_too(talk: Talk, **named: Any) -> tuple[Turns, Heard]:
        turns, sound = hear_turns(talk, **named)
        heard.append((talk, turns))
        return turns, sound

    link = f"link=delay {delay_s * 1e3:g}ms"
    target = f"target={{url: sdp+{origin}/api/offer, trickle: {str(trickle).lower()}}}"
    scenario = find_scenario("voice-assistant", [target, *_QUICK, link])
    with (
        patch("rtcprobe.probe.talking.of_stack", kept_too),
        patch("rtcprobe.probe.conversing.hear_turns", heard_too),
    ):
        tries = (run_probe(scenario, seed=1, clock="real") for _ in range(_TRIES))
        result = next((each for each in tries if each.accounts), None)
    if result is None:
        raise RuntimeError(f"this machine is too busy: {_TRIES} runs were void")
    begun_s = time.monotonic()
    while _asked(origin, "/calls") and time.monotonic() - begun_s < 2 * _RID_S:
        time.sleep(0.02)
    rid_s = time.monotonic() - begun_s
    log, (epoch_s, placed) = _asked(origin, "/log"), kept[-1]
    return Call(
        result=result,
        talk=heard[-1][0],
        heard=heard[-1][1],
        left_s=placed.spoke.left_s,
        came_s={int(stamp): at_s - epoch_s for stamp, at_s in log["came"].items()},
        spoke_s=[(begin_s - epoch_s, None if end_s is None else end_s - epoch_s) for begin_s, end_s in log["spoke"]],
        claims=placed.spoke.claims,
        rid_s=rid_s,
    )


def main() -> int:
    """Hold the conversations and print what was found; return 1 where a limit was missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("agents", nargs="*", default=list(AGENTS), metavar="AGENT", help="pipecat, livekit")
    parser.add_argument("--calls", type=int, default=3, help="calls over either delay")
    parser.add_argument("--address", default=_own_address())
    arguments = parser.parse_args()
    if unknown := [each for each in arguments.agents if each not in AGENTS]:
        parser.error(f"{unknown[0]} is none of {', '.join(AGENTS)}")
    if not PYTHON.exists():
        parser.error("the agents are not installed: .ci/install-live installs them")
    with suppress(PermissionError, AttributeError):  # not root, or not Linux: then neighbours are measured too
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    missed = False
    for name in arguments.agents:
        with tempfile.TemporaryDirectory() as folder, agent(name, arguments.address, Path(folder)) as origin:
            calls = {each: [held(origin, each) for _ in range(arguments.calls)] for each in (_NEAR_S, _FAR_S)}
        missed = not _told(name, calls[_NEAR_S], calls[_FAR_S]) or missed
    return 1 if missed else 0


def _told(name: str, near: Sequence[Call], far: Sequence[Call]) -> bool:
    """Print what the calls to one agent say; return whether the limits were kept."""
    turns = [turn for call in (*near, *far) for turn in call.turns()]
    sizes = sorted(abs(each.error_ms) for each in turns)
    p50, p95 = statistics.median(sizes), sizes[math.ceil(0.95 * len(sizes)) - 1]
    print(f"{name}: {len(turns)} answers and stops in {len(near) + len(far)} calls")
    print(f"  agent's part, ours against its own: p50 {p50:.1f}, p95 {p95:.1f}, max {sizes[-1]:.1f}")
    means = [_means(calls) for calls in (near, far)]
    moved = {key: (means[1][key] - means[0][key]) * 1e3 for key in means[0]}
    net = moved["response"] - moved["truth"] - moved["playout"]
    print(
        f"  80 ms more on both ways: response {moved['response']:+.1f}; ways {moved['ways']:+.1f}, agent's part "
        f"{moved['agent']:+.1f} (by its own log {moved['truth']:+.1f}), playout {moved['playout']:+.1f}"
    )
    for title, calls in (("20 ms", near), ("100 ms", far)):
        into = [each for call in calls for each in call.spoken_into()]
        ours, its = sum(each.ours for each in into), sum(each.its is True for each in into)
        open_, apart = (
            sum(each.its is None for each in into),
            sum(each.its is not each.ours for each in into if each.its is not None),
        )
        stops = [call.interruptions for call in calls]
        heeded, missed = sum(each.heard for each in stops), sum(each.lost for each in stops)
        false = sum(each.figures.get("false_stops", 0.0) for each in stops)
        print(
            f"  {title}: spoke into a turn {ours} times, by its own log {its}, and {open_} too near to say; "
            f"{apart} of {len(into)} turns told otherwise"
        )
        print(f"  {title}: interruptions heeded {heeded}, missed {missed}; uh-huhs that stopped it {false:g}")
    rid_s = max(call.rid_s for call in (*near, *far))
    print(f"  rid of the last session after {rid_s:.2f} s")
    kept = p95 <= _LIMIT_MS and abs(net - 160.0) <= _MOVED_MS and abs(moved["agent"] - moved["truth"]) <= _MOVED_MS
    return kept and rid_s <= _RID_S


def _means(calls: Sequence[Call]) -> dict[str, float]:
    """Return what the answers took, in the mean."""
    turns = [turn for call in calls for turn in call.turns() if turn.kind == "response"]
    parts = {
        "response": [each.delay_s for each in turns],
        "ways": [each.ways_s for each in turns],
        "agent": [each.agent_s for each in turns],
        "truth": [each.truth_s for each in turns],
        "playout": [each.playout_s for each in turns],
    }
    return {name: statistics.fmean(values) for name, values in parts.items()}


def _answer(folder: Path) -> Path:
    """Write what the agents say: a WAV file, 24 kHz."""
    path = folder / "answer.wav"
    sound = sound_of_words(_ANSWER, "ben", -26.0)[:: 48_000 // _ANSWER_RATE]  # synthetic: nothing above 8 kHz
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(_ANSWER_RATE)
        file.writeframes(np.round(np.clip(sound, -1, 1) * 32767).astype("<i2").tobytes())
    return path


def _asked(origin: str, path: str) -> Any:
    with urllib.request.urlopen(f"{origin}{path}", timeout=5) as answer:  # noqa: S310 - our own
        return json.loads(answer.read())


def _answers(address: str, port: int) -> bool:
    with suppress(OSError), socket.create_connection((address, port), timeout=1.0):
        return True
    return False


def _free_port(address: str) -> int:
    with socket.socket() as held_open:
        held_open.bind((address, 0))
        return int(held_open.getsockname()[1])


def _own_address() -> str:
    """Return an address of this machine that is not the loopback's, which aioice leaves out; nothing is sent."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as anywhere:
        with suppress(OSError):
            anywhere.connect(("192.0.2.255", 9))  # RFC 5737: nobody's
        return str(anywhere.getsockname()[0])


if __name__ == "__main__":
    sys.exit(main())
