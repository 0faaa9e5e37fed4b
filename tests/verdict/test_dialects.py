"""The same run in three services' words: each figure against its document's definition, by hand."""

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.report.room import figure_rows
from rtcprobe.scenario import parse_scenario
from rtcprobe.verdict import judge
from rtcprobe.verdict.dialects import DIALECTS, in_words_of
from tests.rooms_made import heard, join, room

# 30 s listened to, with pauses of 90 ms, 150 ms and 300 ms; delays of 100, 350 and 500 ms.
RUN = room(
    heard("ana_to_ben", 100, 350, gaps=[(1.0, 1.09), (2.0, 2.15)]),
    heard("ana_to_cho", 100, 500, gaps=[(3.0, 3.3)]),
    heard("ben_to_ana", 100, 100),
    joins=[join("ben", 0.8), join("cho", 3.0), join("ana", 6.0), join("dan", None)],
)


def figures(service):
    return {each.name: each for each in in_words_of(service, RUN)}


def test_agora_counts_pauses_from_200_ms_and_volcengine_from_80():
    assert figures("agora")["Audio Freeze Rate"].value == pytest.approx(0.3 / 30)
    assert figures("volcengine")["80ms_audio_stall_rate"].value == pytest.approx((0.09 + 0.15 + 0.3) / 30)


def test_a_service_that_names_no_length_says_which_was_taken():
    rate = figures("trtc")["audioBlockRate"]
    assert rate.value == pytest.approx(0.3 / 30)
    assert "200 ms is taken" in rate.differs


def test_joins_in_time_are_of_all_joins_those_never_heard_among_them():
    within = figures("volcengine")["5s_join_room_success_rate"]
    assert within.value == pytest.approx(2 / 4)
    assert 0.0 < within.low < 0.5 < within.high < 1.0
    assert figures("agora")["秒开率"].value == pytest.approx(1 / 4)


def test_the_delay_is_the_mean_of_all_pairs_and_its_share_within_400_ms():
    # (100 + 350 + 100 + 500 + 100 + 100) / 6, five of six within 400 ms.
    assert figures("trtc")["point2PointDelay"].value == pytest.approx(1250 / 6)
    assert figures("volcengine")["400ms_audio_network_trans_delay"].value == pytest.approx(5 / 6)


def test_every_figure_says_of_how_many_of_what_it_was_made():
    of = {name: (each.counted, each.what) for name, each in figures("agora").items()}
    assert of["秒开率"] == (4, "joins")
    assert of["e2eDelay"] == (6, "markers")
    assert of["Audio Freeze Rate"] == (1, "calls")
    alone = room(heard("ana_to_ben", 100), heard("ana_to_cho", 100), joins=[join("ben", 0.8)])
    words = {name: value for name, value, _ in figure_rows(in_words_of("agora", alone))}
    assert words["秒开率: first sound within a second"].endswith(", of one join")


@pytest.mark.parametrize("service", DIALECTS)
def test_every_figure_names_the_page_that_defines_it(service):
    for each in in_words_of(service, RUN):
        assert "/" in each.source or each.source.startswith("industry usage; no service's page")
        assert each.by


def test_pictures_have_figures_only_where_there_were_any():
    assert not any("video" in name.lower() for service in DIALECTS for name in figures(service))


def test_a_scenario_asks_for_a_services_words_and_stays_the_same_situation():
    text = "name: lab\nlink: delay 40ms\n"
    asked = parse_scenario(text, ["figures=trtc"])
    assert asked.settings["figures"] == "trtc"
    assert asked.digest == parse_scenario(text).digest
    with pytest.raises(BadInputError, match=r"figures 'zego' is not known: use one of agora, trtc, volcengine"):
        parse_scenario(text, ["figures=zego"])


def test_a_result_that_asked_for_them_holds_them_once_judged():
    asked = room(heard("ana_to_ben", 100), heard("ana_to_cho", 100), figures="agora")
    assert [each.name for each in judge(asked, []).named][:1] == ["Audio Freeze Rate"]
    assert judge(RUN, []).named == ()
