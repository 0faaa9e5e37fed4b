"""Groups of sides that no difference parts: the compact letter display.

Facts:
    - "Not shown to differ" is not transitive: C may be shown better than B while A, between them, is told from neither.
      Ranks cannot say that; letters can: sides that share one are not told apart (Piepho, *An algorithm for a
      letter-based representation of all-pairwise comparisons*, J. Computational and Graphical Statistics 13(2), 2004:
      insert and absorb).

Rules:
    1. Two sides share a letter exactly where no difference between them is shown.
    2. Sides stand in the order of their figures, and none shown to be worse stands above a better one.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

__all__ = ["grouped", "ordered"]


def ordered(badness: Sequence[float], beaten: Collection[tuple[int, int]]) -> list[int]:
    """Return sides best first, by ``badness``; of each ``(worse, better)`` of ``beaten``, better stands first.

    Where three beat each other in a circle nothing satisfies that, and the figures alone decide.
    """
    left = sorted(range(len(badness)), key=lambda each: (badness[each], each))
    out: list[int] = []
    while left:
        free = (one for one in left if not any(worse == one and better in left for worse, better in beaten))
        out.append(next(free, left[0]))
        left.remove(out[-1])
    return out


def grouped(order: Sequence[int], apart: Collection[tuple[int, int]]) -> dict[int, str]:
    """Return the letters of each side of ``order`` (best first), given the pairs that are shown to differ."""
    groups: list[frozenset[int]] = [frozenset(order)]
    # Insert: each group that holds both of a pair shown to differ becomes two, each without one of them. Absorb: a
    # group that lies in another says nothing that the larger one does not.
    for one, two in apart:
        split = [group - {each} for group in groups for each in ((one, two) if {one, two} <= group else (None,))]
        groups = []
        for group in sorted(dict.fromkeys(split), key=len, reverse=True):  # a group inside another says nothing
            if group and not any(group <= other for other in groups):
                groups.append(group)
    places = {side: place for place, side in enumerate(order)}
    groups.sort(key=lambda group: sorted(places[each] for each in group))
    names = [_letter(index) for index in range(len(groups))]
    return {side: "".join(name for name, group in zip(names, groups, strict=True) if side in group) for side in order}


def _letter(index: int) -> str:
    # After z there is no letter that reads as one: numbers in brackets.
    return chr(ord("a") + index) if index < 26 else f"({index + 1})"
