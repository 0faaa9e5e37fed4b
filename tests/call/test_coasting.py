"""Packets that coast are those that would have left and come by timers, instant by instant; and they do coast."""

import asyncio

import pytest
from aiortc import RTCDtlsTransport
from tracks import CLEAN, OPUS_SILENCE, run, shown, two

from rtcprobe.call.mouth_track import Mouth, MouthTrack, Speech
from rtcprobe.call.transceiver import SoundWanted
from rtcprobe.link import parse_link
from rtcprobe.runtime.coasting_seam import Coast
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.wiretap import is_rtp

FRAMES = 200


def sound(name, network, may):
    speech = Speech(frames=[OPUS_SILENCE] * FRAMES, ptime_s=0.020)
    phase_s = 0.0 if name == "ana" else 0.0073  # of its own, as in every call
    return [SoundWanted(track=MouthTrack(Mouth(speech=speech, phase_s=phase_s, network=network, may_speak=may)))]


async def call(link, within=None):
    """Return all that is known of a call over ``link``, in which ``within(ana, ben)`` happens meanwhile."""
    async with two(sound, link) as peers:
        network = peers[0].sections[0].network
        task = asyncio.ensure_future(within(*peers)) if within is not None else None
        await shown(*peers)
        if task is not None:
            await task
        sides = [
            (
                list(peer.tap.departures(*section.ssrcs)),
                list(section.arrivals),
                section.reports,
                section.track.finished.is_set(),
            )
            for peer in peers
            for section in peer.sections
        ]
        tallies = [each.tally.counted() for each in network._directions.values()]
        columns = [(each.offered_s.tolist(), str(each.arrival_s.tolist()), each.drops) for each in tallies]
        return sides, columns, network.last_arrival_s


def both(monkeypatch, link, within=None):
    """Return what is told of a call whose packets may coast, and of one where none may; with aiortc's reports."""
    reports, send = [], RTCDtlsTransport._send_rtp

    async def noted(dtls, data):
        reports.append((asyncio.get_running_loop().time(), data))
        await send(dtls, data)

    monkeypatch.setattr(RTCDtlsTransport, "_send_rtp", noted)
    coasts = run(lambda: call(link, within)), list(reports)
    reports.clear()
    with monkeypatch.context() as patch:
        patch.setattr(Coast, "board", lambda _coast, _due_s: None)
        return coasts, (run(lambda: call(link, within)), list(reports))


@pytest.mark.parametrize(
    "link",
    [
        "delay 40ms",  # two frames: each packet comes at the very instant at which another leaves
        "delay 0ms",
        "delay 30ms 10ms distribution normal order free loss 5% corrupt 1% duplicate 3%",
        "rate 40kbit delay 20ms limit 8 loss gemodel 2% 20%",
        "delay 20ms reorder 20% gap 3",  # what steps out of the row comes at once, and others are still under way
        "delay 20ms 15ms order free duplicate 50% reorder 10%",
    ],
)
def test_a_call_that_coasts_is_the_call_that_does_not_and_so_is_every_report(monkeypatch, link):
    coasts, does_not = both(monkeypatch, parse_link(link))
    assert coasts == does_not
    assert len(coasts[0][0][0][0]) == FRAMES
    assert len(coasts[1]) > 8  # four reports a second, over four


def carried(monkeypatch):
    """Return the packets of sound that take the network's way, each on its own, as they come to do so."""
    packets, carry = [], Network.carry

    def noted(network, source, data, address):
        if is_rtp(data):
            packets.append(data)
        carry(network, source, data, address)

    monkeypatch.setattr(Network, "carry", noted)
    return packets


def test_nine_of_ten_packets_coast_where_nobody_asks_for_more_than_to_note_them(monkeypatch):
    alone = carried(monkeypatch)
    run(lambda: call(CLEAN))
    assert len(alone) < 2 * FRAMES / 10 + 8  # the first of each way before that is known, and the last


def test_who_watches_a_path_is_told_of_every_packet_from_then_on(monkeypatch):
    async def watch(ana, _ben):
        await asyncio.sleep(1.0)
        network = ana.sections[0].network
        noted = []
        for direction in network._directions.values():
            direction.noted = lambda size, _fate, at_s: noted.append((size, at_s))
        await asyncio.sleep(1.0)
        assert len([size for size, _ in noted if size > 40]) >= 2 * 50

    coasts, does_not = both(monkeypatch, CLEAN, watch)
    assert coasts == does_not


@pytest.mark.parametrize("what", ["silence", "close"])
def test_a_host_that_goes_silent_or_hangs_up_takes_nothing_from_that_instant_on(monkeypatch, what):
    async def end(ana, ben):
        await asyncio.sleep(1.013)
        if what == "silence":
            ben.sections[0].network.silence(ben._host)
        else:
            await ben.close()
        ana.sections[0].track.finished.set()
        ben.sections[0].track.finished.set()

    coasts, does_not = both(monkeypatch, CLEAN, end)
    assert coasts == does_not
    came = coasts[0][0][1][1]  # what ben took
    assert 40 < len(came) < 60


def test_a_packet_that_cannot_be_made_ends_its_sender_at_its_instant(monkeypatch):
    async def main():
        frames = [OPUS_SILENCE] * FRAMES
        frames[150] = bytes(2000)  # no packet of sound is as long
        async with two(sound) as (ana, ben):
            ana.sections[0].track.mouth.speech.frames[:] = frames
            await ben.sections[0].track.finished.wait()
            return list(ana.tap.departures(*ana.sections[0].ssrcs)), ana.sections[0].track.readyState

    left, state = run(main)
    assert (len(left), state) == (150, "ended")
    with monkeypatch.context() as patch:
        patch.setattr(Coast, "board", lambda _coast, _due_s: None)
        assert run(main) == (left, state)
