"""Opus through libopus: every encoder control, concealment, and in-band redundancy.

Facts:
    PyAV's own codec classes offer neither packet-loss concealment nor in-band FEC, and libwebrtc-style controls
    (expected loss, DTX, packet time) only in part; the libopus inside PyAV's wheels has them all. This file finds
    that library (``av.libs`` beside the package on Linux and Windows, ``av/.dylibs`` on macOS), falls back to the
    system's, and calls a dozen of its functions.

Rules:
    1. Mono, 48 kHz. What a call sends is one microphone, and Opus' RTP clock is 48 kHz anyway (RFC 7587 §4.1).
    2. A payload is hostile input: whatever is wrong with it is a ``ValueError``, and the decoder stays usable.
    3. ``opus_encoder_ctl`` is variadic. Its fixed arguments are declared and each variable one is a typed ctypes
       value, as the arm64 calling convention of macOS demands.

Source: RFC 6716 (Opus), RFC 7587 (its RTP payload), ``opus.h`` and ``opus_defines.h`` of libopus.
"""

from __future__ import annotations

import ctypes
import ctypes.util
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from rtcprobe.audio.opus_packet import MAX_PACKET_SAMPLES, duration_samples, has_fec
from rtcprobe.audio.pcm import SAMPLE_RATE_HZ, Pcm
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.units import format_duration, format_rate, format_ratio

__all__ = [
    "APPLICATIONS",
    "BANDWIDTHS",
    "PTIMES_S",
    "SAMPLE_RATE_HZ",
    "OpusDecoder",
    "OpusEncoder",
    "OpusSettings",
    "library_build",
    "library_version",
]


APPLICATIONS = {"voip": 2048, "audio": 2049, "lowdelay": 2051}
"""Coding modes by name. Source: ``OPUS_APPLICATION_*`` in ``opus_defines.h``."""

BANDWIDTHS = {"narrowband": 1101, "mediumband": 1102, "wideband": 1103, "superwideband": 1104, "fullband": 1105}
"""The widest audio band coded, by name. Source: ``OPUS_BANDWIDTH_*`` in ``opus_defines.h``; RFC 6716 table 1."""

PTIMES_S = (0.0025, 0.005, 0.010, 0.020, 0.040, 0.060, 0.080, 0.100, 0.120)
"""Packet times libopus encodes. Source: ``opus_encode`` in ``opus.h``; RFC 6716 §2.1.4."""

_MAX_PAYLOAD_BYTES = 1275 * 6 + 7  # 120 ms of the largest frames and their framing. Source: RFC 6716 §3.2, §3.4
_PLC_GRAIN_SAMPLES = 120  # concealment comes in multiples of 2.5 ms. Source: ``opus_decode`` in ``opus.h``
_CODE = {
    "bitrate": 4002,
    "max_bandwidth": 4004,
    "complexity": 4010,
    "inband_fec": 4012,
    "packet_loss": 4014,
    "dtx": 4016,
    "lookahead": 4027,
}
"""Encoder controls; a request that reads is odd. Source: ``OPUS_SET_*_REQUEST``, ``OPUS_GET_LOOKAHEAD_REQUEST``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpusSettings:
    """How a mouth encodes: the fields are those of libopus, in SI units.

    ``fec`` asks for in-band redundancy, which libopus only spends bits on when ``expected_loss`` is above 0 and
    the mode has a SILK layer; ``application`` ``"lowdelay"`` never has one. ``complexity`` is 0 (quick) to 10.

    Two defaults are the instrument's, chosen by measurement, and differ from what a browser uses. ``bandwidth``:
    with more than wideband, libopus in ``voip`` below about 64 kb/s splits its bits between a SILK and a CELT layer,
    and where they are few (packets of 40 ms and more, or FEC) the lower layer no longer carries a marker:
    correlations of 0.1 to 0.5, against 0.87 and more in wideband; the delay of both is the same. ``complexity``: 60 s
    take 0.25 s to encode at 0, 0.6 at 5, 0.9 at 9, at equal timing. With ``fec`` at 32 kb/s and less, 5 is worth its
    price: at 0 one marker in ten is coded too poorly to be heard.
    """

    bitrate_bps: int = 32_000
    application: str = "voip"
    fec: bool = False
    expected_loss: float = 0.0
    ptime_s: float = 0.020
    dtx: bool = False
    complexity: int = 0
    bandwidth: str = "wideband"

    def __post_init__(self) -> None:
        if not 6_000 <= self.bitrate_bps <= 510_000:  # RFC 6716 §2.1.1
            raise BadInputError(f"Opus bitrate {format_rate(self.bitrate_bps)} is impossible", "give 6kbps to 510kbps")
        if self.application not in APPLICATIONS:
            raise BadInputError(
                f"Opus application {self.application!r} is unknown", f"use one of {', '.join(APPLICATIONS)}"
            )
        if not 0.0 <= self.expected_loss <= 1.0:
            raise BadInputError(f"expected loss {format_ratio(self.expected_loss)} is impossible", "give 0% to 100%")
        if not any(abs(self.ptime_s - known) < 1e-9 for known in PTIMES_S):
            known = ", ".join(format_duration(ptime) for ptime in PTIMES_S)
            raise BadInputError(
                f"Opus packet time {format_duration(self.ptime_s)} is impossible", f"use one of {known}"
            )
        if not 0 <= self.complexity <= 10:
            raise BadInputError(f"Opus complexity {self.complexity} is impossible", "give 0 to 10")

        if self.bandwidth not in BANDWIDTHS:
            raise BadInputError(f"Opus bandwidth {self.bandwidth!r} is unknown", f"use one of {', '.join(BANDWIDTHS)}")

    @property
    def frame_samples(self) -> int:
        """Samples of one packet."""
        return round(self.ptime_s * SAMPLE_RATE_HZ)


class OpusEncoder:
    """One mono stream of packets; ``encode`` is called once per packet time, in order."""

    def __init__(self, settings: OpusSettings) -> None:
        self.settings = settings
        self._lib = _library()
        # The state lives in memory of ours, so that it goes when the object goes.
        self._state = ctypes.create_string_buffer(self._lib.opus_encoder_get_size(1))
        # One for all packets: ``encode`` copies out of it, so nobody holds memory that the next packet
        # overwrites.
        self._out = ctypes.create_string_buffer(_MAX_PAYLOAD_BYTES)
        self._in = np.empty(settings.frame_samples, dtype=np.float32)
        self._in_address = self._in.ctypes.data  # asked for anew it costs a twentieth of what encoding does
        _check(
            self._lib.opus_encoder_init(self._state, SAMPLE_RATE_HZ, 1, APPLICATIONS[settings.application]),
            "opus_encoder_init",
        )
        self._set("bitrate", settings.bitrate_bps)
        self._set("max_bandwidth", BANDWIDTHS[settings.bandwidth])
        self._set("complexity", settings.complexity)
        self._set("inband_fec", int(settings.fec))
        self._set("packet_loss", round(settings.expected_loss * 100))
        self._set("dtx", int(settings.dtx))

    @property
    def lookahead_samples(self) -> int:
        """Algorithmic delay of encoder and decoder together: 312 samples in voip and audio, 120 in lowdelay."""
        value = ctypes.c_int32()
        _check(
            self._lib.opus_encoder_ctl(self._state, ctypes.c_int(_CODE["lookahead"]), ctypes.byref(value)), "lookahead"
        )
        return value.value

    def encode(self, pcm: npt.NDArray[np.float32] | npt.NDArray[np.int16]) -> bytes:
        """Return the payload of one packet.

        Args:
            pcm: shape (``settings.frame_samples``,), float32 (full scale ±1.0) or int16.

        Raises:
            ValueError: another shape or type.
        """
        samples = self.settings.frame_samples
        if pcm.shape != (samples,):
            raise ValueError(f"a packet holds {samples} samples, got an array of shape {pcm.shape}")
        if pcm.dtype == np.float32:
            self._in[:] = pcm
            size = self._lib.opus_encode_float(self._state, self._in_address, samples, self._out, _MAX_PAYLOAD_BYTES)
        elif pcm.dtype == np.int16:
            # libopus reads samples in a row: of a strided view it would read what lies between them.
            whole = np.ascontiguousarray(pcm)
            size = self._lib.opus_encode(self._state, whole.ctypes.data, samples, self._out, _MAX_PAYLOAD_BYTES)
        else:
            raise ValueError(f"samples are float32 or int16, got {pcm.dtype}")
        _check(size, "opus_encode")
        return ctypes.string_at(self._out, size)

    def _set(self, name: str, value: int) -> None:
        _check(self._lib.opus_encoder_ctl(self._state, ctypes.c_int(_CODE[name]), ctypes.c_int32(value)), name)


class OpusDecoder:
    """One mono stream decoded in order; fills the ``Decoder`` protocol of the playout room."""

    def __init__(self) -> None:
        self._lib = _library()
        fresh = _fresh_state()
        self._state = ctypes.create_string_buffer(fresh, len(fresh))
        self._out = np.empty(MAX_PACKET_SAMPLES, dtype=np.float32)
        self._out_address = self._out.ctypes.data

    def decode(self, payload: bytes) -> Pcm:
        """Return the samples of one packet, shape (samples,).

        Raises:
            ValueError: the payload is empty or damaged.
        """
        if not payload:
            raise ValueError("an empty payload holds no Opus packet")
        return self._decode(payload, MAX_PACKET_SAMPLES, fec=0)

    def decode_fec(self, payload: bytes, samples: int) -> Pcm:
        """Return the ``samples`` before ``payload`` from its in-band redundancy; without any, concealment.

        Raises:
            ValueError: the payload is empty or damaged, or ``samples`` is no multiple of 2.5 ms up to 120 ms.
        """
        if not payload:
            raise ValueError("an empty payload holds no Opus packet")
        return self._decode(payload, _grain(samples), fec=1)

    def conceal(self, samples: int) -> Pcm:
        """Return ``samples`` of the codec's own concealment; the decoder's state moves on as if they were decoded.

        Raises:
            ValueError: ``samples`` is no multiple of 2.5 ms up to 120 ms.
        """
        return self._decode(None, _grain(samples), fec=0)

    def state(self) -> bytes:
        """Return all that this decoder will go by, for ``resume``: equal states decode alike, to the bit."""
        return self._state.raw

    def resume(self, state: bytes) -> None:
        """Go on from the state of another decoder of this process."""
        self._state.raw = state

    def duration_samples(self, payload: bytes) -> int:
        """Return how many samples ``payload`` decodes to, without decoding; ``ValueError`` when malformed."""
        return duration_samples(payload)

    def has_fec(self, payload: bytes) -> bool:
        """Return whether ``payload`` carries in-band redundancy for the frame before it."""
        return has_fec(payload)

    def _decode(self, payload: bytes | None, samples: int, *, fec: int) -> Pcm:
        size = 0 if payload is None else len(payload)
        got = self._lib.opus_decode_float(self._state, payload, size, self._out_address, samples, fec)
        if got < 0:
            raise ValueError(f"libopus refused a payload of {size} bytes: {_reason(got)}")
        # The next packet is decoded into the same memory.
        return self._out[:got].copy()


@lru_cache(maxsize=1)
def _fresh_state() -> bytes:
    """Return the state of a decoder that was given nothing yet: copying it takes a hundredth of making it anew."""
    library = _library()
    state = ctypes.create_string_buffer(library.opus_decoder_get_size(1))
    _check(library.opus_decoder_init(state, SAMPLE_RATE_HZ, 1), "opus_decoder_init")
    return state.raw


def library_version() -> str:
    """Return what the loaded library calls itself, e.g. ``"libopus 1.6.1"``."""
    return str(_library().opus_get_version_string().decode())


def library_build() -> str:
    """Return which build of libopus is loaded: its version, and of a file of its own the name, size and time."""
    path = Path(str(_library()._name))  # noqa: SLF001 - there is no other way to it
    try:
        stat = path.stat()
    except OSError:  # found by the system's loader, by its name alone
        return f"{library_version()} of {path.name}"
    return f"{library_version()} of {path.name}, {stat.st_size} bytes of {stat.st_mtime_ns}"


def _grain(samples: int) -> int:
    if samples % _PLC_GRAIN_SAMPLES or not 0 < samples <= MAX_PACKET_SAMPLES:
        raise ValueError(f"libopus conceals multiples of 120 samples up to 5760, not {samples}")
    return samples


@lru_cache(maxsize=1)
def _library() -> Any:
    """Load libopus once and declare what is called of it.

    Raises:
        MeasurementError: no libopus anywhere.
    """
    tried: list[str] = []
    for name in _candidates():
        try:
            return _declare(ctypes.CDLL(name))
        except (OSError, AttributeError) as error:
            tried.append(f"{name} ({error})")
    where = f" (tried {'; '.join(tried)})" if tried else ""
    raise MeasurementError(
        f"no libopus found{where}", "install PyAV from its wheels (pip install av) or the system package (libopus0)"
    )


def _candidates() -> Iterator[str]:
    """Yield where libopus may be, best first: PyAV's wheels, then the system, for which programs are started."""
    spec = find_spec("av")
    for package in spec.submodule_search_locations or () if spec is not None else ():
        # Where auditwheel and delvewheel put a wheel's libraries, and where delocate does.
        for folder in (Path(package).parent / "av.libs", Path(package) / ".dylibs"):
            if folder.is_dir():
                yield from sorted(str(path) for path in folder.glob("*opus*") if "opusfile" not in path.name)
    system = ctypes.util.find_library("opus")
    if system:
        yield system


def _declare(lib: ctypes.CDLL) -> ctypes.CDLL:
    pointer, number, size = ctypes.c_void_p, ctypes.c_int, ctypes.c_int32
    signatures: dict[str, tuple[Any, list[Any]]] = {
        "opus_get_version_string": (ctypes.c_char_p, []),
        "opus_strerror": (ctypes.c_char_p, [number]),
        "opus_encoder_get_size": (number, [number]),
        "opus_encoder_init": (number, [pointer, size, number, number]),
        "opus_encoder_ctl": (number, [pointer, number]),
        "opus_encode": (size, [pointer, pointer, number, pointer, size]),
        "opus_encode_float": (size, [pointer, pointer, number, pointer, size]),
        "opus_decoder_get_size": (number, [number]),
        "opus_decoder_init": (number, [pointer, size, number]),
        "opus_decode_float": (number, [pointer, ctypes.c_char_p, size, pointer, number, number]),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        # Without them ctypes takes every argument for a C int, which cuts pointers off on 64 bits.
        function.restype, function.argtypes = result, arguments
    return lib


def _reason(code: int) -> str:
    return str(_library().opus_strerror(code).decode())


def _check(code: int, what: str) -> None:
    if code < 0:
        raise MeasurementError(f"libopus refused {what}: {_reason(code)}")
