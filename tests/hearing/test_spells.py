"""When a listener heard a talker, and where that sound had gaps: arithmetic on what was played."""

import numpy as np
import pytest

from rtcprobe.hearing.spells import heard_spells, heard_throughout, spoken_spells
from rtcprobe.playout.base import BLOCK_SAMPLES
from rtcprobe.playout.replay import NO_SOUND, Playback
from rtcprobe.recording import Departures, Said

DEVICE_S = 0.020


def played(*blocks, start_s=1.0):
    """Return what left a loudspeaker: of each block the RTP time in blocks (None: no sound), and what was made up."""
    return Playback(
        start_s=start_s,
        stamps=np.array([NO_SOUND if at is None else at * BLOCK_SAMPLES for at, _ in blocks]),
        concealed=np.array([made_up for _, made_up in blocks], dtype=np.uint16),
    )


def said(*gaps_s, until_s):
    departures = Departures()
    departures.add(until_s, 0, 0, 100)
    return Said(
        party="ana",
        frames=[b"x"],
        ptime_s=0.02,
        started_s=0.0,
        finished=False,
        departures=departures,
        gaps_s=gaps_s,
    )


def test_a_talker_speaks_in_spells_between_what_was_not_said():
    # Closed from 2 to 3 s, the listener there from 0.5 s on: 0.5-2, 3-5.
    assert spoken_spells(said((2.0, 3.0), (0.0, 0.5), until_s=5.0), 10.0) == [(0.5, 2.0), (3.0, 5.0)]


def test_gaps_that_overlap_and_one_that_never_ends_leave_what_is_between():
    spells = spoken_spells(said((1.0, 3.0), (2.0, 2.5), (4.0, float("inf")), until_s=5.0), 10.0)
    assert spells == [(0.0, 1.0), (3.0, 4.0)]


def test_a_spell_is_heard_from_its_first_block_to_the_end_of_its_last():
    # Blocks 0 to 99 of RTP time are said in the first second; they leave the loudspeaker from 1.0 s on.
    playback = played((None, 480), *((at, 0) for at in range(100)))
    heard = heard_spells([(0.0, 1.0)], playback, origin=0, origin_s=0.0, device_s=DEVICE_S)
    (span,) = heard.spans
    assert (span.what, span.from_s, span.until_s) == ("heard", pytest.approx(1.03), pytest.approx(2.03))
    assert heard.listened_s == pytest.approx(1.0)


def test_a_silence_that_was_meant_is_no_gap_and_a_pause_in_a_spell_is():
    blocks = [(at, 0) for at in range(20)]
    blocks += [(None, 480)] * 25  # 250 ms: between the spells
    blocks += [(at, 0) for at in range(45, 55)]
    blocks += [(at, 480) for at in range(55, 65)]  # 100 ms made up, within the second
    blocks += [(at, 0) for at in range(65, 85)]
    heard = heard_spells([(0.0, 0.2), (0.45, 0.85)], played(*blocks), origin=0, origin_s=0.0, device_s=DEVICE_S)
    assert [each.what for each in heard.spans] == ["heard", "heard", "gap"]
    gap = heard.spans[2]
    assert gap.from_s == pytest.approx(1.0 + 0.55 + DEVICE_S)
    assert gap.until_s - gap.from_s == pytest.approx(0.1)
    assert heard.listened_s == pytest.approx(0.2 + 0.4)


def test_a_gap_is_as_long_as_its_sound_was_made_up_and_shorter_ones_are_not_kept():
    # 70 ms, then 90 ms of which the last block was made up by a half: 85 ms.
    blocks = [(0, 0), *((at, 480) for at in range(1, 8)), (8, 0)]
    blocks += [*((at, 480) for at in range(9, 17)), (17, 240), (18, 0)]
    heard = heard_spells([(0.0, 1.0)], played(*blocks), origin=0, origin_s=0.0, device_s=0.0)
    (gap,) = (each for each in heard.spans if each.what == "gap")
    assert gap.until_s - gap.from_s == pytest.approx(0.085)
    assert gap.from_s == pytest.approx(1.0 + 0.09)


def test_what_cannot_be_told_from_what_was_said_is_one_spell():
    heard = heard_throughout(played((None, 480), (7, 0), (8, 480), (9, 0), (None, 480)), device_s=DEVICE_S)
    (span,) = heard.spans
    assert (span.from_s, span.until_s) == (pytest.approx(1.03), pytest.approx(1.06))


def test_nothing_played_is_nothing_heard():
    assert heard_throughout(played((None, 480)), device_s=DEVICE_S).spans == ()
    heard = heard_spells([(0.0, 1.0)], played((None, 480)), origin=0, origin_s=0.0, device_s=DEVICE_S)
    assert (heard.spans, heard.listened_s) == ((), 0.0)
