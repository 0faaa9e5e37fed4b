"""Messages on the screen, the page and in Markdown: fates, stages, what SCTP sent again by name, who waited in line."""

import re
from dataclasses import replace

import pytest

from rtcprobe.report.html import render_report
from rtcprobe.report.markdown import result_markdown
from rtcprobe.report.messages import message_lines
from rtcprobe.report.pages import Page
from tests import written

WAYS = ("caller_to_callee.messages", "callee_to_caller.messages")


@pytest.fixture
def result(make_result):
    base = make_result()
    return replace(base, accounts=(*base.accounts, *map(written.account, WAYS)))


def screen(result):
    return [each.plain for each in message_lines(result, Page())]


def test_fates_and_figures_of_several_calls_add_up():
    account = written.account()
    assert (account.scheduled, account.heard, account.lost) == (100, 99, 1)
    # 0.35 s for the piece lost, and for those behind it while it was: three of them, 0.25, 0.15 and 0.05 s.
    assert account.figures["head_of_line_waits"] == 3
    assert account.figures["head_of_line_longest_s"] == pytest.approx(0.25)
    assert account.stages["retransmission"] == pytest.approx(0.35 / 99)
    assert account.stages["head_of_line"] == pytest.approx(0.45 / 99)
    assert sum(account.stages.values()) == pytest.approx(sum(each.delay_s for each in account.samples) / 99)
    assert [(each.what, each.call) for each in account.spans if each.what != "head of line"] == [
        ("fast retransmit", 0),
        ("T1-init", 1),
    ]


def test_the_screen_names_what_was_sent_again_and_what_waited(result):
    lines = "\n".join(screen(result))
    assert "Messages: 2 calls, ms" in lines
    assert re.search(r"delivered, wrong, lost +99, 0, 1 of 100 +99, 0, 1 of 100", lines)
    assert re.search(r"fast retransmit: times, after +1, 350 ms", lines)
    assert re.search(r"T1-init: times, after +1, 3,000 ms", lines)
    assert re.search(r"waited in line, longest +3%, 250 ms", lines)
    assert "took 390 ms, of it 350 retransmission and 40 network" in " ".join(lines.split())
    assert max(map(len, screen(result))) <= 80


def test_where_nobody_sent_messages_nothing_is_said_of_them(make_result):
    assert screen(make_result()) == []
    assert "Messages" not in render_report([make_result()])


def test_more_ways_than_columns_have_a_row_each(make_result):
    base = make_result()
    ways = ("ana_to_ben.messages", "ben_to_ana.messages", "ana_to_cho.messages")
    lines = "\n".join(screen(replace(base, accounts=tuple(map(written.account, ways)))))
    assert re.search(r"ana → cho +40\.0 \[.*\] +.*1 of 100 +3%, 250 ms", lines)


def test_the_page_and_markdown_have_every_figure_and_the_slowest(result):
    page, text = render_report([result]), result_markdown(result)
    assert "Messages: due at one side → delivered at the other" in page
    assert page.count("messages delivered 40.0 to 390.0 ms late, median 40.0 ms; 1 messages lost, 0 wrong") > 0
    assert "caller → callee 1.10" in page
    for said in ("T1-init: times, waited before", "channel open after, ms"):
        assert said in page
        assert said in text
