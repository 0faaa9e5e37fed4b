from importlib import import_module

import pytest

import rtcprobe


def test_every_public_name_is_there():
    for name in rtcprobe.__all__:
        assert getattr(rtcprobe, name) is not None


def test_a_name_that_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match=r"^module 'rtcprobe' has no attribute 'nothing'$"):
        rtcprobe.nothing  # noqa: B018


@pytest.mark.parametrize("package", ["control", "conversation", "playout.frames", "probe", "scenario", "verdict"])
def test_a_package_has_what_it_says_though_its_modules_are_loaded_when_asked_for(package):
    module = import_module(f"rtcprobe.{package}")
    assert all(getattr(module, name) is not None for name in module.__all__)
    with pytest.raises(AttributeError, match=f"^module 'rtcprobe.{package}' has no attribute 'nothing'$"):
        module.nothing  # noqa: B018
