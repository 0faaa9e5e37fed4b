"""Pictures at a forwarding server by themselves: key frames first, who is asked for them, and what is numbered anew."""

from types import SimpleNamespace

import pytest

from rtcprobe.picture.payload import payload_format
from rtcprobe.picture.settings import CODECS
from rtcprobe.recording import AgreedVideo
from rtcprobe.runtime.picture_forwarding import ForwardedPicture, PicturePlane

VP8 = AgreedVideo(codec="VP8", payload_type=97, rtx_payload_type=98, nack=True, pli=True)


class Sent:
    """What left."""

    ssrc = 7

    def __init__(self, *, open_=True):
        self.open, self.packets = open_, []

    def send(self, kind, sequence, timestamp, payload, level):
        del payload, level
        self.packets.append((*kind, sequence, timestamp))
        return True

    def report(self, ntp_timestamp, rtp_timestamp):
        self.packets.append((ntp_timestamp, rtp_timestamp))


class Stage:
    """A plane with one talker and one viewer, by hand."""

    def __init__(self, *, throttle_s=0.5):
        self.now_s, self.asked_s = 0.0, []
        self.plane = PicturePlane(now_s=lambda: self.now_s, throttle_s=throttle_s)
        self.plane.asks["ana"] = lambda: self.asked_s.append(self.now_s)

    def viewer(self, **how):
        forwarded = ForwardedPicture(out=Sent(**how), agreed=VP8)
        self.plane.show("ana", forwarded)
        return forwarded

    def frame(self, sequence, timestamp, *, key=False, packets=1, ssrc=1):
        for place in range(packets):
            packet = SimpleNamespace(
                sequence_number=(sequence + place) & 0xFFFF, timestamp=timestamp, ssrc=ssrc, payload_type=100,
                payload=b"", marker=int(place == packets - 1),
            )  # fmt: skip
            self.plane.came("ana", packet, opens_key_frame=key and not place)


def numbers(forwarded):
    return [each[2:] for each in forwarded.out.packets]


def test_a_viewer_gets_nothing_before_a_key_frame_and_the_talker_is_asked_for_one():
    stage = Stage()
    viewer = stage.viewer()
    stage.frame(10, 3000)
    assert (viewer.out.packets, stage.asked_s) == ([], [0.0])
    stage.frame(11, 6000, key=True, packets=2)
    stage.frame(13, 9000)
    # Under the payload type that the viewer's leg agreed on, its marker kept.
    assert viewer.out.packets == [(97, 0, 11, 6000), (97, 1, 12, 6000), (97, 1, 13, 9000)]


def test_a_talker_is_asked_once_in_the_throttle_however_many_ask_and_again_while_somebody_waits():
    stage = Stage(throttle_s=0.5)
    for _ in range(3):
        stage.viewer()
    for step in range(12):
        stage.now_s = step / 10
        stage.frame(step, 3000 * step)
        stage.plane.ask("ana")
    assert stage.asked_s == [0.0, 0.5, 1.0]


def test_nobody_is_asked_who_has_shown_nothing_yet():
    plane = PicturePlane(now_s=lambda: 0.0)
    plane.ask("ben")
    assert plane.asked_s == {"ben": []}


def test_who_is_not_connected_yet_is_sent_nothing_and_waits_for_the_next_key_frame():
    stage = Stage()
    viewer = stage.viewer(open_=False)
    stage.frame(1, 3000, key=True)
    viewer.out.open = True
    stage.frame(2, 6000)
    stage.frame(3, 9000, key=True)
    assert numbers(viewer) == [(3, 9000)]


def test_another_source_goes_on_in_number_and_time_from_its_key_frame_on():
    stage = Stage()
    viewer = stage.viewer()
    stage.frame(65_535, 3000, key=True)
    stage.now_s = 1.0
    stage.frame(500, 77, ssrc=2)  # of no use: it needs one that never came here
    stage.frame(501, 3077, ssrc=2, key=True)
    stage.frame(502, 6077, ssrc=2)
    # A second of a clock of 90 kHz after the last, and no number is missing.
    assert numbers(viewer) == [(65_535, 3000), (0, 93_000), (1, 96_000)]
    assert viewer.shown_as(1, 65_535, 3000) == (65_535, 3000)
    assert viewer.shown_as(2, 501, 3077) == (0, 93_000)
    assert viewer.shown_as(2, 500, 77) is None


def test_what_was_sent_again_from_before_the_key_frame_does_not_leave():
    stage = Stage()
    viewer = stage.viewer()
    stage.frame(100, 9000, key=True)
    stage.frame(99, 6000)
    stage.frame(102, 12_000)
    stage.frame(101, 12_000)  # late, but of what the viewer is shown
    assert numbers(viewer) == [(100, 9000), (102, 12_000), (101, 12_000)]


def test_who_is_left_out_goes_on_with_a_key_frame_and_is_asked_for_no_frame_between():
    stage = Stage()
    viewer, server = stage.viewer(), stage.viewer()
    server.always = True  # another server
    stage.frame(1, 3000, key=True)
    stage.frame(2, 6000, packets=2)
    stage.plane.choose({"ben"})
    stage.frame(4, 9000)
    stage.now_s = 1.0
    stage.plane.choose({"ana"})
    assert stage.asked_s == [1.0]
    stage.frame(5, 12_000)
    stage.frame(6, 15_000, key=True)
    assert numbers(viewer) == [(1, 3000), (2, 6000), (3, 6000), (4, 15_000)]
    assert [viewer.shown_as(1, number, 3000 * frame) for number, frame in ((2, 2), (4, 3), (5, 4), (6, 5))] == [
        (2, 6000), None, None, (4, 15_000),
    ]  # fmt: skip
    assert len(server.out.packets) == 6


@pytest.mark.parametrize("codec", CODECS)
def test_a_key_frame_opens_where_a_decoder_can_begin(codec):
    form = payload_format(codec)
    if codec == "vp8":
        key, delta = form.packets(b"\x10" + bytes(3000), 1), form.packets(b"\x11" + bytes(3000), 2)
    else:
        unit = b"\x00\x00\x00\x01"
        key = form.packets(unit + b"\x67abc" + unit + b"\x68de" + unit + b"\x65" + b"x" * 3000, 1)
        delta = form.packets(unit + b"\x41" + b"x" * 3000, 2)
    assert [form.opens_key_frame(each) for each in key] == [True, *[False] * (len(key) - 1)]
    assert not any(form.opens_key_frame(each) for each in (*delta, b"", b"\x90", b"\x7c"))
