"""Each name of aiortc and aioice that the seam leans on, held: a new release that moves one fails here, and says so."""

import asyncio
import hashlib
import time

import aioice
import aiortc
import numpy as np
import pytest
from cryptography.hazmat.primitives import serialization

from rtcprobe.runtime import aiortc_seam
from rtcprobe.runtime.entropy import Entropy
from rtcprobe.runtime.virtual import EPOCH_S, VirtualEventLoop


def virtual(coroutine):
    with asyncio.Runner(loop_factory=lambda: VirtualEventLoop(Entropy(np.random.SeedSequence(1)))) as runner:
        return runner.run(coroutine)


def test_the_versions_are_those_the_seam_knows():
    assert aiortc.__version__.startswith("1.16.")
    assert aioice.__version__.startswith("0.13.")


def test_installing_twice_is_installing_once():
    aiortc_seam.install()
    once = aiortc.clock.current_datetime
    aiortc_seam.install()
    assert aiortc.clock.current_datetime is once


def test_outside_our_loops_the_stack_keeps_the_machines_clock_and_randomness():
    aiortc_seam.install()
    assert abs(aiortc.clock.current_datetime().timestamp() - time.time()) < 60
    assert aiortc.utils.random32() != aiortc.utils.random32()
    assert aioice.utils.random_string(22) != aioice.utils.random_string(22)


def test_in_virtual_time_every_clock_of_the_stack_reads_the_loop():
    aiortc_seam.install()

    async def main():
        await asyncio.sleep(12.5)
        clock = aiortc.clock
        return (
            clock.current_datetime().timestamp(),
            clock.current_ms() / 1e3 - 2_208_988_800,
            clock.current_ntp_time() / 2**32 - 2_208_988_800,
            aiortc.rtcrtpsender.time.time(),
            aiortc.rtcrtpreceiver.time.time(),
        )

    assert virtual(main()) == pytest.approx([EPOCH_S + 12.5] * 5, abs=2e-3)


def test_in_virtual_time_every_draw_of_the_stack_is_seeded():
    aiortc_seam.install()

    async def main():
        return (
            aiortc.utils.random32(),
            aiortc.rtcrtpsender.random.random(),
            aioice.ice.random.random(),
            aioice.ice.secrets.randbits(64),
            aioice.utils.random_string(22),
            aioice.utils.random_transaction_id(),
            str(aiortc.rtcpeerconnection.uuid.uuid4()),
        )

    assert virtual(main()) == virtual(main())


def test_fingerprints_are_written_as_rfc_8122_has_them():
    aiortc_seam.install()
    certificate = aiortc.RTCCertificate.generateCertificate()
    for fingerprint in certificate.getFingerprints():
        digest = getattr(hashlib, fingerprint.algorithm.replace("-", ""))(
            certificate._cert.public_bytes(serialization.Encoding.DER)
        ).digest()
        assert fingerprint.value == ":".join(f"{byte:02X}" for byte in digest)


def test_a_codec_agreed_on_is_a_copy_to_its_last_part():
    aiortc_seam.install()
    ours = aiortc.codecs.CODECS["video"][0]
    (copied,) = aiortc.rtcpeerconnection.find_common_codecs([ours], [ours])
    assert copied == ours
    copied.parameters["x"] = 1
    copied.rtcpFeedback.clear()
    assert "x" not in ours.parameters
    assert ours.rtcpFeedback
