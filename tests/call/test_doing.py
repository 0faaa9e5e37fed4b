"""What goes on beside a script: kept until it is done, and what goes wrong with it is a sentence."""

import asyncio

import pytest

from rtcprobe.call.doing import Doing
from rtcprobe.errors import MeasurementError


async def fails(error):
    await asyncio.sleep(0)
    raise error


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (MeasurementError("the path broke", "look into the log"), "the path broke: look into the log"),
        (KeyError("ana"), "a fault of rtcprobe itself, KeyError: 'ana'"),
    ],
)
async def test_what_goes_wrong_is_told_once_in_a_sentence_and_is_over_then(error, said):
    told, ended = [], []
    doing = Doing(told.append, ended=lambda: ended.append(bool(doing)))
    task = doing.do(fails(error))
    assert list(doing) == [task]
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert [each.startswith(said) for each in told] == [True]
    assert ended == [False]  # by then it is no longer among them
    assert not doing


async def test_what_was_given_up_is_no_fault():
    told = []
    doing = Doing(told.append)
    task = doing.do(asyncio.sleep(60.0))
    task.cancel()
    await asyncio.wait([task])
    await asyncio.sleep(0)
    assert not told
    assert not doing
