"""Modules loaded when they are first asked for: of our own packages, and of libraries that nobody uses here.

Facts:
    ``scipy.special`` makes a copy of numpy's namespace, and so loads its Fortran compiler driver and its test tools;
    aioice loads a DNS library for candidates that are ``.local`` names. Together a tenth of a second of CPU, of which a
    call uses nothing.

Rules:
    1. The names a package gives are its modules' own; asked for one, ``exported`` loads the module that has it.
    2. What is named here stays what it is: an import gives the module, and its first attribute loads it, as Mercurial's
       ``demandimport`` has it. (Of ``importlib.util.LazyLoader`` the second import loads it: it asks for ``__spec__``.)
    3. Who does not call ``lazily`` (a program of its own, the pytest plugin) has Python's usual imports.
"""

from __future__ import annotations

import sys
from _thread import RLock  # ``threading`` is 2 ms more, before a signal is heeded
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.abc import Loader

__all__ = ["LATER", "exported", "lazily"]

LATER = frozenset(
    {
        *(f"numpy.{name}" for name in ("ctypeslib", "f2py", "ma", "testing")),
        *(f"dns.{name}" for name in ("flags", "message", "name", "rdata", "rdataset", "rdatatype", "zone")),
        *("aioice.turn", "asyncio.sslproto", "ifaddr", "ssl"),
    }
)
"""Of libraries: who imports them touches none of their attributes while it is loaded itself."""


def exported(package: str, homes: Mapping[str, Sequence[str]]) -> Callable[[str], object]:
    """Return the ``__getattr__`` (PEP 562) of ``package``: of its modules, by name, what each has for it."""
    home_of = {name: module for module, names in homes.items() for name in names}

    def look_up(name: str) -> object:
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        # Kept as an attribute of the package: from the next time on Python finds it without asking here.
        setattr(sys.modules[package], name, value)
        return value

    return look_up


_SET_BY_IMPORT = ("__path__", "__file__", "__cached__")
"""Asked for and set while a module is made; only a package has ``__path__``."""


class _Later(ModuleType):
    """A module before an attribute is asked for that its import does not set, as it sets ``__spec__``."""

    def __getattr__(self, name: str) -> object:
        loader: object = None if self.__spec__ is None else self.__spec__.loader
        if isinstance(loader, _Loader) and name not in _SET_BY_IMPORT:
            loader.load(self)
        return ModuleType.__getattribute__(self, name)


class _Loader:
    """Loads a module when it is told to, and not when it is imported."""

    def __init__(self, loader: Loader) -> None:
        self._loader = loader
        self._lock, self._begun = RLock(), False

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return _Later(spec.name)

    def exec_module(self, module: ModuleType) -> None:
        """Wait."""

    def load(self, module: ModuleType) -> None:
        """Load ``module``, once; who asks meanwhile waits, but for what is loaded in the middle of it."""
        with self._lock:
            if self._begun:
                return
            self._begun = True
            try:
                self._loader.exec_module(module)
            except BaseException:
                self._begun = False
                raise
            assert module.__spec__ is not None
            module.__loader__ = module.__spec__.loader = self._loader
            module.__class__ = ModuleType


class _Finder:  # a ``MetaPathFinder`` by its method: the class would have ``importlib.resources`` loaded, 5 ms
    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if fullname not in LATER:
            return None
        spec = PathFinder.find_spec(fullname, path, target)
        if spec is not None and spec.loader is not None:
            spec.loader = _Loader(spec.loader)  # type: ignore[assignment] # one by its methods
        return spec


def lazily() -> None:
    """Have what is named in ``LATER`` loaded when it is first used; what is loaded by now stays."""
    # Once, in front of Python's own finders: it answers for the few names of ``LATER`` and leaves all others
    # to them.
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
