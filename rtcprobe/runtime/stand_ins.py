"""How a seam puts its own in the place of a name in somebody else's module, and says so when that name has moved."""

from __future__ import annotations

import types
from typing import Any

__all__ = ["Dispatch", "SeamError", "attribute", "put"]


class SeamError(RuntimeError):
    """A name inside aiortc or aioice is not where this version of rtcprobe knows it."""


def attribute(owner: object, name: str) -> Any:
    """Return ``owner.name``.

    Raises:
        SeamError: it has moved.
    """
    try:
        return getattr(owner, name)
    except AttributeError:
        kind = owner.__name__ if isinstance(owner, types.ModuleType) else type(owner).__name__
        raise SeamError(
            f"{kind}.{name} is gone: this rtcprobe knows aiortc 1.16 and aioice 0.13, install those"
        ) from None


def put(owner: types.ModuleType | type, name: str, value: object) -> None:
    """Put ``value`` in the place of a module's, or a class', ``name``.

    Raises:
        SeamError: there is no such name.
    """
    attribute(owner, name)
    setattr(owner, name, value)


class Dispatch(types.SimpleNamespace):
    """A module, or a class, with a few names replaced."""

    def __init__(self, module: object, **replacements: Any) -> None:
        super().__init__(**replacements)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)
