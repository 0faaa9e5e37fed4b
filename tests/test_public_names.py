import pytest

import rtcprobe


def test_every_public_name_is_there():
    for name in rtcprobe.__all__:
        assert getattr(rtcprobe, name) is not None


def test_a_name_that_is_not_there_is_said_as_python_says_it():
    with pytest.raises(AttributeError, match=r"^module 'rtcprobe' has no attribute 'nothing'$"):
        rtcprobe.nothing  # noqa: B018
