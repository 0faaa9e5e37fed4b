"""A camera in a real call whose rate and size follow what the line takes, as libwebrtc's do.

Theory of operation: the model of a sender (``adaptation``: encoder, share of the estimate, budget of repair) says of
each picture how large its frame is, or that there is none. What is sent of it are real packets, which wait in one pacer
with their repair; sound passes it. What the far side tells (transport-wide feedback, reports, NACK, REMB) goes to the
controller, and its target to the encoder.

Rules:
    1. One controller a connection: it is the path that is estimated.
    2. All instants are the network's, so the same call on the virtual clock is the same to the byte.
    3. No parity: aiortc offers none, so nothing takes its share of the rate.

Known to differ from the model: who receives reports as often as one who sends voice alone does from its first second
on, and the receiver of pictures is ours (``playout.frames``).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, NamedTuple

import numpy as np

from rtcprobe.adaptation.encoder import Encoder
from rtcprobe.adaptation.model import controller_of, frame_noise
from rtcprobe.adaptation.receiver import Packet
from rtcprobe.adaptation.sender import OVERHEAD_BYTES, VOICE_BPS, VideoSender
from rtcprobe.control import Feedback, GoogCc, LossReports, Pacer
from rtcprobe.control.pacer import Kind
from rtcprobe.hearing.seen import Seen
from rtcprobe.picture.film import Place, Reel
from rtcprobe.picture.ladder import Ladder, Shot
from rtcprobe.runtime.adapting_seam import AdaptingPath
from rtcprobe.runtime.network import Network

__all__ = ["AdaptiveReel", "AdaptiveSender", "Second", "adapted"]

_PROCESS_S: Final = 0.025
"""libwebrtc ``call/rtp_transport_controller_send.cc``: the controller's own clock."""
_HEADERS_BYTES: Final = 28  # IPv4 and UDP
_TAG_BYTES: Final = 10  # of SRTP: the estimate is of the rest, as libwebrtc counts
# The pacer is looked at again no sooner than this after a look. What it lets out at once it has let out by then; a
# timer at the same instant would keep virtual time from passing, which its loop takes for a program that spins.
_SOON_S: Final = 1e-6
_PIECES: Final = b"\x90\x80", b"\x80\x80"
"""VP8's descriptor, X with I alone: S where a frame begins. Source: RFC 7741 §4.2."""
# The long PictureID has 15 bits, after the bit M that says so (0x8000 in ``_cut``). RFC 7741 §4.2.
_PICTURE_IDS: Final = 1 << 15


class Second(NamedTuple):
    """What a sender had decided by the end of a second: ``at_s`` since the call's epoch."""

    at_s: float
    target_bps: float
    height: int
    pacer_s: float
    repair_bytes: int
    state: str


class _Waiting(NamedTuple):
    """A packet that waits in the pacer."""

    kind: Literal["voice", "video", "again"]
    data: bytes
    packet: Packet | None = None


class _Intake:
    """The pacer as the model's sender sees it: what it puts in is a packet's place, its bytes come later."""

    def __init__(self, pacer: Pacer) -> None:
        self._pacer = pacer
        self.frame: list[Packet] = []
        self.again: list[tuple[Packet, int]] = []

    @property
    def expected_s(self) -> float:
        """How long what waits will take."""
        return self._pacer.expected_s

    @property
    def pacing_bps(self) -> float:
        """How fast it is let out."""
        return self._pacer.pacing_bps

    def flush(self) -> None:
        """Throw away the video that waits."""
        self._pacer.flush()

    def put(self, kind: Kind, packet: tuple[str, Packet], size_bytes: int, now_s: float) -> None:
        """Note a packet of the frame that is made, or one that is sent again."""
        del kind, now_s
        if packet[0] == "video":
            self.frame.append(packet[1])
        else:
            self.again.append((packet[1], size_bytes))


class AdaptiveSender:
    """One sender; ``control`` as ``adaptation.controller_of`` takes it, ``max_bps`` what its encoder takes at most."""

    def __init__(self, control: str, max_bps: float, *, chance: float, network: Network) -> None:
        self.controller = controller_of(control)
        self.seconds: list[Second] = []
        self._network, self._loop = network, asyncio.get_running_loop()
        # ``chance`` is a uniform double, which has 53 bits: all of them go into the seed.
        rng = np.random.default_rng(int(chance * 2**53))
        # Who goes by the receiver's estimate alone is stock aiortc: it knows no other size than the camera's.
        stock = self.controller.feedback_kind == "remb"
        self.encoder = Encoder(frame_noise(rng), max_bps, scales=not stock)
        self.pacer = Pacer(self._leave)
        self._intake = _Intake(self.pacer)
        self._sender = VideoSender(self.encoder, self.controller, self._intake, protects=False)
        self._losses = LossReports()
        self._place = -1
        self._due: list[Packet] = []
        self._path: AdaptingPath | None = None
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._repair_bytes = 0
        self._told_rtt_s = float("-inf")
        self._broken: ConnectionError | None = None
        self._over = False

    def over(self, path: AdaptingPath) -> None:
        """Send over ``path``."""
        self._path = path

    def frame(self, *, key: bool) -> tuple[list[Packet], int] | None:
        """Let the camera give a picture; return its packets and which size it has, None where there is no frame."""
        now_s = self._network.now_s()
        if key:
            self.encoder.ask_key()
        self._intake.frame = []
        self._sender.frame(now_s)
        # The ladder's step decides how much this stream may take at most. GoogCC probes up to that total and no
        # farther, so it is told with the frame that changed it, as libwebrtc's allocator tells it.
        if self.encoder.place != self._place and isinstance(self.controller, GoogCc):
            self.controller.set_total(self.encoder.max_bps + VOICE_BPS, now_s)
        self._place = self.encoder.place
        # Payloads come back one by one through ``offer_picture``, in this very
        # order: the reel cuts the frame into as many.
        self._due += self._intake.frame
        return (self._intake.frame, self._place) if self._intake.frame else None

    def begin(self) -> None:
        """Begin: the transport is there."""
        assert self._path is not None
        if self._path.numbers is not None:
            self._path.numbers.when_told = self._on_feedback
        self._on_process()
        self._on_rtt()

    def offer_sound(self, data: bytes) -> None:
        """Take a packet of sound."""
        self._put("audio", _Waiting("voice", data))

    def offer_picture(self, data: bytes) -> None:
        """Take a packet of the picture: the next of those that ``frame`` told."""
        self._put("video", _Waiting("video", data, self._due.pop(0)))

    def asked(self, places: list[int]) -> None:
        """Take in a NACK."""
        assert self._path is not None
        now_s = self._network.now_s()
        self._intake.again = []
        self._sender.asked(places, now_s)
        for packet, _ in self._intake.again:
            data = self._path.again(packet.number)
            if data is None:
                self._sender.left("again", packet, 0, now_s)  # kept no longer: it waits for nothing
            else:
                self._put("retransmission", _Waiting("again", data, packet))

    def reported(self, lost: int, expected: int, rtt_s: float | None) -> None:
        """Take in a receiver report."""
        now_s = self._network.now_s()
        if rtt_s is not None and rtt_s > 0:
            self._sender.rtt_s = rtt_s
            self._told_rtt_s = now_s
            self.controller.set_rtt(rtt_s)
        self.controller.told_loss(lost, expected, now_s)
        self._losses.told(lost, expected, now_s)
        self._sender.loss = self._losses.fraction
        self._adopt()

    def estimated(self, rate_bps: float) -> None:
        """Take in the receiver's estimate."""
        self.controller.told_remb(rate_bps, self._network.now_s())
        self._adopt()

    def end(self) -> None:
        """Send nothing any more."""
        self._over = True
        for timer in self._timers.values():
            timer.cancel()
        self.pacer.flush()

    def _on_feedback(self, report: Feedback, now_s: float) -> None:
        self.controller.told(report, now_s)
        self._adopt()

    def _put(self, kind: Literal["audio", "video", "retransmission"], waiting: _Waiting) -> None:
        if self._over:
            return
        size_bytes = len(waiting.data) + _HEADERS_BYTES + _TAG_BYTES
        # What it will be on the wire: the pacer's budget is in bytes of the
        # line. The controller is told of it less the tag.
        self.pacer.put(kind, waiting, size_bytes, self._network.now_s())
        self._wake()
        if self._broken is not None:
            raise self._broken  # whoever sends is told, as aiortc's own sender is

    def _leave(self, waiting: _Waiting | None, size_bytes: int, cluster: int | None) -> None:
        """Let a packet leave, or what fills up in its place."""
        path = self._path
        assert path is not None
        now_s = self._network.now_s()
        data = path.padding(size_bytes) if waiting is None else waiting.data
        # Padding is copies of what left before: where nothing is kept yet there is nothing to fill up with.
        if data is None or self._broken is not None:
            return
        try:
            number = path.leave(data)
        except ConnectionError as error:
            self._broken = error
            return
        size_bytes = len(data) + _HEADERS_BYTES + _TAG_BYTES
        # No number, no feedback: the other side did not agree to transport-wide
        # numbering, and the controller lives on reports.
        if number is not None:
            self.controller.sent(number, size_bytes - _TAG_BYTES, now_s, cluster)
        if waiting is None or waiting.packet is None:
            return
        self._sender.left(waiting.kind, waiting.packet, size_bytes, now_s)
        if waiting.kind == "video":
            # Kept from when it left, not from when it was made: what the pacer still holds cannot be asked for.
            path.left(waiting.packet.number, data)
        else:
            self._repair_bytes += size_bytes

    def _on_process(self) -> None:
        self._after("process", _PROCESS_S, self._on_process)
        now_s = self._network.now_s()
        self.controller.process(now_s)
        self._adopt()
        # The nearest turn of 25 ms to a whole second after the last note; the
        # half turn keeps rounding from making it 1.025 s.
        if not self.seconds or now_s >= self.seconds[-1].at_s + 1.0 - _PROCESS_S / 2:
            self._note(now_s)

    def _note(self, now_s: float) -> None:
        target_bps, height = self.controller.target_bps, self.encoder.size[1]
        waits_s = self.pacer.expected_s
        self.seconds.append(Second(now_s, target_bps, height, waits_s, self._repair_bytes, self.controller.state))
        self._repair_bytes = 0

    def _on_rtt(self) -> None:
        self._after("rtt", 1.0, self._on_rtt)
        # libwebrtc's history learns the RTT, within which it sends nothing again twice, once a second and from reports
        # no older than that (``kRttUpdateInterval``, ``modules/rtp_rtcp/source/rtp_rtcp_impl2.cc``).
        if self._network.now_s() - self._told_rtt_s < 1.0:
            self._sender.repeat_rtt_s = self._sender.rtt_s

    def _adopt(self) -> None:
        pacer, controller = self.pacer, self.controller
        pacer.pacing_bps, pacer.padding_bps = controller.pacing_bps, controller.padding_bps
        for probe in controller.probes():
            pacer.probe(probe, self._network.now_s())
        self._wake()

    def _wake(self) -> None:
        """See to it that the pacer is looked at when something may leave."""
        next_s = self.pacer.next_s
        due = self._timers.get("pacer")
        if next_s == float("inf") or self._over:
            return
        at_s = self._network.epoch_s + max(next_s, self._network.now_s())
        # A timer that is due sooner will look again by itself: one timer at a time, the earliest wanted.
        if due is not None and not due.cancelled() and due.when() <= at_s:
            return
        if due is not None:
            due.cancel()
        self._timers["pacer"] = self._loop.call_at(at_s, self._on_pacer)

    def _on_pacer(self) -> None:
        del self._timers["pacer"]
        now_s = self._network.now_s()
        # A nanosecond is the virtual clock's step: what is due at this instant must not be missed by rounding.
        if self.pacer.next_s <= now_s + 1e-9:
            self.pacer.process(now_s)
        next_s = self.pacer.next_s
        if next_s < float("inf") and not self._over:
            at_s = self._network.epoch_s + max(next_s, now_s + _SOON_S)
            self._timers["pacer"] = self._loop.call_at(at_s, self._on_pacer)

    def _after(self, name: str, wait_s: float, call: Callable[[], None]) -> None:
        if not self._over:
            self._timers[name] = self._loop.call_later(wait_s, call)


class AdaptiveReel(Reel):
    """What is shown by a sender that adapts: frames of a ladder, each as large as the encoder makes it."""

    film: Shot

    def __init__(self, ladder: Ladder, count: int, sender: AdaptiveSender) -> None:
        super().__init__(Shot(ladder), count)
        self.sender = sender
        self._filmed = 0

    @property
    def filmed(self) -> int:
        """How many frames the camera gave: those that the encoder left out at the end too."""
        return self._filmed

    def payloads(self, index: int, *, key: bool) -> Sequence[bytes]:
        """Return frame ``index`` as RTP payloads; none where the encoder leaves it out."""
        self._filmed = index + 1
        made = self.sender.frame(key=key)
        if made is None:
            return []
        packets, rung = made
        # Where a picture leads back to: the last key frame, which the viewer must have decoded to read this one.
        since = self._since = index if packets[0].key or self._since is None else self._since
        place = self.places[index] = Place(since, index)
        size_bytes = sum(packet.size_bytes - OVERHEAD_BYTES for packet in packets)
        return _cut(self.film.add(place, rung, size_bytes), len(packets), index)


def adapted(reel: Reel, seen: Seen, places: Mapping[int, Place]) -> dict[str, float]:
    """Return what came of a camera that follows the line, as a viewer has it; nothing of another.

    ``full_size_share``: how many of the pictures seen had their full size; ``smaller_s``: the longest stretch in which
    they had not; ``target_bps``: the mean of what the sender took the line to carry.
    """
    if not isinstance(reel, AdaptiveReel):
        return {}
    full = reel.film.settings.size
    shown = [
        (frame.shown_s, reel.film.size(places[frame.number]) == full)
        for frame in seen.frames
        if frame.fate == "seen" and frame.shown_s is not None and frame.number in places
    ]
    if not shown:
        return {}
    # A stretch begins with the first smaller picture and ends with the first whole one after it: until then the viewer
    # looks at the smaller one, so the time of that whole picture is what closes it.
    longest_s, since_s = 0.0, None
    for at_s, whole in shown:
        since_s = (at_s if since_s is None else since_s) if not whole or since_s is not None else None
        if since_s is not None:
            longest_s = max(longest_s, at_s - since_s)
        if whole:
            since_s = None
    targets = [each.target_bps for each in reel.sender.seconds]
    return {
        "full_size_share": sum(whole for _, whole in shown) / len(shown),
        "smaller_s": longest_s,
        **({"target_bps": sum(targets) / len(targets)} if targets else {}),
    }


def _cut(frame: bytes, count: int, number: int) -> list[bytes]:
    """Return a frame in so many pieces."""
    picture = (0x8000 | number % _PICTURE_IDS).to_bytes(2, "big")
    each = -(-len(frame) // count)
    return [_PIECES[at > 0] + picture + frame[at * each : (at + 1) * each] for at in range(count)]
