"""Encoded speech kept on disk, under the name of all that its bytes depend on.

Rules:
    1. A name says what is spoken, how it is encoded, and what does both: this room's sources, numpy, libopus, and the
       instructions that this processor has, by which numpy and libopus choose their code. Who changes a source here
       need not remember to say so.
    2. Decoded sound is not kept: reading it is quicker than decoding, but after the first packet lost a decoder's
       states are asked for, which hold addresses of one process and can only be made by decoding.
    3. Long speech is not kept, nor ever held at once: an hour of it is 180,000 objects.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Final

import numpy as np

from rtcprobe.audio.mouth import Mouth, encoded
from rtcprobe.audio.opus import OpusSettings, library_build
from rtcprobe.shelf import Shelf

__all__ = ["kept_or_encoded"]

_MAKERS: Final = ("mouth.py", "marker.py", "opus.py", "pcm.py")
# Rule 3: at ten minutes a row of payloads is 30,000 objects, and a file 2.4 MB at 32 kb/s.
_LONGEST_S: Final = 600.0


def kept_or_encoded(mouth: Mouth, codec: OpusSettings, duration_s: float, shelf: Shelf | None) -> Iterable[bytes]:
    """Return the payloads of ``duration_s`` of what ``mouth`` says: from ``shelf``, or encoded and put there."""
    by = None if shelf is None or duration_s > _LONGEST_S else _made_by()
    if shelf is None or by is None:
        return encoded(mouth.pieces(duration_s), codec)
    name = f"{duration_s!r} s of {mouth.name} as {codec} by {by}"
    payloads = shelf.take(name, math.ceil(round(duration_s / codec.ptime_s, 6)))
    if payloads is None:
        payloads = list(encoded(mouth.pieces(duration_s), codec))
        shelf.put(name, payloads)
    return payloads


@lru_cache(maxsize=1)
def _made_by() -> str | None:
    """Return what speaks and encodes here; None where that cannot be told, as of sources packed in an archive."""
    sources = hashlib.sha256()
    try:
        for name in _MAKERS:
            sources.update(Path(__file__).with_name(name).read_bytes())
    except OSError:
        return None
    found = np.show_config(mode="dicts")["SIMD Extensions"]["found"]
    return f"{sources.hexdigest()[:16]}, numpy {np.__version__} with {' '.join(found)}, {library_build()}"
