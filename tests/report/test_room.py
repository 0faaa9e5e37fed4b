"""A room on every surface: the matrix, what no single way says, the hour; and a service's words."""

import io
from dataclasses import replace
from functools import cache

import pytest
from rich.console import Console

from rtcprobe.report.html import render_report
from rtcprobe.report.lead import lead
from rtcprobe.report.lines import cell_width, wrapped
from rtcprobe.report.markdown import results_markdown
from rtcprobe.report.room import facts
from rtcprobe.report.terminal import print_result
from rtcprobe.report.words import speaking
from rtcprobe.verdict import judge
from rtcprobe.verdict.room import level, matrix, room_of, worst_pairs
from tests.rooms_made import heard, join, room


@cache
def small():
    return judge(
        room(
            heard("ana_to_ben", 90, 90),
            heard("ana_to_cho", 160, 160, gaps=[(2.0, 2.3)]),
            heard("ben_to_ana", 250, 250, spells=[(3.3, 10.0)]),
            heard("ben_to_cho", 410, 410, spells=[(3.5, 10.0)]),
            happenings=[(3.0, "ben", "publish"), (8.0, "ana", "leave")],
            joins=[join("ben", 0.5), join("cho", 2.0)],
            figures="volcengine",
        ),
        [],
    )


@cache
def large():
    """8 on stage in three regions and 20 who listen: 216 ways, the latest from s0 to l19."""
    stage, audience = [f"s{n}" for n in range(8)], [f"l{n}" for n in range(20)]
    regions = ("jakarta", "riyadh", "sao-paulo")
    accounts = [
        heard(f"{talker}_to_{listener}", 400 if (talker, listener) == ("s0", "l19") else 150 + place)
        for talker in stage
        for place, listener in enumerate((*stage, *audience))
        if talker != listener
    ]
    return room(
        *accounts,
        roles={**dict.fromkeys(stage, "stage"), **dict.fromkeys(audience, "audience")},
        regions={name: regions[place % 3] for place, name in enumerate((*stage, *audience))},
    )


@cache
def judged():
    return judge(large(), [])


def screen(result, width=80):
    console = Console(file=io.StringIO(), width=width)
    print_result(result, console)
    return console.file.getvalue().splitlines()


def test_the_screen_has_a_row_each_talker_and_a_figure_each_listener():
    lines = screen(small())
    assert max(map(cell_width, lines)) <= 80
    place = next(place for place, line in enumerate(lines) if "Who hears whom" in line)
    assert lines[place + 1].split() == ["ana", "ben", "cho"]
    assert lines[place + 2].split() == ["ana", "·", "90.0", "160.0"]
    assert lines[place + 3].split() == ["ben", "250.0", "·", "410.0"]
    told = " ".join(" ".join(lines).split())
    assert "latest pairs, p50 and p95, ms: ben → cho 410.0; ben → ana 250.0; ana → cho 160.0" in told
    assert "on stage → heard, ben: 300 to 500 ms, median 300 (cho last), of two waits" in told
    # Wilson, by hand: one of two is 9.5 to 90.5 %, two of two 34.2 to 100 %.
    assert "joins, everybody: 50% [9.5%–91%] within 1 s, 100% [34%–100%] within 5 s, of two joins" in told


def test_the_strip_shows_who_was_heard_when_and_where_it_broke_off():
    lines = screen(small())
    place = next(place for place, line in enumerate(lines) if "who was heard" in line)
    ana, ben = lines[place + 1].split()[1], lines[place + 2].split()[1]
    assert set(ana) == {"█", "×", "-"}
    # 10 s on some 68 cells: ben goes on stage at 3 s and is heard from 3.3 s on.
    assert ben.index("^") == pytest.approx(0.30 * len(ben), abs=1)
    assert ben.index("█") == pytest.approx(0.33 * len(ben), abs=1)
    assert "goes on stage" in " ".join(lines[place + 3 : place + 6])


def test_shades_change_at_the_limits_of_the_standards():
    assert [level(ms / 1e3) for ms in (100, 101, 151, 201, 301, 401)] == [0, 1, 2, 3, 4, 5]


def test_of_28_parties_those_of_one_role_and_region_share_a_row_that_names_the_latest():
    found = matrix(large(), most=8)
    assert [each.name for each in found.columns][:2] == ["stage, jakarta (3)", "stage, riyadh (3)"]
    assert len(found.rows) == 8
    assert sum(len(each.members) for each in found.columns) == 28
    cell = found.cells["s0", "audience, jakarta (7)"]
    assert (cell.worst, cell.ways, cell.p50_s) == ("s0_to_l19", 7, 0.4)
    assert worst_pairs(large(), 1)[0].worst == "s0_to_l19"


def test_216_ways_stay_readable_on_screen_page_and_in_markdown():
    result = judged()
    lines = screen(result)
    assert max(map(cell_width, lines)) <= 80
    assert len(lines) < 90
    assert any("the 12 latest of 216 ways" in line for line in lines)
    assert any("s0 → l19 400.0" in line for line in lines)
    markdown = results_markdown([result])
    assert "The 12 latest of 216 ways" in markdown
    assert len(markdown.splitlines()) < 90
    page = render_report([result])
    assert "latest of " in page
    assert len(page) < 1_000_000


def test_the_page_has_matrix_strip_and_the_services_words():
    page = render_report([small()])
    assert '<td class="h5" title="ben → cho">410' in page
    assert '<td class="h0" title="ana → ben">90' in page
    assert page.count('class="gap"') == 1
    assert 'title="goes on stage, 3.0 s"' in page
    assert "80ms_audio_stall_rate" in page
    assert "volcengine.com/docs/6348/1167931" in page


def test_markdown_has_the_matrix_and_the_services_words():
    markdown = results_markdown([small()])
    assert "| **ben** | 250.0 |  | 410.0 |" in markdown
    assert "80ms_audio_stall_rate" in markdown


def test_markdown_calls_groups_by_their_role_in_the_language_spoken_as_screen_and_page_do():
    result = judged()
    with speaking("zh"):
        markdown, page = results_markdown([result]), render_report([result])
    assert "| 观众, jakarta (7) |" in markdown
    assert "观众, jakarta (7)" in page
    assert "audience, jakarta" not in markdown


def test_two_people_have_no_room():
    result = judge(room(heard("ana_to_ben", 100), heard("ben_to_ana", 100), roles={"ana": "", "ben": ""}), [])
    assert not any("Who hears whom" in line for line in screen(result))
    assert 'class="heat"' not in render_report([result])


def test_chinese_lines_are_as_wide_as_a_terminal_shows_them():
    text = "各对之间嘴到耳延迟的中位数和第九十五百分位\uff0c最晚的在前\uff1bana → ben 一百毫秒。" * 3
    lines = [line.plain for line in wrapped(text, indent=2, width=40)]
    assert max(map(cell_width, lines)) <= 42  # a mark that closes may hang over
    assert "".join("".join(lines).split()) == "".join(text.split())
    assert not any(line.strip()[0] in "\uff0c\uff1b。" for line in lines)


def test_what_was_lost_when_somebody_fell_silent_for_all_is_said_beside_the_delays():
    few = replace(heard("ana_to_ben", 100, 100), scheduled=8, lost=6)
    assert lead(room(few)).endswith("; 75% of what was said was lost.")
    assert "lost" not in lead(room(replace(heard("ana_to_ben", *[100] * 19), scheduled=20, lost=1)))


def _facts(result):
    return dict(facts(result, room_of(result)))


def test_one_wait_and_one_that_never_ended_are_told_as_one():
    ana, ben = heard("ana_to_ben", 100), heard("ben_to_ana", 100)
    late = heard("ana_to_cho", 100, spells=[(4.2, 10.0)])
    told = _facts(room(ana, ben, late, happenings=[(4.0, "cho", "join")]))
    assert told["joined meanwhile → first sound"].startswith("200 ms (cho), of one wait")
    never = replace(heard("ana_to_cho", spells=[]), samples=())
    told = _facts(room(ana, ben, never, happenings=[(4.0, "cho", "join")]))
    assert told["joined meanwhile → first sound"] == "never at cho"
