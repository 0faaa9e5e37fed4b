"""Whether every undamaged picture is read, and no number that was not sent: 10,000 pictures, sizes, rates, both codecs.

Usage: python benchmarks/eye.py [--pictures N]. Each is painted, encoded, decoded and read, at its own size and scaled;
then with 5 % of the frames kept from the decoder, where numbers may be unreadable or old, but never one it did not get.
Exit code 1 if an undamaged picture was not read, or any was taken for what it is not.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterator, Sequence

import av
import numpy as np

from rtcprobe.picture.codec import Decoder, luma_of
from rtcprobe.picture.eye import Eye
from rtcprobe.picture.film import Film, Place
from rtcprobe.picture.marker import Reading, read
from rtcprobe.picture.settings import CODECS, VideoSettings

RATES_BPS = (100e3, 300e3, 500e3, 1500e3)
SMALL = ((320, 240, 15, 100e3), (160, 120, 15, 40e3), (1280, 720, 30, 1500e3))
SCALES = (1, 2, 4)
DAMAGE = 0.05  # of frames that the decoder does not get


def settings() -> Iterator[VideoSettings]:
    """Yield what is measured: 640x480 by codec and rate, then other sizes."""
    for codec in CODECS:
        for rate in RATES_BPS:
            yield VideoSettings(codec=codec, bitrate_bps=rate)
        for width, height, fps, rate in SMALL:
            yield VideoSettings(width=width, height=height, fps=fps, bitrate_bps=rate, codec=codec)


def undamaged(film: Film, count: int) -> dict[int, tuple[int, int, float]]:
    """Return by scale how many pictures were read right, how many wrong, and the weakest margin."""
    decoder, found = Decoder(film.settings.codec), {}
    right, wrong = dict.fromkeys(SCALES, 0), dict.fromkeys(SCALES, 0)
    margins = dict.fromkeys(SCALES, 1.0)
    for number in range(count):
        picture = decoder.decode(film.frame(Place(0, number)))
        for scale in SCALES:
            reading = None if picture is None else at_scale(picture, scale)
            if reading is not None:
                right[scale] += reading.number == number
                wrong[scale] += reading.number != number
                margins[scale] = min(margins[scale], reading.margin)
    for scale in SCALES:
        found[scale] = (right[scale], wrong[scale], margins[scale])
    return found


def at_scale(picture: av.VideoFrame, scale: int) -> Reading | None:
    """Read a picture made smaller, where it stays larger than a marker needs."""
    if scale > 1:
        picture = picture.reformat(width=picture.width // scale // 2 * 2, height=picture.height // scale // 2 * 2)
    return read(luma_of(picture))


def damaged(film: Film, count: int, random: np.random.Generator) -> tuple[int, int, int, int]:
    """Return how many pictures were taken for themselves, for an older one, for what the decoder never had; unread.

    The RTP time, which would tell an older one, is not looked at.
    """
    frame_s = film.settings.frame_s
    eye = Eye([number * frame_s for number in range(count)])
    decoder, had = Decoder(film.settings.codec), set[int]()
    right, old, impossible, unread = 0, 0, 0, 0
    for number in range(count):
        if number and random.random() < DAMAGE:
            continue
        had.add(number)
        picture = decoder.decode(film.frame(Place(0, number)))
        frame = eye.take(None if picture is None else read(luma_of(picture)), (number + 0.5) * frame_s)
        unread += frame is None
        right += frame == number
        old += frame is not None and frame != number and frame in had
        impossible += frame is not None and frame not in had
    return right, old, impossible, unread


def main(arguments: Sequence[str] | None = None) -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=10_000, help="in all, over the settings")
    options = parser.parse_args(arguments)
    asked = list(settings())
    count = -(-options.pictures // len(asked))
    begun_s, missed, mistaken, random = time.process_time(), 0, 0, np.random.default_rng(1)
    print("Damaged: pictures taken for themselves, for an older one, for one never had (wrong); not read.")
    print(f"{'codec':<6} {'size':<10} {'asked':>6} {'reached':>8} kbit/s  {'read at 1, 1/2, 1/4 (margin)':<50} damaged")
    for each in asked:
        film = Film(each)
        film.prepare(count)
        cells = []
        for scale, (right, wrong, margin) in undamaged(film, count).items():
            if each.width // scale >= 160:
                missed += count - right
            mistaken += wrong
            cells.append(f"{right}/{count} ({margin:.2f})" if each.width // scale >= 160 else f"[{right}/{count}]")
        right, old, impossible, unread = damaged(film, count, random)
        mistaken += impossible
        print(
            f"{each.codec:<6} {each.size:<10} {each.bitrate_bps / 1e3:>6.0f} {film.bitrate_bps() / 1e3:>8.0f}        "
            f"{'  '.join(cells):<50} {right:>4} {old:>4} {impossible:>4} {unread:>4}"
        )
    print(f"{len(asked) * count:,} pictures, {missed} not read, {mistaken} taken for what they are not;")
    print(f"in brackets: smaller than 160 pixels, not judged. {time.process_time() - begun_s:.0f} s of CPU")
    return int(missed > 0 or mistaken > 0)


if __name__ == "__main__":
    sys.exit(main())
