"""Pictures damaged on purpose: cut short, sent again under another's number, out of time, twice, of another source."""

import random
from types import SimpleNamespace

import pytest

from rtcprobe.hearing.eyes import see
from rtcprobe.picture.film import Film, Reel
from rtcprobe.picture.settings import CODECS, VideoSettings
from rtcprobe.playout.frames import POLICIES
from rtcprobe.playout.frames.nack import NackRequester
from rtcprobe.recording import AgreedVideo, CameVideo, Departure, Said, VideoArrival
from rtcprobe.runtime.picture_forwarding import ForwardedPicture, PicturePlane

FRAMES = 24


@pytest.fixture(scope="module", params=CODECS)
def sent(request):
    """Return a reel shown once, what left of it, and the packets 40 ms later; numbers and times wrap on the way."""
    reel = Reel(Film(VideoSettings(width=160, height=120, fps=15, bitrate_bps=150_000, codec=request.param)), FRAMES)
    departures, arrivals, number = [], [], 65_530
    for frame in range(FRAMES):
        payloads, ticks = reel.payloads(frame, key=False), (2**32 - 9000 + frame * 6000) % 2**32
        for place, payload in enumerate(payloads):
            at_s = frame / 15 + place * 1e-4
            departures.append(Departure(at_s, number % 2**16, ticks, len(payload), 5))
            marker = place == len(payloads) - 1
            arrivals.append(VideoArrival(at_s + 0.040, 5, number % 2**16, ticks, marker, payload, 97))
            number += 1
    said = Said(
        party="ana", frames=(), ptime_s=1 / 15, started_s=0.0, finished=True, departures=departures, medium="video"
    )
    return said, reel, arrivals


def damaged(arrivals, chance):
    """Return what came, a third of it spoilt."""
    found = []
    for each in arrivals:
        kind = chance.choice(["as it was"] * 12 + ["cut", "empty", "wrong number", "wrong time", "twice", "noise"])
        spoilt = {
            "cut": each._replace(payload=each.payload[: chance.randrange(1, 8)]),
            "empty": each._replace(payload=b""),
            # RTX that names another packet than the one inside it (RFC 4588 §4: its first two bytes).
            "wrong number": each._replace(sequence=chance.randrange(1 << 16), resent=True),
            "wrong time": each._replace(timestamp=chance.randrange(1 << 32)),
            "noise": each._replace(payload=chance.randbytes(len(each.payload))),
        }
        found.append(spoilt.get(kind, each))
        if kind == "twice":
            found.append(each._replace(resent=chance.random() < 0.5))
    if chance.random() < 0.5:
        place = chance.randrange(len(found) - 1)
        first, second = found[place], found[place + 1]
        found[place : place + 2] = second._replace(at_s=first.at_s), first._replace(at_s=second.at_s)
    return found


@pytest.mark.parametrize("policy", POLICIES)
def test_whatever_comes_every_frame_that_was_sent_has_one_fate_and_none_is_seen_that_was_not(sent, policy):
    said, reel, arrivals = sent
    for seed in range(12):
        came = damaged(arrivals, random.Random(seed))
        seen = see(said, CameVideo(listener="ben", arrivals=came, agreed=None), reel, policy=policy)
        assert [frame.number for frame in seen.frames] == list(range(FRAMES))
        assert sum(seen.count(fate) for fate in ("seen", "unread", "dropped", "lost")) == FRAMES
        assert all(frame.delay_s >= 0.040 - 1e-6 for frame in seen.frames if frame.fate == "seen")
        assert seen.unreadable <= len(came)


def test_a_server_passes_on_what_comes_whatever_it_is_and_numbers_what_leaves_for_its_payload_type():
    agreed = AgreedVideo(codec="VP8", payload_type=97, rtx_payload_type=98, nack=True, pli=True)
    for seed in range(20):
        chance, left = random.Random(seed), []
        out = SimpleNamespace(
            open=True, ssrc=7, send=lambda kind, sequence, *_, left=left: not left.append((kind, sequence))
        )
        now = [0.0]
        plane = PicturePlane(now_s=lambda now=now: now[0])
        forwarded = ForwardedPicture(out=out, agreed=agreed)
        plane.show("ana", forwarded)
        for _ in range(300):
            now[0] += 0.01
            packet = SimpleNamespace(
                sequence_number=chance.randrange(1 << 16), timestamp=chance.randrange(1 << 32), marker=1,
                ssrc=chance.choice([1, 1, 1, 2]), payload=chance.randbytes(3), payload_type=chance.randrange(128),
            )  # fmt: skip
            plane.came("ana", packet, opens_key_frame=chance.random() < 0.2)
            if chance.random() < 0.05:
                plane.choose({"ana"} if chance.random() < 0.5 else {"ben"})
        assert left
        assert all(kind[0] == 97 and 0 <= sequence < 1 << 16 for kind, sequence in left)


def test_numbers_at_random_are_asked_for_a_bounded_number_of_times():
    chance, requester = random.Random(1), NackRequester(most_tries=10)
    asked = 0
    for step in range(2000):
        requester.arrived(chance.randrange(1 << 16), step * 1000)
        asked += len(requester.due(step * 1000))
    for step in range(2000, 4000):
        asked = len(requester.due(step * 200_000))
    assert asked == 0
    assert not requester.waiting
