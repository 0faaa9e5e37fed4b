"""Any end will do that connects and leaves its recording."""

import asyncio
import inspect

from tracks import run, sound_and_picture, two

from rtcprobe.call.ends.base import End
from rtcprobe.call.peer import Peer


def test_our_peer_is_an_end_in_all_that_is_asked_of_one():
    async def main():
        async with two(sound_and_picture) as (ana, _):
            return [name for name in (*End.__annotations__, *vars(End)) if name[0] != "_" and not hasattr(ana, name)]

    assert run(main) == []
    for name, method in inspect.getmembers(End, inspect.isfunction):
        if not name.startswith("_"):
            ours = inspect.signature(getattr(Peer, name)).parameters
            assert list(inspect.signature(method).parameters) == list(ours)[: len(inspect.signature(method).parameters)]
            assert asyncio.iscoroutinefunction(getattr(Peer, name)) == asyncio.iscoroutinefunction(method)
