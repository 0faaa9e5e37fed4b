"""The HTML report, without a browser; tests/live/test_report_page.py opens it in one."""

import re
from collections import Counter
from dataclasses import replace
from html.parser import HTMLParser
from importlib.resources import files
from itertools import pairwise

import numpy as np
import pytest
from markupsafe import Markup

from rtcprobe.report.html import render_report
from rtcprobe.report.html.reduce import binned, binned_steps, ecdf
from rtcprobe.report.html.repeat import repeat
from rtcprobe.report.html.tables import link_table, mapping_table
from rtcprobe.report.html.trend import newest_first, trends
from rtcprobe.report.html.view import notes, sentence, slow_parts
from rtcprobe.report.html.waterfall import join_waterfalls, stage_waterfalls
from rtcprobe.result import Beside, BudgetOutcome, Instrument, Joins, Playout, Retransmission
from rtcprobe.scenario import find_scenario, parse_scenario
from rtcprobe.verdict import judge, parse_budget

BUDGETS = ("join.first_audio p50 < 1s", "join.first_audio max < 600ms", "mouth_to_ear p95 < 100ms (advisory)")
FAST = BudgetOutcome(
    expression="join.first_audio p95 < 1s", metric="join.first_audio", aggregate="p95", unit="s", limit=1.0,
    value=1.487, verdict="met",
)  # fmt: skip
HOSTILE = "<script>alert(1)</script><img src=x onerror=alert(1)>"


def judged(result, lines=BUDGETS):
    return judge(result, [parse_budget(line) for line in lines])


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the words between."""

    def __init__(self, page):
        super().__init__()
        self.found, self.words = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.words.append(data)

    def all(self, *tags):
        return [attributes for tag, attributes in self.found if tag in tags]


PAGES = {}


@pytest.fixture
def text(make_result):
    """One page for all who look at it: plots take a while."""
    if not PAGES:
        PAGES["usual"] = render_report([judged(make_result())])
    return PAGES["usual"]


@pytest.fixture
def page(text):
    return Elements(text)


@pytest.fixture
def plain(monkeypatch):
    """Pages without plots, for what is not about them."""
    for name in ("over_time", "distribution"):
        monkeypatch.setattr(f"rtcprobe.report.html.page.{name}", lambda *_, **__: Markup())


def test_a_page_asks_nothing_of_anybody(page):
    assert not {"script", "iframe", "object", "embed", "form", "img", "base"} & {tag for tag, _ in page.found}
    assert [each["href"] for each in page.all("link")] == ["data:,"]
    for tag, attributes in page.found:
        assert not [name for name in attributes if name.startswith("on") or name == "src"]
        assert attributes.get("href", "#").startswith(("#", "data:,")), tag
        assert all(found.startswith("#") for found in re.findall(r"url\(([^)]*)\)", attributes.get("style", "")))
    (policy,) = [each["content"] for each in page.all("meta") if each.get("http-equiv") == "Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; ")


def test_ids_are_unique_and_every_reference_has_its_place(page):
    ids = Counter(attributes["id"] for _, attributes in page.found if "id" in attributes)
    assert max(ids.values()) == 1
    text = [value or "" for _, attributes in page.found for value in attributes.values()]
    referred = {found for value in text for found in re.findall(r"(?:^|url\()#([\w-]+)", value)}
    assert referred <= ids.keys()


def test_pictures_are_told_in_words_and_tables_have_captions_and_headings(page):
    pictures = page.all("svg")
    assert len(pictures) == 4  # joins, over time wide and narrow, delays
    assert {each["role"] for each in pictures} == {"img"}
    assert any("118 markers heard" in each["aria-label"] for each in pictures)
    assert len(page.all("table")) == len(page.all("caption")) > 5
    assert all(each.get("scope") in {"row", "col", "colgroup"} for each in page.all("th"))


def test_everything_from_outside_is_escaped(make_result, make_attempt, make_ear):
    attempt = make_attempt(dtls_lost=True)
    strange = replace(attempt, phases={HOSTILE: attempt.first_audio_s})
    ear = make_ear(0)
    result = make_result(
        scenario=HOSTILE,
        target=HOSTILE,
        scenario_digest=HOSTILE,
        warnings=(HOSTILE,),
        environment={HOSTILE: HOSTILE},
        settings={"serves": HOSTILE, HOSTILE: [HOSTILE]},
        harness=Instrument(timers=HOSTILE, own_s={HOSTILE: 0.1}),
        join=Joins(attempts=(strange, make_attempt(failed=HOSTILE))),
        mouth_to_ear={
            "caller_to_callee": replace(
                ear, stages={HOSTILE: ear.total_s}, playout=Playout(policy=HOSTILE), beside={HOSTILE: Beside()}
            )
        },
    )
    result = judged(result)
    wild = replace(result.budgets[0], expression=f"join.first_audio {HOSTILE} $x^2$", reason=HOSTILE)
    page = Elements(render_report([replace(result, budgets=(wild,), reasons=(HOSTILE,))], title=HOSTILE))
    assert not page.all("script", "img")
    assert not [name for _, attributes in page.found for name in attributes if name.startswith("on")]
    assert sum(HOSTILE in each for each in page.words) >= 12
    assert any("$x^2$" in each for each in page.words)  # in the picture: no mathematics


@pytest.mark.usefixtures("plain")
def test_what_is_no_text_is_replaced(make_result):
    text = render_report([judged(make_result(scenario="a\x00b\ud800c\u202ed", warnings=("e\x1b[31m",)))])
    assert "a\ufffdb\ufffdc\ufffdd" in text
    assert not {"\x00", "\ud800", "\u202e", "\x1b"} & set(text)
    assert text.encode()


def test_equal_results_give_equal_bytes_whatever_matplotlib_was_told(make_result, text):
    import matplotlib as mpl

    with mpl.rc_context({"font.size": 30, "svg.fonttype": "path", "axes.facecolor": "red"}):
        assert render_report([judged(make_result())]) == text


@pytest.mark.usefixtures("plain")
def test_several_results_stand_in_a_table_that_leads_to_each(make_result, monkeypatch):
    results = [judged(make_result(scenario=name), ()) for name in ("one", "two")]
    results.append(judged(make_result(scenario="three", mouth_to_ear={}), ()))
    page = Elements(render_report(results))
    assert [each["id"] for each in page.all("section")] == ["r1", "r2", "r3"]
    assert {each["href"] for each in page.all("a")} == {"#r1", "#r2", "#r3"}
    # room for one alone: the one that did not pass
    monkeypatch.setattr("rtcprobe.report.html.page.MOST_BYTES", 1)
    page = Elements(render_report(results))
    assert [each["id"] for each in page.all("section")] == ["r3"]
    assert any("1 of 3 results are shown whole below" in each for each in page.words)


def test_the_verdict_is_told_in_one_sentence(make_result, make_attempt):
    def with_budgets(*verdicts, run="pass"):
        kinds = [replace(FAST, verdict=word.removeprefix("*"), advisory=word[0] == "*") for word in verdicts]
        return sentence(replace(judged(make_result(), ()), budgets=tuple(kinds), verdict=run))

    assert (
        with_budgets("met", "missed", run="fail") == "1 of 2 budgets missed: join.first_audio p95 < 1s is 1,487.0 ms."
    )
    assert with_budgets("missed", "missed", run="fail").endswith("join.first_audio p95 < 1s is 1,487.0 ms, and 1 more.")
    assert with_budgets("met", "met") == "All 2 budgets were met."
    assert with_budgets("met", "*missed") == "The budget was met; 1 advisory missed."
    assert with_budgets("*missed") == "No budget was binding; 1 advisory missed."
    assert with_budgets("met", "undecided") == "No budget missed; 1 of 2 undecided at 95% confidence."
    assert sentence(judged(make_result(), ())) == "Measured; there was no budget to judge it by."
    assert sentence(judged(make_result(interrupted=True))).startswith("Interrupted: ")
    lag = make_result(verdict="invalid", reasons=("the loop was 9.0 ms late at p95",))
    assert sentence(judged(lag)) == "Not to be trusted: the loop was 9.0 ms late at p95."
    dead = judged(make_result(join=Joins(attempts=(make_attempt(failed="dtls"),) * 2), mouth_to_ear={}))
    assert sentence(dead) == "None of 2 joins was heard (gave up: dtls)."


def test_each_note_is_told_once(make_result):
    result = make_result(verdict="invalid", reasons=("late",), warnings=("odd", "odd", "even"), cut="the server went")
    assert notes(judged(result)) == (
        "The call was cut short: the server went", "Warning: odd (2 times)", "Warning: even",
    )  # fmt: skip


def test_the_slow_part_and_the_lost_time_are_named(make_result):
    said = slow_parts(judged(make_result()))
    # 132 of 487 ms; stages of 158 ms: jitter buffer 51.8
    assert said[0] == "Typical join: longest is signaling, 132 of 487 ms (27%)."
    assert said[1] == "Slowest join: 1,000 ms of this 1,487 ms join was one lost DTLS flight."
    assert said[2] == "Mouth to ear, caller → callee: longest is jitter buffer, 52 of 158 ms (33%)."


def test_waterfalls_are_contiguous_on_one_scale_with_lost_time_inside(make_result, make_attempt):
    middle, last = join_waterfalls(make_result().join.attempts)
    assert middle.scale_s == last.scale_s == last.total_s == pytest.approx(1.487)
    plain = [bar for bar in last.bars if bar.kind != "lost"]
    for bar, after in pairwise(plain):
        (begin_s, length_s), (next_s, _) = bar.spans[0], after.spans[0]
        assert next_s == pytest.approx(begin_s + length_s, abs=1e-4)
    (lost,) = [bar for bar in last.bars if bar.kind == "lost"]
    assert (lost.name, lost.spans, lost.value) == ("lost DTLS flight, caller", ((pytest.approx(0.26), 1.0),), "1,000.0")
    spurious = Retransmission(timer="stun", party="caller", at_s=0.4, cost_s=0.0)
    (one,) = join_waterfalls([replace(make_attempt(), retransmissions=(spurious,))])
    assert one.note == "7.4 round trips of the media path; 1 more retransmission cost it nothing"


def test_a_residual_below_zero_is_drawn_back_from_where_it_begins(make_result, make_ear):
    ear = replace(make_ear(0), stages={"network_min": 0.1, "residual": -0.002})
    (drawn,) = stage_waterfalls(make_result(mouth_to_ear={"round_trip": ear}))
    assert drawn.bars[1].spans == ((pytest.approx(0.098), pytest.approx(0.002)),)
    assert drawn.bars[1].value == "-2.0"


def test_figures_without_news_have_no_row_and_missing_ones_a_dash(make_result):
    rows = {row[0]: row[1:] for row in link_table(make_result()).rows}
    assert rows["delay p50, ms"][:2] == ("41.0", "41.2")
    assert rows["packets sent"][:2] == ("–", "3,051")
    assert "reordered" not in rows
    assert "marked (ECN)" not in rows
    link = make_result().link["caller_to_callee"]
    marked = replace(link, achieved=replace(link.achieved, marked=0.25))
    rows = {row[0]: row[1:] for row in link_table(make_result(link={"caller_to_callee": marked})).rows}
    assert rows["marked (ECN)"] == ("–", "25%")
    nested = mapping_table("x", {"caller": {"codec": "opus", "rtt_s": 0.05}, "late_p50_s": None})
    assert nested.rows == (("caller, codec", "opus"), ("caller, rtt", "50.00 ms"), ("late p50 s", "–"))


def test_a_command_is_given_only_where_it_measures_the_same(make_result):
    changes = ["call.joins=5", "link=delay 80ms loss 2%"]
    plan = find_scenario("1v1-social", changes)
    ran = make_result(settings=plan.settings, scenario_digest=plan.digest, clock="real", seed=7)
    again = repeat(ran)
    assert again.command.startswith("rtcprobe run 1v1-social --seed 7 --real-time --set ")
    assert "--set call.joins=5" in again.command
    assert "--set 'link=delay 80ms loss 2%'" in again.command
    assert not again.needs_file
    ours = repeat(replace(ran, scenario="of-my-own"))
    assert ours.command == "rtcprobe run scenario.yaml --seed 7 --real-time"
    assert parse_scenario(ours.file).digest == plan.digest
    assert repeat(replace(ran, scenario_digest="of another version")).needs_file


def test_bins_keep_every_extreme():
    rng = np.random.default_rng(1)
    at, values = np.sort(rng.uniform(0, 3600, 7200)), rng.normal(150, 2, 7200)
    values[[17, 5000]] = 900.0, 3.0
    edges = np.linspace(0, 3600, 101)
    bins = binned(at, values, edges)
    for index in range(100):
        inside = values[(at >= edges[index]) & (at < edges[index + 1])]
        assert (bins.lowest[index], bins.highest[index]) == (inside.min(), inside.max())
        assert bins.median[index] == np.median(inside)
    assert (np.nanmax(bins.highest), np.nanmin(bins.lowest)) == (900.0, 3.0)


def test_an_empty_bin_is_a_gap_and_the_last_edge_belongs_to_the_last_bin():
    bins = binned(np.array([0.0, 3.0]), np.array([1.0, 2.0]), np.array([0.0, 1.0, 2.0, 3.0]))
    assert bins.lowest.tolist() == pytest.approx([1.0, np.nan, 2.0], nan_ok=True)


def test_steps_hold_until_the_next():
    bins = binned_steps(np.array([0.5, 2.2]), np.array([40.0, 60.0]), np.arange(5.0))
    assert bins.lowest.tolist() == [40.0, 40.0, 40.0, 60.0]
    assert bins.highest.tolist() == [40.0, 40.0, 60.0, 60.0]


def test_a_distribution_ends_at_the_share_that_came_and_keeps_both_ends():
    x, share = ecdf(np.arange(5000.0), of=10_000, most=200)
    assert len(x) <= 200
    assert (x[0], x[-1], share[-1]) == (0.0, 4999.0, 0.5)
    # every corner is on the curve, and no two are further apart than all in equal steps (rounded to whole ranks)
    assert share.tolist() == pytest.approx((x + 1) / 10_000)
    assert np.diff(share).max() <= 0.5 / 199 + 1 / 10_000


@pytest.fixture
def charts():
    from rtcprobe.report.html import charts  # matplotlib is a second that not every process of tests should pay

    return charts


def an_hour(charts, *, lost=20):
    at = np.arange(7200) / 2
    rng = np.random.default_rng(3)
    return charts.Heard(
        title="caller → callee", spoken_s=at, delay_ms=150 + rng.standard_normal(7200), lost_s=at[:lost],
        rejected_s=at[:0], target_since_s=at, target_ms=40.0 + 20 * rng.integers(0, 3, 7200),
    )  # fmt: skip


def test_an_hour_of_markers_is_a_small_picture(charts):
    drawn = charts.over_time([an_hour(charts, lost=3000)], name="x", width="wide", label="an hour")
    assert len(drawn) < 90_000
    assert "minutes since the call started" in drawn


def test_pictures_use_the_colours_of_the_page_alone(charts):
    drawn = charts.over_time([an_hour(charts)], name="x", width="narrow", label="l") + charts.distribution(
        [charts.Series(title="s", values_ms=np.array([1.0, 2.0]), of=3)],
        [charts.Limit(text="p50 < 2ms", at_ms=2.0)],
        name="y",
        label="l",
    )
    assert set(re.findall(r"(?:fill|stroke): ([^;\"]+)", drawn)) <= {
        "none", *(f"var(--{name})" for name in ("ink", "soft", "line", "accent", "bad", "warn", "paper"))
    }  # fmt: skip
    assert "<style" not in drawn


def test_lines_of_a_distribution_and_of_its_key_differ_in_stroke_whatever_their_colours(charts):
    sides = [charts.Series(title=f"{n}", values_ms=np.array([1.0 + n]), of=1) for n in range(charts.MOST_LINES)]
    drawn = charts.distribution(sides, [], name="x", label="l")
    lines = re.findall(r"<path [^>]*style=\"([^\"]*stroke-width: 1.6[^\"]*)\"", drawn)
    strokes = [re.findall(r"stroke-dasharray: ([^;]+)", line) for line in lines]
    assert len(strokes) == charts.MOST_LINES
    assert len(set(map(str, strokes))) == charts.MOST_LINES
    style = (files("rtcprobe.report.html") / "templates" / "style.css").read_text(encoding="utf-8")
    keys = re.findall(r"\.line\d line \{[^}]*?(?:stroke-dasharray: ([^;]+); )?\}", style)
    assert len(keys) == len(set(keys)) == charts.MOST_LINES
    dashes = [len(each[0].split(",")) if each else 0 for each in strokes]
    assert [len(each.split()) for each in keys] == dashes  # as many strokes and gaps here as there


def luminance(colour):
    """WCAG 2.2, relative luminance."""
    parts = (int(colour[i : i + 2], 16) / 255 for i in (1, 3, 5))
    red, green, blue = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


@pytest.mark.parametrize("scheme", [0, 1], ids=["light", "dark"])
def test_words_stand_out_from_paper_and_panel_by_the_aa_ratio(scheme):
    css = (files("rtcprobe.report.html") / "templates" / "style.css").read_text(encoding="utf-8")
    colours = dict(re.findall(r"--(\w+): (#\w{6})", re.findall(r":root \{(.*?)\}", css, re.DOTALL)[scheme]))
    for text in ("ink", "soft", "accent", "good", "bad", "warn"):
        for ground in ("paper", "panel"):
            light, dark = sorted((luminance(colours[text]), luminance(colours[ground])), reverse=True)
            assert (light + 0.05) / (dark + 0.05) >= 4.5, (text, ground)
    for bar in ("accent", "bad"):  # WCAG 1.4.11 for what carries meaning; the other bars have their figures beside them
        light, dark = sorted((luminance(colours[bar]), luminance(colours["paper"])), reverse=True)
        assert (light + 0.05) / (dark + 0.05) >= 3.0


def test_a_page_opens_with_what_was_found_and_has_a_tile_for_each_goal(make_result):
    page = render_report([judge(make_result(), [])])
    said = "Joining took 487 ms, for one call in twenty more than 1,487, 887 over the goal of 600; you hear each other"
    assert page.index(said) < page.index("Typical join")
    for tile in ("Later than 600 ms to connect", "Later than 100 ms to the ear, caller → callee"):
        assert tile in page
    assert "[2.8%–30%] of 20 joins · goal 5%: undecided" in page


def history(make_result, *dates):
    return [
        judge(make_result(seed=index + 1, environment={"date": date} if date else {}), [])
        for index, date in enumerate(dates)
    ]


def test_a_history_opens_with_a_line_a_figure_and_lists_its_runs_newest_first(make_result):
    runs = history(make_result, "", "", "")
    page = render_report(runs)
    assert page.index('class="trends"') < page.index('class="overview"')
    assert [len(each.lines) for each in trends(runs)] == [6]  # joins, and both ways, p50 and p95 each
    assert page.count('<svg class="trend"') == 6
    seeds = [each.seed for each in newest_first(runs)]
    assert seeds == [3, 2, 1]
    assert "Join p50: 3 runs, oldest 487.0 ms, newest 487.0 ms" in page


def test_the_newest_run_is_the_one_with_the_latest_date(make_result):
    runs = history(make_result, "2026-11-02T00:00:00+00:00", "2026-11-03T00:00:00+00:00", "2026-11-01T00:00:00+00:00")
    assert [each.seed for each in newest_first(runs)] == [2, 1, 3]


def test_runs_of_different_situations_share_no_line_and_keep_their_order(make_result):
    runs = [judge(make_result(scenario=name), []) for name in ("a", "b")]
    assert trends(runs) == []
    assert newest_first(runs) == runs


def test_an_invalid_run_is_a_gap_in_the_line(make_result):
    good = history(make_result, "", "")
    bad = make_result(verdict="invalid", reasons=("loop lag",), seed=9)
    (group,) = trends([good[0], bad, good[1]])
    assert group.runs == 3
    for line in group.lines:
        points = re.search('polyline points="([^"]*)"', line.picture)[1].split()
        assert [point.split(",")[0] for point in points] == ["4.0", "256.0"]  # the first and the last of three places


def test_a_figure_the_newest_run_lacks_is_a_dash_and_not_the_one_before(make_result):
    first, second = history(make_result, "", "")
    few = replace(first, join=Joins(attempts=first.join.attempts[:5]))
    (group,) = trends([judge(few, []), second, first])
    (line,) = [each for each in group.lines if each.name == "Join p95, ms"]
    assert (line.now, line.before) == ("–", "1,487.0 · 1,487.0")


def test_the_link_says_whether_its_loss_is_chance(make_result):
    rows = {row[0]: row[1:] for row in link_table(make_result()).rows}
    assert rows["is that loss chance? [95 %]"][1].startswith("yes [")
