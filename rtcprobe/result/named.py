"""A figure under the name and by the definition of a service's own documents."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from rtcprobe.result.plain import SPARSE
from rtcprobe.secrets import NAME

__all__ = ["NamedFigure"]


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedFigure:
    """One figure as a service calls it: ``value`` is a share, or milliseconds where ``unit`` says so; None: unmeasured.

    ``told`` is what it is in plain words, ``by`` the threshold and the definition, ``differs`` where ours is not quite
    theirs ("": it is), ``source`` the page that defines it. It was made of ``counted`` of ``what`` (None: not known, as
    in results of earlier versions).
    """

    name: str = field(metadata=NAME)
    told: str = field(metadata=NAME)
    unit: Literal["share", "ms"]
    value: float | None
    low: float | None = None
    high: float | None = None
    counted: int | None = field(default=None, metadata=SPARSE)
    what: str = field(default="", metadata={**SPARSE, **NAME})
    by: str = field(metadata=NAME)
    differs: str = field(default="", metadata={**SPARSE, **NAME})
    source: str = field(metadata=NAME)
