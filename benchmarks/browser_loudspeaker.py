"""Whether the ear in a page is right, by a truth that knows nothing of the browser: what its loudspeaker really played.

Our page in the machine's Chromium plays to a null sink of PulseAudio, and another programme (``parec``) records what
that sink puts out. A sample was pulled by the browser's output at an instant that the ear says, and came out of the
sink later, by what is under way between both: the browser's own buffers and the sink's. Browsers state it, by what the
sink tells them (``media-playout.totalPlayoutDelay``, W3C). So

    came out of the sink, in the recording  =  the ear's instant + the stated delay

and what is printed is by how much that fails, a marker at a time.

Facts:
    - The sink plays sample after sample without a gap, so the recording needs one number: when its first sample was put
      out. A block is rendered when the first of it is due, and the recorder gets it then (module-null-sink.c): of many
      reads the earliest tell that number. Recorded at 1 ms, the sink renders blocks of 1 ms.
    - A sink asks for two blocks at once now and then, and then for none for a while: single instants lie up to 6 ms
      beside a line, either way. The statement is a sum over samples, to be asked for at any time: between two askings
      it and the ear's instants both have a mean, and these are compared.
    - Browsers render at the sound server's own default rate, whatever the sink's is: were the two not alike, a filter
      stood between ear and loudspeaker, 2 ms that nobody states. So both are 48 kHz here.

Rules:
    1. A marker is compared by the means over ``AROUND_S`` before and after it.
    2. Where the browser did not pull for ``STALL_S``, the sink may have run dry and played nothing. What it then states
       is what it extrapolates from its last ``SETTLING_S`` (libpulse, ``SMOOTHER_HISTORY_TIME``): markers from then
       until after that are left out, and counted.

    apt install pulseaudio pulseaudio-utils
    python benchmarks/browser_loudspeaker.py [CALLS]
"""

from __future__ import annotations

import asyncio
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.ear import Hearing
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.call.ends.browser.launching import find_chromium
from rtcprobe.call.targets.base import CallSetup
from rtcprobe.call.targets.page import PageTarget
from rtcprobe.call.targets.page_call import PageCall
from rtcprobe.hearing.speech import speak
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.recording import Sounded
from rtcprobe.result import Clock
from rtcprobe.scenario import find_scenario
from rtcprobe.ways import Way

CALLS = 5
CALL_S = 10.0
BLOCK_MS = 1
BACK = Way("callee_to_caller")
LEAST = 5
"""Markers of a call that tells."""
ASK_S = 0.2
AROUND_S = 0.3
STALL_S = 0.020
"""Chromium lets the sink hold three of its buffers of 512 samples (pulse_util.cc): it asks when one has gone, and is
dry when the two others have, 21 ms later."""
SETTLING_S = 5.0
STATED = """(async () => {
    if (!globalThis.__rtcprobe) return [];
    const stats = (await __rtcprobe.figures()).flatMap((each) => each.stats);
    const playout = stats.filter((each) => each.type === 'media-playout');
    return playout.map((each) => [each.timestamp, each.totalPlayoutDelay, each.totalSamplesCount]);
})()"""


@dataclass
class Recording:
    """What ``parec`` gave: when each read returned (``time.monotonic()``), how many bytes there were by then, all."""

    at_s: list[float] = field(default_factory=list)
    ends: list[int] = field(default_factory=list)
    data: bytearray = field(default_factory=bytearray)

    def began_s(self) -> float:
        """Return when the first sample was put out: no read returned before the first of what it gave was."""
        begins_s = np.array([0, *self.ends[:-1]]) / (2 * SAMPLE_RATE_HZ)
        return float(np.percentile(np.array(self.at_s) - begins_s, 1))

    def samples(self) -> Any:
        """Return the sound, of full scale 1."""
        return (np.frombuffer(bytes(self.data), dtype="<i2") / 32768).astype(np.float32)


@contextmanager
def sink(folder: Path) -> Iterator[None]:
    """Run a PulseAudio of our own with nothing but a null sink, and name it to whoever asks."""
    socket = folder / "sound.socket"
    (folder / "daemon.conf").write_text(f"default-sample-rate = {SAMPLE_RATE_HZ}\n")
    modules = (
        f"module-null-sink sink_name=truth rate={SAMPLE_RATE_HZ} channels=1 channel_map=mono",
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
    )
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=yes"]
    own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_CONFIG": str(folder / "daemon.conf")}
    environment = {**os.environ, **own}
    server = subprocess.Popen(
        [*command, *(f"--load={each}" for each in modules)],
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    os.environ["PULSE_SERVER"] = f"unix:{socket}"
    try:
        until_s = time.monotonic() + 10.0
        while not socket.is_socket() and time.monotonic() < until_s:
            time.sleep(0.05)
        yield
    finally:
        server.terminate()
        server.wait()


def loud(folder: Path) -> str:
    """Return a Chromium that is not muted: playwright mutes every one that it starts."""
    script = folder / "chromium"
    script.write_text(
        '#!/bin/bash\nargs=()\nfor each in "$@"; do [ "$each" = --mute-audio ] || args+=("$each"); done\n'
        f'exec {find_chromium(None)} "${{args[@]}}"\n'
    )
    script.chmod(0o755)
    return str(script)


@contextmanager
def recorded() -> Iterator[Recording]:
    """Record what the sink puts out."""
    recorder = subprocess.Popen(
        [
            *("parec", "-d", "truth.monitor", "--raw", f"--rate={SAMPLE_RATE_HZ}", "--channels=1", "--format=s16le"),
            *(f"--latency-msec={BLOCK_MS}", f"--process-time-msec={BLOCK_MS}"),
        ],
        stdout=subprocess.PIPE,
    )
    found = Recording()
    assert recorder.stdout is not None
    out = recorder.stdout

    def read() -> None:
        while chunk := os.read(out.fileno(), 65_536):
            found.data += chunk
            found.at_s.append(time.monotonic())
            found.ends.append(len(found.data))

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    try:
        yield found
    finally:
        recorder.terminate()
        recorder.wait()
        thread.join(2.0)


class AskedCall(PageCall):
    """A call whose page is asked now and then what it states."""

    def __init__(self, executable: str, setup: CallSetup, seed: np.random.SeedSequence) -> None:
        super().__init__((), executable, setup, seed)
        self.stated: list[tuple[float, float, float]] = []
        """When asked (``time.monotonic()``); delays summed over samples, seconds; samples."""

    def let_speak(self, *, joining: bool) -> None:
        """Let the mouths speak, and begin to ask."""
        super().let_speak(joining=joining)
        self.meanwhile(self._ask())

    async def _ask(self) -> None:
        (page,) = self.pages
        while True:
            for told in await page.tab.everywhere(STATED):
                self.stated += [(at_ms / 1e3 + page.told.clock, delay_s, count) for at_ms, delay_s, count in told]
            await asyncio.sleep(ASK_S)


@dataclass(frozen=True, slots=True, kw_only=True)
class AskedTarget(PageTarget):
    """Our own page, asked."""

    def call(self, setup: CallSetup, seed: np.random.SeedSequence, clock: Clock) -> AskedCall:
        """Return a call, not yet begun."""
        del clock
        assert self.browser is not None
        return AskedCall(self.browser, setup, seed)


class Compared(NamedTuple):
    """Of the markers of a call, ms: how much later than the ear's instant each came out, and what was stated there."""

    later_ms: list[float]
    stated_ms: list[float]
    left_out: int

    @property
    def apart_ms(self) -> list[float]:
        """By how much the one is more than the other."""
        return [later - stated for later, stated in zip(self.later_ms, self.stated_ms, strict=True)]


def off_line_s(sound: Sounded) -> npt.NDArray[np.float64]:
    """Return when ``sound`` would have begun by each block of it, shape (blocks,): a line, but for stalls and pairs."""
    sizes = np.array(sound.sizes)
    return np.asarray(sound.at_s - (np.cumsum(sizes) - sizes) / SAMPLE_RATE_HZ)


def compare(
    sound: Sounded, truth: Hearing, ours: Hearing, began_s: float, stated: Sequence[tuple[float, float, float]]
) -> Compared:
    """Return what came of the markers heard in the recording and in the page's ``sound``, told from ``began_s`` on."""
    lines_s = off_line_s(sound)
    stalls_s = sound.at_s[1:][np.diff(sound.at_s) > STALL_S]
    asked_s, sums_s, counts = np.array([each for each in stated if each[2]]).T
    came = {each.marker.index: each.heard_s for each in truth.heard if each.heard_s is not None}
    later, told, left_out = [], [], 0
    for each in ours.heard:
        if each.heard_s is None or each.marker.index not in came:
            continue
        at_s = each.heard_s
        first, last = np.searchsorted(asked_s, [at_s - AROUND_S, at_s + AROUND_S])
        if first < 1 or last >= len(asked_s):
            continue
        first -= 1
        within = (sound.at_s > asked_s[first]) & (sound.at_s < asked_s[last])
        if ((stalls_s > asked_s[first] - SETTLING_S) & (stalls_s < asked_s[last])).any():
            left_out += 1
            continue
        pulled_s = at_s - began_s + float(lines_s[within].mean())
        later.append(1e3 * (came[each.marker.index] - pulled_s))
        told.append(1e3 * float((sums_s[last] - sums_s[first]) / (counts[last] - counts[first])))
    return Compared(later, told, left_out)


def called(number: int, executable: str) -> Compared | None:
    """Place a call; return what came of its markers, None where nothing did."""
    settings = [f"target={{url: page, browser: {executable}}}", "link=delay 10ms", f"call.duration={CALL_S:g}s"]
    scenario = find_scenario("1v1-social", [*settings, "budgets=[]"])
    voices = speak(scenario.sending("audio"), CALL_S)
    placing = Placing(AskedTarget(name="page", browser=executable, plans=()), "real")
    setup = call_setup(scenario, voices, routes(scenario, placing.target.routes), endless=False)
    with recorded() as recording:
        attempt = placing.talk(setup, np.random.SeedSequence(number), lambda _: None, lambda _: None)
    made, call = attempt.call, of_stack(attempt, outside=True)
    assert isinstance(made, AskedCall)
    if call.failed is not None or call.cut is not None:
        print(f"call {number + 1}: {call.failed or call.cut}")
        return None
    back = next(each for each in call.ways if each.way == BACK)
    spoken, epoch_s = voices[back.said.party], made.network.epoch_s
    assert back.came.sound is not None
    assert back.said.started_s is not None
    sound = replace(back.came.sound, at_s=np.array(back.came.sound.at_s) + epoch_s)
    markers = spoken.train.markers(CALL_S, start_s=back.said.started_s + epoch_s)
    # Not its first block: that is pulled as the output opens, and the next may be half a second behind it.
    began_s = float(np.median(off_line_s(sound)))
    ours, truth = (
        LongEar(spoken.train, markers, each_s, advance_s=spoken.advance_s) for each_s in (began_s, recording.began_s())
    )
    ours.hear(sound.pcm)
    truth.hear(recording.samples())
    return compare(sound, truth.hearing(), ours.hearing(), began_s, made.stated)


def main(calls: int) -> None:
    """Print how right the ear is."""
    for needed in ("pulseaudio", "parec"):
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is not installed: apt install pulseaudio pulseaudio-utils")
    with suppress(OSError, AttributeError):  # sink and recorder before whatever else the machine does
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print("call  markers, left out   came out after the ear's instant, ms   stated   apart: median, min to max")
    apart_ms = []
    with tempfile.TemporaryDirectory(prefix="rl", dir="/tmp") as name, sink(Path(name)):
        executable = loud(Path(name))
        for number in range(calls):
            found = called(number, executable)
            if found is None or len(found.later_ms) < LEAST:
                told = "" if found is None else f", {len(found.later_ms)} markers, {found.left_out} left out"
                print(f"{number + 1:4} does not count{told}")
                continue
            apart_ms.append(statistics.median(found.apart_ms))
            later, stated = statistics.median(found.later_ms), statistics.median(found.stated_ms)
            print(
                f"{number + 1:4} {len(found.later_ms):8}, {found.left_out:8} {later:37.2f} {stated:8.2f}"
                f" {apart_ms[-1]:14.2f}, {min(found.apart_ms):.2f} to {max(found.apart_ms):.2f}"
            )
    if not apart_ms:
        sys.exit(f"none of {calls} calls counts: try again on a machine with less to do")
    print(
        f"apart in {len(apart_ms)} calls, medians: {statistics.median(apart_ms):.2f},"
        f" {min(apart_ms):.2f} to {max(apart_ms):.2f}"
    )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
