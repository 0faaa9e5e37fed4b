"""Modules loaded when an attribute of theirs is asked for, and once."""

import importlib
import sys
import threading

import pytest

from rtcprobe import lazily


@pytest.fixture
def later(tmp_path, monkeypatch):
    """Return a function that writes a package, loaded later; whatever is imported of it is forgotten afterwards."""
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    monkeypatch.setattr(sys, "modules", dict(sys.modules))
    monkeypatch.setattr(lazily, "LATER", frozenset({"later_one", "later_one.below"}))
    lazily.lazily()

    def write(text, below=""):
        (tmp_path / "later_one").mkdir()
        (tmp_path / "later_one/__init__.py").write_text(text)
        (tmp_path / "later_one/below.py").write_text(below)
        importlib.invalidate_caches()

    return write


LOADED = "import builtins\nbuiltins.later_loaded = getattr(builtins, 'later_loaded', 0) + 1\n"


@pytest.fixture
def loaded(monkeypatch):
    """How often the package was loaded so far."""
    monkeypatch.setattr("builtins.later_loaded", 0, raising=False)
    return lambda: __builtins__["later_loaded"]


def test_imports_load_nothing_and_the_first_attribute_loads_once(later, loaded):
    later(LOADED + "here = 1\nthere = 2\n")
    module = importlib.import_module("later_one")
    assert importlib.import_module("later_one") is module  # a second import asks for __spec__
    assert loaded() == 0
    assert (module.here, module.there) == (1, 2)
    assert loaded() == 1
    assert type(module) is type(sys)
    assert module.__spec__.loader is module.__loader__


def test_what_it_does_not_have_it_does_not_have(later, loaded):
    later(LOADED)
    module = importlib.import_module("later_one")
    for _ in range(2):
        with pytest.raises(AttributeError, match="'later_one' has no attribute 'missing'"):
            _ = module.missing
    assert loaded() == 1


def test_a_module_of_a_package_is_imported_without_loading_the_package(later, loaded):
    later(LOADED, "where = 'below'\n")
    assert importlib.import_module("later_one.below").where == "below"
    assert loaded() == 0


def test_an_error_in_it_is_told_where_it_is_first_used_and_again(later):
    later("raise ValueError('not today')\n")
    module = importlib.import_module("later_one")
    for _ in range(2):
        with pytest.raises(ValueError, match="not today"):
            _ = module.here


def test_two_threads_that_ask_at_once_both_get_it_and_it_is_loaded_once(later, loaded):
    later("from later_one_gate import wait\nwait()\n" + LOADED + "here = 1\n")
    begun, go_on, got = threading.Event(), threading.Event(), []
    gate = type(sys)("later_one_gate")
    gate.wait = lambda: (begun.set(), go_on.wait(5))
    sys.modules["later_one_gate"] = gate
    module = importlib.import_module("later_one")
    threads = [threading.Thread(target=lambda: got.append(module.here)) for _ in range(2)]
    threads[0].start()
    begun.wait(5)
    threads[1].start()  # while the first is in the middle of it
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert got == [1, 1]
    assert loaded() == 1
