"""The screen's part about pictures: glass to glass a column each way, freezes, likeness, lips and voice.

Rule: where nobody showed a picture there is no such part.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from typing import Final

from rich.text import Text

from rtcprobe.report.ears import latest_ways
from rtcprobe.report.pages import Page, waterfall
from rtcprobe.report.sentences import arrow, interval, milliseconds, plain_share
from rtcprobe.report.words import say
from rtcprobe.result import Account, Join, Result
from rtcprobe.timeline import VIDEO_ORDER
from rtcprobe.units import format_rate
from rtcprobe.ways import Way

__all__ = ["first_picture_told", "sight_lines", "sight_rows", "spoken_way"]

# As in ``ears``: more columns do not fit 80.
_COLUMNS = 2
# As a page's cells have it; the screen's own dash is a hyphen, whole in ASCII.
_NOTHING: Final = "–"
# Figures of a camera that adapts: frames_of_640x480 and so on, one for each size that was shown.
_OF_SIZE: Final = "frames_of_"
# Of the receiver's report (RTCInboundRtpStreamStats), in the order in which a frame meets them.
_W3C: Final = (
    "framesReceived",
    "framesDecoded",
    "framesDropped",
    "keyFramesDecoded",
    "freezeCount",
    "totalFreezesDuration",
    "pauseCount",
    "totalPausesDuration",
    "nackCount",
    "pliCount",
)


def spoken_way(way: Way) -> str:
    """Return a way of pictures as the screen titles it: as that of the same two's sound."""
    return arrow(Way.of(way.talker, way.listener))


def sight_lines(result: Result, page: Page) -> Iterator[Text]:
    """Yield what was seen on every way: a column each, or a row each where there are more than columns."""
    seen = result.of_kind("glass_to_glass")
    if not seen:
        return
    agreed = result.of_kind("lip_sync")
    calls = max(len(each.calls) for each in seen.values())
    title = say("Glass to glass: {calls} calls, ms", calls=calls) if calls > 1 else say("Glass to glass, ms")
    if len(seen) > _COLUMNS:
        few = latest_ways(seen)
        rows = [
            (spoken_way(way), [_quantile(each, "p50"), _quantile(each, "p95"), _missed(each), _still(each)])
            for way, each in few.items()
        ]
        yield from page.table(title, ("p50 [95 %]", "p95 [95 %]", "lost", "frozen"), rows)
        # Stages, likeness and lips of so many ways are the page's to show.
        if len(few) < len(seen):
            told = say("the {few} latest of {all} ways; the page and the JSON have all", few=len(few), all=len(seen))
            yield Text(f" {told}")
        return
    accounts = list(seen.values())
    yield page.rule(title, [spoken_way(way) for way in seen])
    for name in ("p50", "p95"):
        yield page.cells(" " + say(f"{name} [95 %]"), (_quantile(each, name) for each in accounts))
    yield page.cells(" " + say("seen, left out, lost"), (_fates(each) for each in accounts))
    if any(each.stages for each in accounts):
        yield from waterfall([each.stages for each in accounts], page)
        policies = dict.fromkeys("" if each.playout is None else each.playout.policy for each in accounts)
        yield page.row(
            " " + say("sum (shown by {policies})", policies=", ".join(policies)), (each.total_s for each in accounts)
        )
    yield page.cells(" " + say("frozen, freezes, longest"), (_frozen(each) for each in accounts))
    # A camera that does not adapt is of full size all the time: no row.
    if any("full_size_share" in each.figures for each in accounts):
        yield page.cells(" " + say("full size, else for; target"), (_adapted(each) for each in accounts))
    if any(_likeness(each) for each in accounts):
        yield page.cells(" PSNR, SSIM (p5)", (_likeness(each) or "-" for each in accounts))
    for name in dict.fromkeys(name for each in accounts for name in each.figures if name.startswith(_OF_SIZE)):
        yield page.cells(f" {name.replace('_', ' ')}", (_plain(each.figures.get(name), 0) for each in accounts))
    if agreed:
        yield page.cells(" " + say("lips after voice p50, range"), (_skew(agreed.get(way)) for way in seen))
        if any(each.figures.get("corrections") for each in agreed.values()):
            yield page.cells(" " + say("held back: sound, picture"), (_held(agreed.get(way)) for way in seen))


def sight_rows(result: Result, ways: Collection[Way] | None = None) -> list[tuple[str, ...]]:
    """Return every figure of every way on which somebody watched, or of ``ways``: a title, and a cell a way."""
    seen = [(way, each) for way, each in result.of_kind("glass_to_glass").items() if ways is None or way in ways]
    if not seen:
        return []
    skew = result.of_kind("lip_sync")
    accounts = [account for _, account in seen]
    rows = [(f"{name}, ms", *(_whole_quantile(each, name) for each in accounts)) for name in ("p50", "p95", "p99")]
    readers: Sequence[tuple[str, Callable[[Account], str]]] = (
        (say("seen, left out, lost"), _fates),
        (say("share of the time frozen"), lambda a: plain_share(a.figures.get("freeze_share"))),
        (say("frames shown a second"), lambda a: _plain(a.figures.get("frame_rate"), 2)),
        (say("PSNR mean, p5, worst second, dB"), lambda a: _three(a, "psnr_db", 1)),
        (say("SSIM mean, p5, worst second"), lambda a: _three(a, "ssim", 3)),
    )
    rows += [(head, *(read(each) for each in accounts)) for head, read in readers]
    if any("full_size_share" in each.figures for each in accounts):
        head = say("pictures of full size, longest time without, target")
        rows.append((head, *(_adapted(each) for each in accounts)))
    sizes = dict.fromkeys(name for each in accounts for name in each.figures if name.startswith(_OF_SIZE))
    rows += [(name.replace("_", " "), *(_plain(each.figures.get(name), 0) for each in accounts)) for name in sizes]
    rows.append((say("lips after voice: least, median, most, ms"), *(_skew_range(skew.get(way)) for way, _ in seen)))
    rows.append((say("held back: sound, picture, ms"), *(_held(skew.get(way)) for way, _ in seen)))
    return [*rows, *((name, *(_w3c(each, name) for each in accounts)) for name in _W3C)]


def _adapted(account: Account) -> str:
    """Return what became of the size of a picture that follows the line, and what its sender aimed at."""
    told = account.figures
    if "full_size_share" not in told:
        return "-"
    said = f"{plain_share(told['full_size_share'])}, {told['smaller_s']:.1f} s"
    # To the kilobit: a controller's estimate is no finer.
    return f"{said}; {format_rate(round(told['target_bps'], -3))}" if "target_bps" in told else said


def first_picture_told(attempts: Sequence[Join]) -> str:
    """Return how long joins took to their first picture, and to the steps before it; "" where nobody showed one."""
    # Joins that reached every one of the steps: medians of columns of different joins could contradict their order.
    rows = [[each.marks.get(name) for name in VIDEO_ORDER] for each in attempts]
    known = [[at_s for at_s in row if at_s is not None] for row in rows if None not in row]
    if not known:
        return ""
    # Each step's own median: they are in order, as the steps of every join are.
    packet, key_frame, picture = (sorted(column)[len(column) // 2] for column in zip(*known, strict=True))
    slowest = max(row[-1] for row in known)
    told = "first picture p50 {picture} ms (packet {packet}, key frame whole {key}), slowest {slowest}{asked}"
    return say(
        told,
        picture=milliseconds(picture),
        packet=milliseconds(packet),
        key=milliseconds(key_frame),
        slowest=milliseconds(slowest),
        asked=_asked(attempts),
    )


def _asked(attempts: Sequence[Join]) -> str:
    """Return how many joins had to ask for packets of pictures again, and for key frames; "" where none did."""
    # A key is there only where something was asked for (``probe.pictures.first_pictures``).
    packets = sum("packets" in each.asked for each in attempts)
    frames = sum("key_frames" in each.asked for each in attempts)
    asked = ((packets, "{count} asked for packets again"), (frames, "{count} asked for a key frame"))
    told = ", ".join(say(what, count=count) for count, what in asked if count)
    return say("; of {count} joins {told}", count=len(attempts), told=told) if told else ""


def _quantile(account: Account, name: str) -> str:
    found = None if account.summary is None else account.summary.quantile(name)
    if found is None:
        return "-"
    if found.needs is not None:
        return say("needs {count} frames", count=found.needs)
    return f"{milliseconds(found.value)} {interval(found)}"


def _fates(account: Account) -> str:
    part = f"{account.heard}, {account.rejected}, {account.lost}"
    return say("{part} of {whole}", part=part, whole=account.scheduled)


def _missed(account: Account) -> str:
    """Return how many frames were not seen, those left out apart: ``"0+4 of 361"``."""
    left_out = f"+{account.rejected}" if account.rejected else ""
    return say("{part} of {whole}", part=f"{account.lost}{left_out}", whole=account.scheduled)


def _still(account: Account) -> str:
    """Return the share of the time that a picture stood still."""
    return plain_share(account.figures.get("freeze_share", 0.0))


def _frozen(account: Account) -> str:
    freezes = [each.until_s - each.from_s for each in account.spans if each.what == "freeze"]
    share = plain_share(account.figures.get("freeze_share", 0.0))
    return f"{share}, {len(freezes)}, {milliseconds(max(freezes), 0)}" if freezes else f"{share}, 0"


def _likeness(account: Account) -> str:
    figures = account.figures
    if "ssim" not in figures:
        return ""
    return f"{figures['psnr_db']:.1f} dB, {figures['ssim']:.3f} ({figures['ssim_p5']:.3f})"


def _skew(account: Account | None) -> str:
    if account is None or not account.samples:
        return "-"
    values = sorted(each.delay_s for each in account.samples)
    middle = values[len(values) // 2]
    # With its sign, as skew has two bad ends: both too early and too late.
    return f"{middle * 1e3:+.1f} [{values[0] * 1e3:+.0f} to {values[-1] * 1e3:+.0f}]"


def _held(account: Account | None) -> str:
    """Return how far the one that was ahead was held back at last, the mean of calls, and in how many steps."""
    if account is None or "corrections" not in account.figures:
        return "-"
    sound, picture = (milliseconds(account.figures[f"{each}_held_s"], 0) for each in ("audio", "video"))
    return say(
        "{sound}, {picture} ({count} steps)",
        sound=sound,
        picture=picture,
        count=f"{account.figures['corrections']:.0f}",
    )


def _whole_quantile(account: Account, name: str) -> str:
    found = None if account.summary is None else account.summary.quantile(name)
    if found is None:
        return _NOTHING
    if found.needs is not None:
        return say("needs {count}", count=found.needs)
    return f"{milliseconds(found.value)} {interval(found)}"


def _three(account: Account, name: str, digits: int) -> str:
    values = [account.figures.get(each) for each in (name, f"{name}_p5", f"{name}_in_worst_second")]
    return ", ".join(_plain(each, digits) for each in values) if values[0] is not None else _NOTHING


def _skew_range(account: Account | None) -> str:
    if account is None or not account.samples:
        return _NOTHING
    values = sorted(each.delay_s * 1e3 for each in account.samples)
    return f"{values[0]:+.0f}, {values[len(values) // 2]:+.1f}, {values[-1]:+.0f}"


def _w3c(account: Account, name: str) -> str:
    value = None if account.playout is None else account.playout.w3c.get(name)
    return _NOTHING if value is None else f"{value:,.6g}"


def _plain(value: float | None, digits: int) -> str:
    return _NOTHING if value is None else f"{value:.{digits}f}"
