"""Messages in a run, beside the sound of the same call: delays, order, losses, budgets; two parties and meshes."""

import json
from functools import cache
from itertools import pairwise

import pytest

from rtcprobe.errors import BadInputError
from rtcprobe.probe import run_probe
from rtcprobe.result import Result
from rtcprobe.scenario import parse_scenario
from rtcprobe.verdict.comparison import compare

CALL = """
name: written
link: %s
messages: {%s}
call: {duration: %s, calls: %d, joins: 1}
codec: {complexity: 2}
"""
THERE, BACK = "caller_to_callee.messages", "callee_to_caller.messages"


@cache
def ran(link="delay 40ms", messages="rate: 10/s", duration="2s", *, calls=1, seed=1, settings=()):
    scenario = parse_scenario(CALL % (link, messages, duration, calls), settings)
    return run_probe(scenario, seed=seed, clock="virtual")


def delays(result, way=THERE):
    return [each.delay_s for each in result.of_kind("messages")[way].samples]


LOSSY = ("delay 40ms loss 5%", "rate: 40/s", "8s")


def lossy(more):
    link, rate, duration = LOSSY
    return ran(link, f"{rate}, {more}", duration, seed=2)


def test_on_a_clean_path_of_40_ms_every_message_takes_40_ms():
    result = ran(calls=2)
    for way, account in result.of_kind("messages").items():
        assert account.scheduled == account.heard > 30
        assert delays(result, way) == pytest.approx([0.040] * account.heard, abs=1e-3)
        assert account.stages["network_min"] == pytest.approx(0.040, abs=1e-6)
        assert sum(account.stages.values()) == pytest.approx(sum(delays(result, way)) / account.heard)
        assert account.figures["head_of_line_waits"] == account.figures["t3_retransmissions"] == 0


def test_80_ms_more_of_link_are_80_ms_more_of_each_message():
    later = delays(ran("delay 120ms"))
    assert [more - less for more, less in zip(later, delays(ran()), strict=False)] == pytest.approx(
        [0.080] * len(later), abs=5e-5
    )


def test_equal_seeds_give_equal_bytes_and_others_do_not():
    def written(result):
        return json.dumps({**result.to_dict(), "environment": {}})

    link, rate, _ = LOSSY
    first = written(ran(link, rate))
    ran.cache_clear()
    assert written(ran(link, rate)) == first
    assert written(ran(link, rate, seed=2)) != first
    assert written(Result.from_dict(json.loads(first))) == first


def test_under_loss_reliable_messages_all_come_late_by_retransmissions_with_their_names():
    account = lossy("size: 100B").of_kind("messages")[THERE]
    assert account.heard == account.scheduled
    assert account.figures["fast_retransmissions"] > 0
    for each in account.samples:
        again_s = each.stages["retransmission"]
        assert ("retransmit" in each.note or "T3-rtx" in each.note) == (again_s > 0.0)
        # No piece is missed sooner than three acknowledgements of later ones say so: 25 ms apart, a round trip away.
        assert again_s == 0.0 or again_s >= 0.080 + 3 * 0.025 - 0.001
    kinds = {each.what for each in account.spans}
    assert {"fast retransmit", "head of line"} <= kinds <= {"fast retransmit", "head of line", "T3-rtx"}


def test_ordered_messages_are_delivered_in_order_and_wait_for_earlier_ones():
    account = lossy("size: 100B").of_kind("messages")[THERE]
    heard_s = [each.heard_s for each in sorted(account.samples, key=lambda each: each.marker)]
    assert all(one <= other for one, other in pairwise(heard_s))
    waits = [each for each in account.samples if each.stages["head_of_line"] > 0.0]
    assert len(waits) == account.figures["head_of_line_waits"] > len(account.samples) / 20
    assert account.figures["head_of_line_share"] == len(waits) / account.scheduled


def test_unordered_messages_do_not_wait_for_each_other():
    ordered, unordered = lossy("size: 100B"), lossy("size: 100B, ordered: false")
    account = unordered.of_kind("messages")[THERE]
    assert account.heard == account.scheduled
    assert all(each.stages["head_of_line"] == 0.0 for each in account.samples)
    # The same network loses the same pieces: what is not its own retransmission is the 40 ms of the way.
    assert sum(delays(unordered)) < sum(delays(ordered))
    assert all(each.delay_s == pytest.approx(0.040, abs=1e-3) for each in account.samples if not each.note)


def test_messages_without_retransmissions_are_lost_as_often_as_their_packets():
    result = lossy("size: 100B, ordered: false, max_retransmits: 0")
    account = result.of_kind("messages")[THERE]
    assert account.scheduled == account.heard + account.lost
    # Binomial: 5 % of some 310, three standard errors.
    assert account.lost / account.scheduled == pytest.approx(0.05, abs=3 * (0.05 * 0.95 / account.scheduled) ** 0.5)
    assert {each.why for each in account.missed} == {"given up"}
    assert account.figures["given_up"] == account.lost
    assert all(each.delay_s == pytest.approx(0.040, abs=1e-3) for each in account.samples)


def test_a_large_message_waits_for_the_congestion_window():
    account = ran(messages="list: [30kB at 1s]").of_kind("messages")[THERE]
    (only,) = account.samples
    # 30,000 bytes are 26 pieces of 1,160 (RFC 9260 §7.2.1: the window begins with some three and doubles a round trip).
    assert only.stages["queue"] >= 2 * 0.080
    assert only.delay_s == pytest.approx(sum(only.stages.values()))
    assert only.spoken_s > 1.0


def test_budgets_judge_messages_and_their_delay_by_either_name():
    budgets = (
        "budgets=[message_delay p95 < 200ms, messages.lost mean <= 0%, message_delay p50 < 10ms, "
        f"messages.{THERE}.stages.head_of_line mean < 1ms, messages.fast_retransmissions mean < 1]"
    )
    verdicts = [each.verdict for each in ran(calls=5, settings=(budgets,)).budgets]
    assert verdicts == ["met", "met", "missed", "met", "met"]


def test_two_runs_are_compared_by_their_messages():
    found = compare([ran(calls=3)], [ran("delay 120ms", calls=3)])
    row = next(each for each in found.differences if each.metric == f"messages.{THERE}" and each.aggregate == "p50")
    assert row.difference == pytest.approx(0.080, abs=1e-4)
    assert row.verdict == "worse"
    assert f"messages.{THERE}.lost" in {each.metric for each in found.differences}


def test_sound_hears_nothing_of_messages_where_the_link_has_no_rate():
    alone = run_probe(
        parse_scenario(CALL.replace("messages: {%s}\n", "") % ("delay 40ms", "2s", 1)), seed=1, clock="virtual"
    )
    for way, account in alone.mouth_to_ear.items():
        beside = ran().mouth_to_ear[way]
        assert [each.delay_s for each in beside.samples] == pytest.approx(
            [each.delay_s for each in account.samples], abs=1e-6
        )


ROOM = """
name: room
parties:
  ana: {messages: {size: 50B}}
  ben: {sends: nothing, messages: {rate: 5/s}}
  cho: {sends: nothing, hears: [ana]}
script: ["ana sends at 1s", "ana sends after ben joined"]
call: {duration: 2s, calls: 1, joins: 1}
link: delay 40ms
legs: {ana_to_cho: delay 70ms}
"""


def test_in_a_mesh_each_hears_the_messages_of_whom_it_listens_to_and_cues_send_them():
    result = run_probe(parse_scenario(ROOM), seed=1, clock="virtual")
    sent = result.of_kind("messages")
    assert list(sent) == ["ana_to_ben.messages", "ana_to_cho.messages", "ben_to_ana.messages"]
    assert [each.scheduled for each in sent.values()][:2] == [2, 2]
    assert [each.delay_s for each in sent["ana_to_cho.messages"].samples][-1] == pytest.approx(0.070, abs=1e-3)
    assert sent["ben_to_ana.messages"].heard >= 8
    assert list(result.mouth_to_ear) == ["ana_to_ben", "ana_to_cho"]


def test_who_only_write_to_each_other_have_a_connection_too():
    text = """
name: room
parties: {ana: {}, ben: {sends: nothing, messages: {rate: 5/s}}, cho: {sends: nothing}}
call: {duration: 1s, calls: 1, joins: 1}
link: delay 40ms
"""
    sent = run_probe(parse_scenario(text), seed=1, clock="virtual").of_kind("messages")
    assert list(sent) == ["ben_to_ana.messages", "ben_to_cho.messages"]
    assert all(each.heard == each.scheduled > 0 for each in sent.values())


SERVED = """
name: served
parties:
  ana: {sends: nothing, edge: singapore, messages: {rate: 20/s}}
  ben: {edge: singapore}
  cho: {sends: nothing, edge: frankfurt, messages: {rate: 5/s}}
target: sfu
edges: [singapore, frankfurt]
legs: {ana_to_singapore: delay 10ms %s, singapore_to_ana: delay 10ms, ben_to_singapore: delay 20ms,
  singapore_to_ben: delay 20ms %s, cho_to_frankfurt: delay 5ms, frankfurt_to_cho: delay 5ms,
  singapore_to_frankfurt: delay 70ms, frankfurt_to_singapore: delay 70ms}
call: {duration: %s, calls: 1, joins: 1}
codec: {complexity: 2}
"""


@cache
def served(up="", down="", duration="2s"):
    return run_probe(parse_scenario(SERVED % (up, down, duration)), seed=1, clock="virtual").of_kind("messages")


def test_a_server_of_ours_sends_each_ones_messages_to_all_who_read_them_from_edge_to_edge():
    sent = served()
    ways = {"ana_to_ben": 0.030, "ana_to_cho": 0.085, "cho_to_ana": 0.085, "cho_to_ben": 0.095}
    assert {str(way).removesuffix(".messages") for way in sent} == set(ways)
    for way, each in sent.items():
        assert each.heard == each.scheduled > 0
        # The first of them wait at the server until its own channel to the reader has opened.
        opened = [one for one in each.samples if one.stages["queue"] < 1e-6]
        assert len(opened) > 0.7 * each.heard
        way_s = ways[str(way).removesuffix(".messages")]
        assert [one.delay_s for one in opened] == pytest.approx([way_s] * len(opened), abs=1e-3)
        assert each.stages["network_min"] == pytest.approx(way_s, abs=1e-4)


def test_each_leg_sends_again_what_that_leg_lost_and_ordered_messages_wait_at_each():
    lost_up, lost_down = served("loss 8%", "", "4s"), served("", "loss 8%", "4s")
    near, far = (sent["ana_to_ben.messages"] for sent in (lost_up, lost_down))
    for account in (near, far):
        assert account.heard == account.scheduled
        assert account.stages["retransmission"] > 0.0 < account.stages["head_of_line"]
        assert sum(account.stages.values()) == pytest.approx(
            sum(each.delay_s for each in account.samples) / account.heard
        )
    # What the way up lost comes late to everybody; what one listener's way down lost, to that one alone.
    assert lost_up["ana_to_cho.messages"].figures["fast_retransmissions"] > 0
    assert lost_down["ana_to_cho.messages"].figures["fast_retransmissions"] == 0
    assert far.figures["fast_retransmissions"] > 0


def test_a_channel_that_never_opens_is_told_and_all_its_messages_are_lost(monkeypatch):
    from aiortc.rtcsctptransport import RTCSctpTransport

    async def deaf(_self, _data):
        """Hear nothing of SCTP."""

    monkeypatch.setattr(RTCSctpTransport, "_handle_data", deaf)
    result = ran(duration="1s", seed=5)
    account = result.of_kind("messages")[THERE]
    assert (account.heard, account.lost) == (0, 10)
    assert {each.why for each in account.missed} == {"the channel never opened"}
    assert "caller to callee, messages: the channel never opened (SCTP had come to COOKIE-WAIT)" in result.warnings
    assert result.verdict == "inconclusive"
    assert all(each.heard for each in result.mouth_to_ear.values())


@pytest.mark.parametrize("engine", ["model"])
def test_the_model_says_that_it_knows_no_messages(engine):
    scenario = parse_scenario(CALL % ("delay 40ms", "rate: 5/s", "1s", 1))
    result = run_probe(scenario, seed=1, clock="virtual", engine=engine)
    assert "engine model knows no messages: sound alone was modelled" in result.warnings
    assert not result.of_kind("messages")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ("messages={}", "messages of caller say how they are sent, and none is: give rate: 5/s, a list, or a cue"),
        ("messages.rate=5", "messages.rate: rate 5 cannot be read: write it like 5/s, or 12/min"),
        ("messages.rate=5Hz", "messages.rate: rate '5Hz' cannot be read: write it like 5/s, or 12/min"),
        ("messages.size=1MB", "messages: size 1000000B is impossible: give 16B to 256KiB"),
        ("messages.size=big", "messages.size: 'big' is not a size: write it like 64kB"),
        ("messages.list=[5]", "message 5 cannot be read: write it like 200B at 1.5s"),
        ("messages.list=[2kB]", "message '2kB' cannot be read: write it like 200B at 1.5s"),
        ("messages.orderd=true", "messages.orderd is not known: did you mean ordered?"),
        ("messages.max_retransmits=-1", "messages.max_retransmits -1 is impossible: give 0 to 65535"),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(settings, sentence):
    with pytest.raises(BadInputError) as refused:
        parse_scenario(CALL % ("delay 40ms", "rate: 5/s", "1s", 1), [settings])
    assert str(refused.value) == f"scenario: {sentence}"


STAGED = """
name: staged
parties: {host: {messages: {rate: 10/s}}, guest: {messages: {rate: 10/s, list: [1kB at 0.1s, 2kB at 1.8s]}}, eve: {sends: nothing}}
target: {kind: sfu, stage: new connection}
signaling: {connection: warm}
link: delay 20ms
call: {duration: 2s, calls: 1, joins: 1}
codec: {complexity: 2}
"""  # noqa: E501


@cache
def staged(*settings):
    return run_probe(parse_scenario(STAGED, settings), seed=1, clock="virtual").of_kind("messages")


def test_who_goes_on_stage_over_a_new_connection_writes_and_reads_on_over_the_first():
    sent = staged("script=[guest publishes at 0.5s]")
    assert {str(way).removesuffix(".messages") for way in sent} == {
        "host_to_guest",
        "host_to_eve",
        "guest_to_host",
        "guest_to_eve",
    }
    for way, each in sent.items():
        assert each.heard == each.scheduled >= (20 if way.talker == "guest" else 18)
        assert max(one.delay_s for one in each.samples if one.spoken_s > 0.5) == pytest.approx(0.040, abs=1e-3)


def test_who_leaves_and_comes_back_writes_on_and_misses_what_was_written_meanwhile():
    sent = staged("script=[guest leaves at 0.6s, guest joins at 1.5s]")
    # The talk begins when all have joined, six ways of 20 ms and more after the call did.
    away = [one.spoken_s for one in sent["guest_to_eve.messages"].samples if 0.8 <= one.spoken_s < 1.6]
    numbers = [one.marker for one in sent["guest_to_eve.messages"].samples]
    assert not away
    assert numbers == list(range(len(numbers)))  # one writer, numbered on over both connections
    # Four or five of the first 0.6 s and one of its list; of the last 0.5 s, its join deducted, two, and the other.
    assert sent["guest_to_eve.messages"].heard == sent["guest_to_eve.messages"].scheduled >= 8
    read = sent["host_to_guest.messages"]
    assert read.heard == read.scheduled
    assert min(one.spoken_s for one in read.samples) > 1.5  # of the second before it left, nothing need come
    assert sent["host_to_eve.messages"].heard >= 18
    assert not any(each.figures.get("strangers") for each in sent.values())


def test_what_was_written_before_somebody_came_is_not_meant_for_them():
    room = ROOM.replace("cho: {", "cho: {comes: 1.2s, ")
    mesh = run_probe(parse_scenario(room), seed=1, clock="virtual").of_kind("messages")["ana_to_cho.messages"]
    served = staged("parties.eve.comes=1s", "script=[host stops at 1.9s]")["host_to_eve.messages"]
    assert (mesh.scheduled, mesh.heard) == (0, 0)  # both of ana's came before
    assert served.heard == served.scheduled
    assert min(one.spoken_s for one in served.samples) > 1.0


NARROW = """
name: narrow
parties: {ana: {}, ben: {sends: nothing}}
legs: {ana_to_ben: delay 20ms rate 200kbit limit 100}
link: delay 20ms
call: {duration: 4s, calls: 1, joins: 1}
messages: {list: [30kB at 1s]}
codec: {bitrate: 24kbit}
"""


def _latest_s(*settings):
    result = run_probe(parse_scenario(NARROW, settings), seed=1, clock="virtual")
    (sound,), (messages,) = result.mouth_to_ear.values(), result.of_kind("messages").values()
    assert (messages.heard, messages.scheduled) == (1, 1)
    return max(each.delay_s for each in sound.samples)


def test_a_large_message_on_a_narrow_line_holds_sound_up_unless_it_leaves_by_priority():
    browsers, low, high = (_latest_s(*each) for each in ((), ("messages.priority=low",), ("messages.priority=high",)))
    # 30 kB are 1.2 s of 200 kbit/s. By turns a packet of sound waits for one of 1.3 kB, 52 ms of that line, at most;
    # NetEQ's target follows. At four times its share messages leave it 40 kbit/s, of which it needs 38 with headers.
    assert browsers > 0.7
    assert max(low, high) < 0.3


CROWD = """
name: crowd
parties: {gifts: {sends: nothing, messages: {rate: 5/s}}, chat: {sends: nothing, messages: {list: %s}}, eve: {}}
target: sfu
link: delay 10ms
legs: {sfu_to_eve: delay 10ms rate 300kbit limit 200}
call: {duration: 3s, calls: 1, joins: 1}
codec: {complexity: 2}
"""


def test_whose_messages_come_first_over_one_connection_is_told_by_their_priority():
    crowd = CROWD % [f"6kB at {0.5 + 0.01 * place:.2f}s" for place in range(15)]
    plain = run_probe(parse_scenario(crowd), seed=1, clock="virtual").of_kind("messages")
    levels = ["parties.gifts.messages.priority=high", "parties.chat.messages.priority=very-low"]
    sorted_ = run_probe(parse_scenario(crowd, levels), seed=1, clock="virtual").of_kind("messages")
    latest = [max(each.delay_s for each in found["gifts_to_eve.messages"].samples) for found in (plain, sorted_)]
    # 90 kB are 2.4 s of that line: behind all of them, or behind what SCTP's window holds of one.
    assert latest[1] < 0.5 * latest[0]
    assert all(each.heard == each.scheduled for found in (plain, sorted_) for each in found.values())


@pytest.mark.parametrize("target", ["janus+ws://127.0.0.1:1/echotest", "sdp+http://127.0.0.1:1/offer"])
def test_a_budget_about_messages_is_refused_where_none_are_exchanged(target):
    settings = [f"target={target}", "budgets=[message_delay p95 < 200ms]"]
    scenario = parse_scenario(CALL % ("delay 40ms", "rate: 5/s", "1s", 1), settings)
    with pytest.raises(BadInputError) as refused:
        run_probe(scenario, seed=1, clock="real")
    assert str(refused.value) == (
        f"budget 'message_delay p95 < 200ms': messages are not exchanged with {target}: "
        "judge them at the loopback, sfu, mix, or a room of Janus with target.textroom"
    )
