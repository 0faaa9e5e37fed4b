"""``rtcprobe hear``: a recording of a call, heard as its listener heard it."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcprobe.cli.common import INTERRUPTED, console
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rtcprobe.capture import Bound, Dump, Heard

__all__ = ["hear"]

_EXIT_CODES = f"Exit codes: 0 budgets met (or none given), 1 a budget missed, 2 bad file or usage, {INTERRUPTED}."
# Each is read whole, and its page has pictures: a shell's * in the wrong folder would be an hour.
_MOST_FILES = 16


@click.command(epilog=_EXIT_CODES, short_help="Hear a capture or an event log of a call.")
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
# 32 bits (RFC 3550 §5.1).
@click.option("--ssrc", type=click.IntRange(0, 2**32 - 1), metavar="N", help="Hear this stream alone.")
@click.option("--from", "begin", metavar="TIME", help="Leave the beginning out of the figures, like 5s.")
@click.option("--one-way", metavar="TIME", help="How long the fastest packet took from the mouth: gives mouth-to-ear.")
@click.option(
    "--budget", "budgets", multiple=True, metavar="LINE", help="Like 'concealed mean < 2%'; may be given again."
)
@click.option(
    "--pair", is_flag=True, help="FILEs are one call at two places (or one file with both): what lies between."
)
@click.option(
    "--dump", "dump_paths", multiple=True, metavar="FILE",
    help="A browser's own count of the same call (chrome://webrtc-internals), put beside ours; may be given again.",
)  # fmt: skip
@click.option("--json", "json_path", metavar="PATH|-", help="Write everything as JSON (several files: an array).")
@click.option("--html", "html_path", metavar="PATH|-", help="Write one page that opens anywhere.")
@click.option("--wav", "wav_path", metavar="PATH", help="Write what was heard, where the sound is in clear.")
def hear(
    *,
    files: tuple[str, ...],
    pair: bool,
    dump_paths: tuple[str, ...],
    json_path: str | None,
    html_path: str | None,
    **asked: Any,
) -> int:
    """Hear FILEs: pcap or pcapng captures, RTC event logs of Chromium, Janus recordings (.mjr), gzipped or not.

    Packets are played through the NetEQ that every call is heard through. A capture says what a receiver that is on
    time would hear; an event log, what its writer heard. Without --ssrc the longest stream of sound is heard, and of
    video seen, and those at least half as long. Video is played through libwebrtc's receiver.
    """
    from rtcprobe.report.json import write_whole
    from rtcprobe.report.lines import print_lines

    wav_path = asked["wav_path"]
    need_places({"--json": json_path, "--html": html_path, "--wav": wav_path})
    if len(files) > _MOST_FILES:
        raise BadInputError(f"{len(files)} files are too many at once", f"give {_MOST_FILES} at most")
    screen = console(stderr="-" in (json_path, html_path))
    if pair and dump_paths:
        raise BadInputError("--pair and --dump do not go together", "hear the listener's FILE alone with --dump")
    if pair:
        return _pair(files, json_path)
    if wav_path is not None and len(files) > 1:
        raise BadInputError("--wav writes the sound of one file", "give one FILE")
    if dump_paths and len(files) > 1:
        raise BadInputError("--dump is of one recording", "give one FILE")
    from rtcprobe.cli.reading import read_dumps

    dumps = read_dumps(dump_paths)
    # All are heard before anything is shown: a file that cannot be read is refused without half a screen.
    heard = [_heard(path, dumps=dumps, **asked) for path in files]
    for each in heard:
        from rtcprobe.report.heard import heard_lines

        print_lines(heard_lines(each), screen)
    if json_path is not None:
        write_whole(_as_json(heard, ascii_only=json_path == "-"), json_path)
    if html_path is not None:
        from rtcprobe.report.html import render_heard

        write_whole(render_heard(heard), html_path)
    if wav_path is not None:
        _write_sound(heard[0], wav_path)
    # 1 is more than 0, and there are no others.
    return max((each.exit_code for each in heard), default=ExitCode.MET)


def _as_json(heard: Sequence[Heard], *, ascii_only: bool) -> str:
    plain = [each.to_dict() for each in heard]
    document = plain[0] if len(plain) == 1 else plain
    return json.dumps(document, indent=1, allow_nan=False, ensure_ascii=ascii_only) + "\n"


def _heard(
    path: str,
    *,
    ssrc: int | None,
    begin: str | None,
    one_way: str | None,
    budgets: tuple[str, ...],
    wav_path: str | None,
    dumps: Sequence[Dump],
) -> Heard:
    from rtcprobe.capture import hear as listen
    from rtcprobe.capture import parse_bound, read_capture
    from rtcprobe.units import parse_duration

    bounds: list[Bound] = [parse_bound(line) for line in budgets]
    times = []
    for flag, written in (("--from", begin), ("--one-way", one_way)):
        try:
            seconds = None if written is None else parse_duration(written)
        except BadInputError as error:
            raise error.within(flag) from None
        # A day: no capture that is heard in memory is longer.
        if seconds is not None and not 0.0 <= seconds <= 86_400.0:
            raise BadInputError(f"{flag} {written} is impossible", "give 0s or more")
        times.append(seconds)
    from_s, one_way_s = times
    capture = read_capture(path)
    # A second reading keeps payloads, once it is known whose they are and that they are in clear.
    clear = next((each for each in capture.streams if not each.encrypted and ssrc in (None, each.ssrc)), None)
    if clear is not None and clear.packets.payloads is None:
        capture = read_capture(path, sound_of=clear.ssrc)
    sound_of = None if wav_path is None or clear is None else clear.ssrc
    if wav_path is not None and clear is None:
        raise BadInputError(
            f"{path}: its sound is encrypted", "leave --wav out; only a server's recording has it in clear"
        )
    name = Path(path).name
    return listen(
        capture, name, ssrc=ssrc, from_s=from_s or 0.0, one_way_s=one_way_s, bounds=bounds, sound_of=sound_of,
        dumps=dumps,
    )  # fmt: skip


def _write_sound(heard: Heard, path: str) -> None:
    from rtcprobe.audio.wav import write_wav

    for each in heard.streams:
        if each.replayed.middle.pcm is not None:
            write_wav(Path(path), each.replayed.middle.pcm)


def _pair(files: tuple[str, ...], json_path: str | None) -> int:
    from rtcprobe.capture import between, clock_offset, read_capture
    from rtcprobe.report.heard import between_lines
    from rtcprobe.report.json import write_whole
    from rtcprobe.report.lines import print_lines

    if len(files) > 2:
        raise BadInputError(
            f"--pair was given {len(files)} files", "give two captures of one call, or one of both legs"
        )
    # One file with both legs is its own second.
    found = between(read_capture(files[0]), read_capture(files[-1]))
    screen = console(stderr=json_path == "-")
    for each in found:
        print_lines(between_lines(each), screen)
    there = next((each for each in found), None)
    # The clocks' offset takes two streams that passed in opposite ways.
    back = next((each for each in found if there is not None and each.backwards != there.backwards), None)
    if there is not None and back is not None:
        offset_s, wrong_s = clock_offset(there, back)
        screen.print(
            f"the second clock is {offset_s * 1e3:+.2f} ms ahead if both ways are alike; that may be wrong by "
            f"{wrong_s * 1e3:.2f} ms, half of the fastest round trip"
        )
    else:
        screen.print("one way alone cannot tell the clocks' offset: only differences of delay are sure")
    if json_path is not None:
        plain = {"schema": "rtcprobe.between/1", "streams": [each.to_dict() for each in found]}
        write_whole(json.dumps(plain, indent=1, allow_nan=False) + "\n", json_path)
    return ExitCode.MET
