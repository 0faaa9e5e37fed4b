"""Whether the ear in a page is right, by a truth that knows nothing of the browser: what its loudspeaker really played.

Our page in the machine's Chromium plays to a null sink of PulseAudio, and another programme (``parec``) records what
that sink puts out. A marker was pulled by the browser's output at an instant that the ear says, and came out of the
sink later, by what is under way between both: the browser's own buffer and the sink's. Browsers state it, by what the
sink tells them (``media-playout.totalPlayoutDelay``, W3C). So, over the markers of a call,

    came out of the sink, in the recording  =  the ear's instant + the stated delay

and what is printed is by how much that fails. Single markers differ by some milliseconds, for a sink asks for two or
three blocks at a time; the statement is a mean over the call, and so is what it is compared with.

Fact: the sink plays sample after sample without a gap, so the recording needs one number: when its first sample was put
    out. A block is rendered when the first of it is due, and the recorder gets it then (module-null-sink.c): of many
    reads the earliest tell that number.

    apt install pulseaudio pulseaudio-utils
    python benchmarks/browser_loudspeaker.py [CALLS]
"""

from __future__ import annotations

import math
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
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from rtcprobe.audio.ear import MarkerOutcome
from rtcprobe.audio.long_ear import LongEar
from rtcprobe.audio.marker import Marker
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ
from rtcprobe.call.ends.browser.launching import find_chromium
from rtcprobe.call.targets.base import find_target
from rtcprobe.hearing.speech import Spoken, speak
from rtcprobe.probe.placed import of_stack
from rtcprobe.probe.placing import Placing
from rtcprobe.probe.routes import routes
from rtcprobe.probe.setup import call_setup
from rtcprobe.recording import Sounded
from rtcprobe.scenario import find_scenario
from rtcprobe.ways import Way

CALLS = 5
CALL_S = 10.0
BLOCK_MS = 1
BACK = Way("callee_to_caller")
LEAST = 5
"""Markers of a call that tells."""


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
    modules = (
        f"module-null-sink sink_name=truth rate={SAMPLE_RATE_HZ} channels=1 channel_map=mono",
        f"module-native-protocol-unix socket={socket} auth-anonymous=1",
    )
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no", "--realtime=yes"]
    environment = {**os.environ, "HOME": str(folder), "XDG_RUNTIME_DIR": str(folder)}
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


def heard_by_ear(sound: Sounded, spoken: Spoken, markers: Sequence[Marker], epoch_s: float) -> Sequence[MarkerOutcome]:
    """Return when each marker was pulled, by the ear's blocks; a sink pulls unevenly: none is set aside."""
    began_s, sizes = float(sound.at_s[0]) + epoch_s, sound.sizes
    begins = (np.cumsum(sizes) - sizes) / SAMPLE_RATE_HZ
    ear = LongEar(spoken.train, markers, began_s, advance_s=spoken.advance_s)
    ear.hear(sound.pcm)

    def instant_s(heard_s: float) -> float:
        place_s = heard_s - began_s
        block = max(0, int(np.searchsorted(begins, place_s, side="right")) - 1)
        return float(sound.at_s[block]) + epoch_s + place_s - float(begins[block])

    return ear.hearing().with_clock(instant_s).heard


def later_ms(number: int, executable: str) -> tuple[list[float], float] | None:
    """Place a call; return how long after the ear's instant each marker came out, ms, and what the browser states."""
    settings = [f"target={{url: page, browser: {executable}}}", "link=delay 10ms", f"call.duration={CALL_S:g}s"]
    scenario = find_scenario("1v1-social", [*settings, "budgets=[]"])
    voices = speak(scenario.sending("audio"), CALL_S)
    placing = Placing(find_target(scenario.target), "real")
    setup = call_setup(scenario, voices, routes(scenario, placing.target.routes), endless=False)
    with recorded() as recording:
        attempt = placing.talk(setup, np.random.SeedSequence(number), lambda _: None, lambda _: None)
    call = of_stack(attempt, outside=True)
    if call.failed is not None or call.cut is not None:
        print(f"call {number + 1}: {call.failed or call.cut}")
        return None
    back = next(each for each in call.ways if each.way == BACK)
    spoken = voices[back.said.party]
    assert back.came.sound is not None
    assert back.said.started_s is not None
    stated_s = back.came.sound.figures.get("meanPlayoutDelay", math.nan)
    sound, epoch_s = back.came.sound, attempt.call.network.epoch_s
    markers = spoken.train.markers(CALL_S, start_s=back.said.started_s + epoch_s)
    heard_here = heard_by_ear(sound, spoken, markers, epoch_s)
    pulled_s = {each.marker.index: each.heard_s for each in heard_here if each.heard_s is not None}
    truth = LongEar(spoken.train, markers, recording.began_s(), advance_s=spoken.advance_s)
    truth.hear(recording.samples())
    heard = [each for each in truth.hearing().heard if each.heard_s is not None and each.marker.index in pulled_s]
    found = [1e3 * (each.heard_s - pulled_s[each.marker.index]) for each in heard if each.heard_s is not None]
    return found, 1e3 * stated_s


def main(calls: int) -> None:
    """Print how right the ear is."""
    for needed in ("pulseaudio", "parec"):
        if shutil.which(needed) is None:
            sys.exit(f"{needed} is not installed: apt install pulseaudio pulseaudio-utils")
    with suppress(OSError, AttributeError):  # sink and recorder before whatever else the machine does
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    print("call  markers  came out after the ear's instant, ms: median, min to max   stated by the browser   apart")
    apart_ms = []
    with tempfile.TemporaryDirectory(prefix="rl", dir="/tmp") as name, sink(Path(name)):
        executable = loud(Path(name))
        for number in range(calls):
            found, stated_ms = later_ms(number, executable) or ([], math.nan)
            if len(found) < LEAST:
                continue
            apart_ms.append(statistics.median(found) - stated_ms)
            spread = f"{min(found):.1f} to {max(found):.1f}"
            print(
                f"{number + 1:4} {len(found):8} {statistics.median(found):30.2f}, {spread:>14}"
                f" {stated_ms:22.2f} {apart_ms[-1]:10.2f}"
            )
    if apart_ms:
        print(
            f"of {len(apart_ms)} calls: {statistics.median(apart_ms):.2f}, {min(apart_ms):.2f} to {max(apart_ms):.2f}"
        )


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else CALLS)
