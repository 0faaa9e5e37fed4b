"""Rooms as tests make them: accounts with delays, spells and gaps by hand, and what happened beside them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from rtcprobe.result import Account, Happening, HeardCall, Join, Joins, Result, Sample, Span
from rtcprobe.ways import Way

__all__ = ["heard", "join", "newcomers", "room", "unseen"]

ROLES = {"ana": "host", "ben": "co-host", "cho": "audience", "dan": "audience"}

Periods = Sequence[tuple[float, float]]


def heard(way: str, *delays_ms: float, spells: Periods = ((0.0, 10.0),), gaps: Periods = (), calls: int = 1) -> Account:
    """Return an account of markers with these delays, the same in each call; times of spans in seconds."""
    samples = tuple(
        Sample(marker=k, spoken_s=1.0 + k, heard_s=1.0 + k + ms / 1e3, delay_s=ms / 1e3, call=call)
        for call in range(calls)
        for k, ms in enumerate(delays_ms)
    )
    spans = tuple(
        Span(what=what, from_s=from_s, until_s=until_s, call=call)
        for call in range(calls)
        for what, found in (("heard", spells), ("gap", gaps))
        for from_s, until_s in found
    )
    listened_s = sum(until_s - from_s for from_s, until_s in spells)
    rows = tuple(
        HeardCall(call=n, scheduled=len(delays_ms), heard=len(delays_ms), figures={"listened_s": listened_s})
        for n in range(calls)
    )
    return Account(
        kind="mouth_to_ear",
        way=Way(way),
        scheduled=len(samples),
        heard=len(samples),
        rejected=0,
        lost=0,
        samples=samples,
        spans=spans,
        figures={"listened_s": listened_s * calls},
        calls=rows,
    )


def room(
    *accounts: Account,
    happenings: Iterable[tuple[float, str, str]] = (),
    joins: Iterable[Join] = (),
    roles: Mapping[str, str] = ROLES,
    regions: Mapping[str, str] | None = None,
    figures: str | None = None,
) -> Result:
    """Return a result of these accounts, of parties with these roles and regions; ``figures`` in a service's words."""
    parties = {name: {"role": role} for name, role in roles.items()}
    for name, region in (regions or {}).items():
        parties[name]["region"] = region
    return Result(
        scenario="room",
        seed=1,
        clock="virtual",
        settings={"parties": parties, **({} if figures is None else {"figures": figures})},
        accounts=accounts,
        measures=tuple(each.way for each in accounts),
        happenings=tuple(Happening(party=who, does=does, at_s=at_s) for at_s, who, does in happenings),
        join=Joins(attempts=tuple(joins)),
    )


def newcomers(*never: int, of: int = 7) -> Result:
    """Return a room in which ``of`` join at 1 s in each call; as many as given hear nothing, the others 0.5 s on."""
    names = [f"n{k}" for k in range(of)]
    accounts = tuple(
        replace(
            heard(f"ana_to_{name}", 100, calls=len(never)),
            spans=tuple(
                Span(what="heard", from_s=1.5 + k / 1e3, until_s=10.0, call=call)
                for call, vain in enumerate(never)
                if k >= vain
            ),
        )
        for k, name in enumerate(names)
    )
    joined = (Happening(party=name, does="join", at_s=1.0, call=call) for call in range(len(never)) for name in names)
    roles = {"ana": "host", **dict.fromkeys(names, "audience")}
    return replace(room(*accounts, roles=roles), happenings=tuple(joined))


def unseen(way: str) -> Account:
    """Return the account of a picture of 250 frames that were sent and never seen."""
    return Account(kind="glass_to_glass", way=Way(f"{way}.video"), scheduled=250, heard=0, rejected=0, lost=250)


def join(party: str, first_audio_s: float | None, round_: int = 0) -> Join:
    """Return a join that heard its first sound then; None: it never did."""
    marks = {} if first_audio_s is None else {"first_audio": first_audio_s}
    return Join(party=party, round=round_, marks=marks, failed="ice" if first_audio_s is None else None)
