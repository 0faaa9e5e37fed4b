"""A conversation on the page: who spoke when, where each answer's time went, and every turn."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from rtcprobe.audio.clip import MIME
from rtcprobe.report.html.tables import Table
from rtcprobe.report.html.waterfall import Bar, Waterfall
from rtcprobe.report.html.words import NOTHING
from rtcprobe.report.sentences import interval, milliseconds
from rtcprobe.report.turns import CLAIMED, agent_name, conversation, split
from rtcprobe.result import Account, Result, Span
from rtcprobe.units import format_ratio

__all__ = ["Talk", "talk"]

# Strips of who spoke when; turns of all calls are in the table.
_MOST_CALLS = 4
# Rows: twenty calls of ten turns.
_MOST_TURNS = 200
# Name, which spans, and how they look; both at once last, as it is read off the rows above.
_ROWS: tuple[tuple[str, tuple[str, ...], str], ...] = (
    ("you", ("user",), "plain"),
    ("uh-huh, noise", ("backchannel", "noise"), "given"),
    ("agent", ("agent",), "most"),
    ("the agent's claim", ("claim",), "given"),
    ("both at once", ("talk-over",), "lost"),
)
_TITLES = {"response": "answer", "barge_in": "stop"}
# Figures of single turns that only some calls have: a column where any turn has one.
_JUDGED = {CLAIMED: "the agent's claim", "said_estoi": "ESTOI, yours", "estoi": "ESTOI, its"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sound:
    """A turn that can be listened to, and what became of it."""

    told: str
    webm: str
    mime: str = MIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Talk:
    """All that is shown of a conversation."""

    who: str
    calls: tuple[Waterfall, ...]
    stages: tuple[Waterfall, ...]
    figures: Table
    turns: Table | None
    sounds: tuple[Sound, ...] = ()
    unheard: str = ""
    """What of the first call was not kept."""


def talk(result: Result) -> Talk | None:
    """Return what is shown of a conversation; None where there was none."""
    found = conversation(result)
    if not found:
        return None
    return Talk(
        who=agent_name(result),
        calls=tuple(_calls(found[0])),
        stages=tuple(_stages(each) for each in found if each.stages),
        figures=_figures(found),
        turns=_turns(found),
        sounds=tuple(_sounds(found)),
        unheard=_unheard(found[0]),
    )


def _sounds(found: Sequence[Account]) -> Iterable[Sound]:
    """Yield every turn that was kept, called what the table of turns calls it."""
    for clip in found[0].clips:
        of_it = (clip.call, clip.marker)
        heard = [(account, each) for account in found for each in account.samples if (each.call, each.marker) == of_it]
        missed = [each for account in found for each in account.missed if (each.call, each.marker) == of_it]
        told = [f"{_TITLES[account.kind]} after {milliseconds(each.delay_s, 0)} ms" for account, each in heard]
        told += [each.why for each in missed]
        became = f": {', '.join(told)}" if told else ""
        yield Sound(told=f"{clip.call + 1}.{clip.marker + 1} “{clip.note}”{became}", webm=clip.webm)


def _unheard(account: Account) -> str:
    """Return how many turns of the first call were not kept; "" where all were, or none."""
    if not account.clips:
        return ""
    kept = {each.marker for each in account.clips}
    call = account.clips[0].call
    there = {each.marker for each in account.samples if each.call == call}
    # Missed ones that were spoken: a line that was given up has no sound to keep.
    there |= {each.marker for each in account.missed if each.call == call and each.spoken_s}
    left_out = len(there - kept)
    return f"{left_out} more turns of this call were not kept: the page stays small." if left_out else ""


def _calls(turns: Account) -> Iterable[Waterfall]:
    """Yield who spoke when, of as many calls as are drawn."""
    for call in [each.call for each in turns.calls][:_MOST_CALLS]:
        spans = [each for each in turns.spans if each.call == call]
        if not spans:
            continue
        begin_s, end_s = min(each.from_s for each in spans), max(each.until_s for each in spans)
        bars = [
            _bar(name, [each for each in spans if each.what in whats], begin_s, kind) for name, whats, kind in _ROWS
        ]
        yield Waterfall(
            caption=f"Call {call + 1}: who spoke when",
            head="who",
            bars=tuple(each for each in bars if each.spans),
            total_s=end_s - begin_s,
            scale_s=end_s - begin_s,
            total=f"{end_s - begin_s:.1f} s",
        )


def _bar(name: str, spans: Sequence[Span], begin_s: float, kind: str) -> Bar:
    lasted_s = sum(each.until_s - each.from_s for each in spans)
    drawn = tuple((each.from_s - begin_s, each.until_s - each.from_s) for each in spans)
    kinds = {"plain": "plain", "given": "given", "most": "most", "lost": "lost"}
    return Bar(name=name, spans=drawn, value=f"{lasted_s:.1f} s", kind=kinds[kind])  # type: ignore[arg-type]


def _stages(account: Account) -> Waterfall:
    """Return where the mean delay of an account went."""
    total_s, begin_s, bars = account.total_s, 0.0, list[Bar]()
    longest = max(account.stages, key=lambda name: account.stages[name])
    for name, length_s in account.stages.items():
        # What a scenario assumed of devices is nobody's doing, and is drawn so.
        kind = "most" if name == longest else "given" if name in ("capture", "device") else "plain"
        bars.append(
            Bar(
                name=name.replace("_", " "),
                spans=((begin_s, max(length_s, 0.0)),),
                value=milliseconds(length_s),
                kind=kind,  # type: ignore[arg-type]
            )
        )
        begin_s += length_s
    title = {"response": "An answer, in the mean", "barge_in": "A stop, in the mean"}[account.kind]
    return Waterfall(caption=title, head="stage", bars=tuple(bars), total_s=total_s, scale_s=max(total_s, 1e-9))


def _figures(found: Sequence[Account]) -> Table:
    rows: list[tuple[str, ...]] = []
    for name in ("p50", "p90", "p95"):
        cells = [_quantile(each, name) for each in found]
        if any(cell != NOTHING for cell in cells):
            rows.append((f"{name}, ms", *cells))
    rows.append(("heard, rejected, lost", *(f"{e.heard}, {e.rejected}, {e.lost} of {e.scheduled}" for e in found)))
    names = dict.fromkeys(name for each in found for name in each.figures)
    rows += [(_called(name), *(_figure(each.figures, name) for each in found)) for name in names]
    return Table(
        caption="Answers and stops [95 % interval]",
        columns=("", *(_TITLES[each.kind] for each in found)),
        rows=tuple(rows),
    )


def _called(name: str) -> str:
    """Return what a figure is called: ``said_estoi_worst`` is "ESTOI of your turns, the worst"."""
    if name == CLAIMED:
        return "the agent's own claim, mean"
    if "stoi" not in name:
        return name.removesuffix("_s").replace("_", " ")
    measure = "ESTOI" if "estoi" in name else "STOI"
    whose = "your turns" if name.startswith("said_") else "answers"
    return f"{measure} of {whose}{', the worst' if name.endswith('_worst') else ''}"


def _figure(figures: Mapping[str, float], name: str) -> str:
    if name not in figures:
        return NOTHING
    if "stoi" in name:
        return f"{figures[name]:.3f}"
    if name == CLAIMED:
        return f"{milliseconds(figures[name])} ms"
    # Seconds are sums over a call (talk-over); everything else is a share of the turns.
    return f"{milliseconds(figures[name])} ms a call" if name.endswith("_s") else format_ratio(figures[name])


def _judged(figures: Mapping[str, float], name: str) -> str:
    if name not in figures:
        return NOTHING
    return milliseconds(figures[name]) if name == CLAIMED else f"{figures[name]:.3f}"


def _quantile(account: Account, name: str) -> str:
    found = None if account.summary is None else account.summary.quantile(name)
    if found is None or found.value is None:
        return NOTHING if found is None or found.needs is None else f"needs {found.needs}"
    return f"{milliseconds(found.value)} {interval(found)}"


def _turns(found: Sequence[Account]) -> Table | None:
    """Return a row for every turn and interruption, with where its time went."""
    rows: list[tuple[str, ...]] = []
    parts = ("you", "up", "agent", "down", "playout")
    judged = [name for name in _JUDGED if any(name in each.figures for account in found for each in account.samples)]
    for account in found:
        what = _TITLES[account.kind]
        for each in account.samples:
            went = split(each)
            cells = [milliseconds(went.get(part)) if part in went else NOTHING for part in parts]
            cells += [_judged(each.figures, name) for name in judged]
            rows.append((f"{each.call + 1}.{each.marker + 1} {each.note}", what, milliseconds(each.delay_s), *cells))
        rows += [
            (f"{each.call + 1}.{each.marker + 1} {each.note}", what, each.why, *(NOTHING for _ in (*parts, *judged)))
            for each in account.missed
        ]
    if not rows:
        return None
    left_out = len(rows) - _MOST_TURNS
    # Answers stand before stops: what is cut off is the end of those.
    caption = "Every turn, ms" if left_out <= 0 else f"The first {_MOST_TURNS} turns, ms ({left_out} more in the JSON)"
    columns = ("call.line", "what", "delay", *parts, *(_JUDGED[name] for name in judged))
    return Table(caption=caption, columns=columns, rows=tuple(rows[:_MOST_TURNS]))
