"""Several tracks of both kinds on one connection: sections, sources, frames in several packets, key frames."""

import asyncio
from itertools import pairwise

import pytest
from calls import OPUS_SILENCE
from tracks import ONE_WAY_S, Asking, ThreePackets, camera, mouth, run, shown, sound_and_picture, two

from rtcprobe.call.transceiver import PictureWanted, SoundWanted
from rtcprobe.link import Delay, LinkSpec, LossTrace


def test_sound_and_picture_of_both_sides_come_each_in_its_own_section():
    async def main():
        async with two(sound_and_picture) as (ana, ben):
            await shown(ana, ben)
            return ana, ben

    for talker, listener in (peers := run(main), peers[::-1]):
        assert [packet.payload for _, packet in listener.arrivals] == [OPUS_SILENCE] * 50
        (picture,) = listener.pictures
        assert [each.payload[1:3] for each in picture.arrivals] == [
            bytes([index, part]) for index in range(30) for part in range(3)
        ]
        assert {each.ssrc for each in picture.arrivals} == {talker.pictures[0].ssrcs[0]}
        assert picture.agreed.codec == "VP8"
        assert picture.agreed.nack
        assert picture.agreed.pli


def test_a_picture_is_several_packets_of_one_time_at_90_khz_the_last_with_the_marker():
    async def main():
        async with two(sound_and_picture) as (ana, ben):
            await shown(ana, ben)
            return ana.said(ana.pictures[0]), ben.pictures[0].arrivals, ana.said()

    said, arrivals, sound = run(main)
    assert [each.marker for each in arrivals] == [False, False, True] * 30  # RFC 7741 §4.1
    stamps = [each.timestamp for each in arrivals]
    assert all(len(set(stamps[3 * n : 3 * n + 3])) == 1 for n in range(30))
    assert {(b - a) % 2**32 for a, b in pairwise(stamps[::3])} == {3000}  # 90 kHz / 30
    assert {(b.timestamp - a.timestamp) % 2**32 for a, b in pairwise(sound.departures)} == {960}  # 48 kHz * 20 ms
    assert (said.medium, said.clock_hz) == ("video", 90_000)
    # Captured on the grid, gone at once, there after the path: in one instant, for the link has no rate.
    due_s = [said.started_s + n / 30 for n in range(30) for _ in range(3)]
    assert [each.at_s for each in said.departures] == pytest.approx(due_s, abs=1e-6)
    assert [each.at_s for each in arrivals] == pytest.approx([at_s + ONE_WAY_S for at_s in due_s], abs=1e-6)
    assert max(said.pacing_lateness_s()) == pytest.approx(0.0, abs=1e-6)


def test_departures_are_told_apart_by_their_source():
    async def main():
        async with two(sound_and_picture) as (ana, ben):
            await shown(ana, ben)
            return ana

    ana = run(main)
    sources = [{each.ssrc for each in ana.said(section).departures} for section in ana.sections]
    assert sources == [{section.ssrcs[0]} for section in ana.sections]
    assert [len(ana.said(section).departures) for section in ana.sections] == [50, 90]


def test_what_is_asked_for_comes_again_in_rtx_and_is_told_as_it_was_first():
    lost = {40, 41, 55}
    link = LinkSpec(delay=Delay(base_s=ONE_WAY_S), loss=LossTrace(lost=tuple(n in lost for n in range(400))))
    asking = []

    def watch(feedback, _network):
        asking.append(Asking(feedback))
        return asking[-1]

    def pictures(name, network, may):
        return [PictureWanted(track=camera(network, may) if name == "ana" else None, watch=watch)]

    async def main():
        async with two(pictures, link) as (ana, ben):
            await asyncio.sleep(2.5)
            return ana.said(ana.pictures[0]).departures, ben.pictures[0].arrivals, ana.pictures[0].ssrcs

    departures, arrivals, (own, again) = run(main)
    resent = [each for each in arrivals if each.resent]
    assert 2 <= len(resent) <= 3  # of the three datagrams lost, one may have been RTCP's
    assert [each.sequence for each in resent] == asking[1].asked
    assert {each.ssrc for each in arrivals} == {own}
    payloads = {bytes([index, part]) for index in range(30) for part in range(3)}
    assert {each.payload[1:3] for each in arrivals} == payloads
    assert len(arrivals) == 90  # each once: nothing was asked for twice
    # A round trip after the packet behind the gap came: half there, half back.
    for each in resent:
        behind_s = min(one.at_s for one in arrivals if not one.resent and one.sequence > each.sequence)
        assert each.at_s == pytest.approx(behind_s + 2 * ONE_WAY_S, abs=1e-3)
    assert [each.ssrc for each in departures].count(again) == len(resent)
    assert [each.at_s for each in departures] == sorted(each.at_s for each in departures)


def test_a_key_frame_asked_for_is_the_next_picture():
    film = ThreePackets(30)

    def watch(feedback, _network):
        return Asking(feedback, key_at=10)

    def pictures(name, network, may):
        return [PictureWanted(track=camera(network, may, film) if name == "ana" else None, watch=watch)]

    async def main():
        async with two(pictures) as (ana, _):
            await asyncio.sleep(2.0)
            return ana.pictures[0].track

    track = run(main)
    # Picture 10 comes 40 ms after it left, the request 40 ms later: 2.4 pictures, so 13 is the next.
    assert film.keys == [0, 13]
    assert track.asked_s == pytest.approx([track.due_s(10) + 2 * ONE_WAY_S], abs=1e-3)


def two_voices(name, network, may):
    first = 0x10 if name == "ana" else 0x20
    payloads = [bytes([0x78, first + place]) * 8 for place in range(2)]
    return [SoundWanted(track=mouth(network, may, payload)) for payload in payloads]


def test_two_voices_of_one_party_never_get_into_one_ear():
    def unannounced(text):
        lines = [line for line in text.splitlines() if not line.startswith(("a=ssrc", "a=msid:"))]
        return "\r\n".join(lines) + "\r\n"

    for change in (lambda text: text, unannounced):  # by source, and by the section that each packet names

        async def main(change=change):
            async with two(two_voices, change=change) as (ana, ben):
                await shown(ana, ben)
                return ana, ben

        ana, ben = run(main)
        for talker, listener in ((ana, ben), (ben, ana)):
            for said, heard in zip(talker.sections, listener.sections, strict=True):
                assert {packet.payload for _, packet in heard.arrivals} == set(said.track.frames)
                assert len(heard.arrivals) == 50
                assert heard.sources.strangers == 0
                assert said.mid == heard.mid


def test_equal_seeds_give_equal_pictures_to_the_bit():
    jittery = LinkSpec(delay=Delay(base_s=0.030, jitter_s=0.010, distribution="normal"))

    async def main():
        async with two(sound_and_picture, jittery) as (ana, ben):
            await shown(ana, ben)
            return ben.pictures[0].arrivals, list(ben.arrivals), list(ana.said(ana.pictures[0]).departures)

    assert run(main) == run(main)
    assert run(main) != run(main, seed=2)
