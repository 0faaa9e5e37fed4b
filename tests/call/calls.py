"""Calls in virtual time for the tests of ``call/``: a plan, a seed, and the call when it has ended."""

import asyncio

import numpy as np

from rtcprobe.call.mouth_track import Speech
from rtcprobe.call.targets.loopback import ROUTES, CallSetup, LoopbackCall
from rtcprobe.link import LinkSpec
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import VirtualEventLoop

OPUS_SILENCE = bytes([0x78, 0xFF, 0xFE])  # any payload travels; nothing decodes it here


def setup(link=None, *, routes=None, frames=40, endless=True, connection="cold", dtls_s=1.0, join_timeout_s=30.0):
    speech = Speech(frames=[OPUS_SILENCE] * frames, ptime_s=0.020, endless=endless)
    return CallSetup(
        routes={route: [link or LinkSpec()] for route in ROUTES} | (routes or {}),
        speech={"caller": speech, "callee": speech},
        connection=connection,
        dtls_timeout_s=dtls_s if callable(dtls_s) else lambda _round_trip_s: dtls_s,
        join_timeout_s=join_timeout_s,
        linger_s=0.05,
    )


def call(plan, seed=1, *, talk=False, deaf=False):
    """Return a call that has ended; ``deaf``: nothing tells the mouths that they have come to their end."""
    entropy_seed, call_seed = np.random.SeedSequence(seed).spawn(2)

    async def main():
        made = LoopbackCall(plan, call_seed, sockets=False)
        if deaf:
            made.caller.track.finished = asyncio.Event()
            made.caller.track.finished.set = lambda: None
        await (made.talk() if talk else made.join())
        return made

    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(entropy_seed))) as runner:
        return runner.run(main())
