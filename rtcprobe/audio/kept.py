"""Encoded speech, and what an ear looks for in it, kept on disk under the name of all that the bytes depend on.

Rules:
    1. A name says what is spoken, how it is encoded, and what does both: this package's sources, numpy, libopus, and
       the instructions that this processor has, by which they choose their code. Who changes a source here need not
       remember to say so.
    2. Decoded sound is not kept: after the first packet lost a decoder's states are asked for, which hold addresses of
       one process and can only be made by decoding.
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
import scipy

from rtcprobe.audio.marker import CODES
from rtcprobe.audio.matched import know, written_spectra
from rtcprobe.audio.mouth import Mouth, encoded
from rtcprobe.audio.opus import OpusSettings, library_build
from rtcprobe.shelf import Shelf

__all__ = ["kept_or_encoded", "know_markers"]

_MAKERS: Final = ("mouth.py", "marker.py", "matched.py", "opus.py", "pcm.py")
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
def know_markers(shelf: Shelf) -> None:
    """Have the spectra of all markers ready for every ear of this process: from ``shelf``, or worked out and put there.

    They are 0.7 MB; of two who talk every one is looked for.
    """
    by = _made_by()
    if by is None:
        return
    name = f"spectra of {CODES} markers by {by}, scipy {scipy.__version__}"
    written = shelf.take(name, CODES)
    if written is None:
        shelf.put(name, written_spectra())
    else:
        know(written)


@lru_cache(maxsize=1)
def _made_by() -> str | None:
    """Return what speaks and encodes here; None where that cannot be told, as of sources packed in an archive."""
    sources = hashlib.sha256()
    try:
        for name in _MAKERS:
            sources.update(Path(__file__).with_name(name).read_bytes())
    except OSError:
        return None
    # numpy leaves empty lists out: a processor with no instructions beyond those it was built for has no "found".
    found = np.show_config(mode="dicts").get("SIMD Extensions", {}).get("found", ())
    return f"{sources.hexdigest()[:16]}, numpy {np.__version__} with {' '.join(found)}, {library_build()}"
