"""The model beside the stack: where nothing is left to chance, both leave the same call."""

import pytest
from aiortc.rtp import RTCP_RTPFB_NACK, RtcpRtpfbPacket

from rtcprobe.model import wire
from rtcprobe.playout.copies import Left
from rtcprobe.probe import run_probe, talking
from rtcprobe.scenario import find_scenario

SRTCP_BYTES = 20


@pytest.fixture
def left_by(monkeypatch):
    """Return what a call of an engine left, each way, in place of hearing it."""

    class EnoughError(Exception):
        pass

    def calls(engine, *settings, seed=1):
        left = []

        def take(ways, *_, **__):
            left.extend(ways)
            raise EnoughError

        monkeypatch.setattr(talking, "hear_call", take)
        asked = ["call.duration=1s", "call.joins=1", "call.calls=1", *settings]
        with pytest.raises(EnoughError):
            run_probe(find_scenario("1v1-social", asked), seed=seed, clock="virtual", engine=engine)
        return left

    return calls


@pytest.mark.parametrize(
    "settings",
    [
        ["link=delay 40ms"],
        ["link.caller_to_callee=delay 80ms", "link.callee_to_caller=delay 15ms", "signaling.connection=warm"],
        ["link=delay 20ms", "protection.red=2", "protection.nack=true", "codec.ptime=10ms"],
        ["link=delay 20ms", "mouth.programme=silence", "codec.dtx=true"],
    ],
    ids=["delay", "there and back differ", "RED and NACK", "DTX"],
)
def test_without_chance_both_engines_leave_the_same_packets_at_the_same_instants(left_by, settings):
    of_stack, of_model = (left_by(engine, *settings) for engine in ("stack", "model"))
    assert len(of_stack) == len(of_model) == 2
    for stack, model in zip(of_stack, of_model, strict=True):
        assert (model.way, model.phase_s) == (stack.way, stack.phase_s)
        assert model.said.started_s == pytest.approx(stack.said.started_s, abs=1e-9)
        assert model.said.finished == stack.said.finished
        assert [each.size_bytes for each in model.said.departures] == [
            each.size_bytes for each in stack.said.departures
        ]
        for one, other in ((model.said.departures, stack.said.departures), (model.came.arrivals, stack.came.arrivals)):
            assert len(one) == len(other) > 0
        assert Left(model.said.departures).at_s == pytest.approx(Left(stack.said.departures).at_s, abs=1e-8)
        assert model.came.arrivals.at_s == pytest.approx(stack.came.arrivals.at_s, abs=1e-8)
        assert steps(model) == steps(stack)
        assert payloads(model) == payloads(stack)


def steps(way):
    """Return timestamps and numbers as far from the first as they are."""
    packets = [packet for _, packet in way.came.arrivals]
    first = packets[0]
    return [((each.timestamp - first.timestamp) % 2**32, (each.sequence - first.sequence) % 2**16) for each in packets]


def payloads(way):
    return [(packet.payload, packet.payload_type) for _, packet in way.came.arrivals]


def test_both_engines_spend_the_seed_alike(left_by):
    """Delays of the first packets come from the same generators, so a change of seed changes both alike."""
    settings = ["link=delay 40ms 5ms distribution normal"]
    of_stack, of_model = (left_by(engine, *settings, seed=7)[0] for engine in ("stack", "model"))
    assert of_model.said.started_s == pytest.approx(of_stack.said.started_s, abs=0.020001)  # its grid, or a frame off
    grid_s = (of_model.said.started_s - of_stack.said.started_s) % 0.020
    assert min(grid_s, 0.020 - grid_s) == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize(
    "lost", [[7], [7, 8, 23], [7, 23, 24], [7, 24], [1, 2, 3, 40, 41, 58], list(range(90, 200, 3))]
)
def test_a_nack_is_as_large_as_the_stacks(lost):
    packet = RtcpRtpfbPacket(fmt=RTCP_RTPFB_NACK, ssrc=1, media_ssrc=2, lost=lost)
    assert wire.nack_bytes(lost) == len(bytes(packet)) + SRTCP_BYTES
