"""Calls from a page: what a plan refuses, what a page tells, and whether its media passed our link. No browser here."""

import asyncio
import base64
import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from rtcprobe.call.ends.browser import camera, launching
from rtcprobe.call.ends.browser.events import PAGE_ORDER, PageTimeline, Told
from rtcprobe.call.ends.browser.figures import figures_of, passed_of
from rtcprobe.call.ends.browser.filming import PagePictures
from rtcprobe.call.ends.browser.sounding import Returned
from rtcprobe.call.ends.browser.tab import PagePlan
from rtcprobe.call.ends.browser.tap import BrowserTap
from rtcprobe.call.targets.base import Way, find_target
from rtcprobe.errors import BadInputError
from rtcprobe.picture.settings import VideoSettings
from rtcprobe.probe.beforehand import check_target
from rtcprobe.probe.seeing import watched
from rtcprobe.scenario import TargetPlan, find_scenario, library_folder
from rtcprobe.timeline import Timeline, phases
from rtcprobe.ways import Way as WayName

URL = "page+https://demo.example/room?x=1"


def test_a_page_is_an_echo_unless_it_has_two_ends():
    assert find_target(TargetPlan(url=URL)).directions == ("round_trip",)
    two = find_target(TargetPlan(url=URL, options={"ends": "two"}))
    assert two.directions == ("caller_to_callee", "callee_to_caller")
    assert find_target(TargetPlan(url="page")).directions == two.directions


def test_of_our_own_page_and_a_peer_the_page_alone_films_in_its_browser():
    assert find_target(TargetPlan(url="page")).films_there == {"caller"}
    assert find_target(TargetPlan(url=URL, options={"ends": "two"})).films_there == {"caller", "callee"}


@pytest.mark.parametrize(
    ("options", "sentence"),
    [
        ({"steps": "click it"}, "target.steps 'click it' is no list of steps"),
        ({"steps": [{"clack": "#a"}]}, "target.steps[0]: 'clack' is not known: did you mean click"),
        ({"steps": [{"click": ""}]}, "target.steps[0]: click '' names no selector"),
        ({"steps": [{"click": "#a", "wait": "#b"}]}, "is no step"),
        ({"steps": [{"fill": "#a"}]}, "target.steps[0]: fill '#a' is no pair"),
        ({"steps": [{"click": "#a"}] * 51}, "target.steps has 51 steps"),
        ({"hosts": "sfu.example"}, "target.hosts 'sfu.example' is no list of hosts"),
        ({"hosts": ["https://sfu.example"]}, "target.hosts: 'https://sfu.example' is no host"),
        ({"ends": "three"}, "target.ends 'three' is not known"),
        ({"browser": 5}, "target.browser 5 is no path"),
        ({"mouth": "tape"}, "target.mouth 'tape' is not known: use generator, file"),
        ({"step": []}, "target.step is not known to page+https"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_its_value(options, sentence):
    with pytest.raises(BadInputError) as refused:
        find_target(TargetPlan(url=URL, options=options))
    assert sentence in str(refused.value)


def test_our_own_page_takes_no_steps():
    with pytest.raises(BadInputError, match=r"target\.steps is not known to page"):
        find_target(TargetPlan(url="page", options={"steps": []}))


def test_words_of_a_step_may_be_secrets(monkeypatch):
    monkeypatch.setenv("ROOM_PIN", "four-words")
    target = find_target(TargetPlan(url=URL, options={"steps": [{"fill": ["#pin", "env:ROOM_PIN"]}]}))
    (step,) = target.plans[0].steps
    assert step.words.reveal() == "four-words"
    assert "four-words" not in f"{step} {step!r}"


@pytest.mark.parametrize("name", sorted(each.stem for each in (library_folder() / "pages").glob("*.yaml")))
def test_recipes_can_be_meant(name, monkeypatch):
    for each in ("LIVEKIT_URL", "WHIP_URL", "WHEP_URL", "LIVEKIT_TOKEN_caller", "LIVEKIT_TOKEN_callee"):
        monkeypatch.setenv(each, f"value-of-{each}")
    scenario = find_scenario(str(library_folder() / "pages" / f"{name}.yaml"))
    target = find_target(scenario.target)
    assert scenario.call.calls >= 5  # one call's phase is within 5 ms of another's
    for plan, party in zip(target.plans, ("caller", "callee"), strict=False):
        assert plan.of(party).steps


def test_each_party_says_its_own_words_and_opens_its_own_url(monkeypatch):
    for party in ("caller", "callee"):
        monkeypatch.setenv(f"TOKEN_{party}", f"{party}s-token")
    steps = [{"fill": ["#name", "{party}"]}, {"fill": ["#token", "env:TOKEN_{party}"]}]
    target = find_target(TargetPlan(url=f"{URL}&me={{party}}", options={"ends": "two", "steps": steps}))
    caller, callee = (plan.of(name) for plan, name in zip(target.plans, ("caller", "callee"), strict=True))
    assert caller.url.endswith("&me=caller")
    assert [callee.steps[0].words, callee.steps[1].words.reveal()] == ["callee", "callees-token"]
    assert "callees-token" not in f"{callee!r}"


def test_a_call_longer_than_the_file_of_a_microphone_is_refused_before_anything_runs():
    scenario = find_scenario("1v1-social")
    long = replace(
        scenario,
        call=replace(scenario.call, duration_s=7200.0),
        target=TargetPlan(url="page", options={"mouth": "file"}),
    )
    with pytest.raises(BadInputError, match=r"call\.duration 120min is too long for target\.mouth file: give 61min or"):
        check_target(long, "real")
    check_target(replace(long, call=scenario.call), "real")
    check_target(replace(long, target=TargetPlan(url="page")), "real")


def test_a_token_that_one_party_lacks_is_named(monkeypatch):
    monkeypatch.delenv("TOKEN_callee", raising=False)
    target = find_target(TargetPlan(url=URL, options={"steps": [{"fill": ["#token", "env:TOKEN_{party}"]}]}))
    with pytest.raises(BadInputError, match=r"target\.steps\[0\] 'env:TOKEN_callee' is not set"):
        target.plans[0].of("callee")


def test_a_page_reaches_its_own_host_and_those_that_are_named():
    plan = PagePlan(url=URL, hosts=("demo.example", "*.sfu.example"))
    assert plan.allows("demo.example")
    assert plan.allows("EU.sfu.example.")
    for host in ("sfu.example", "evil-sfu.example", "demo.example.org", "clients2.google.com", "127.0.0.1"):
        assert not plan.allows(host)


class Page:
    """A page that tells, and what is made of it; its clock is 1000 s ahead of ours."""

    def __init__(self):
        self.timeline = Timeline("caller", PAGE_ORDER)
        self.sdp, self.faults, self.refusals, self.connects = [], [], [], []
        self.told = Told(
            timeline=self.timeline,
            described=lambda sdp, own: self.sdp.append((sdp, own)),
            complain=self.faults.append,
            connected=lambda: self.connects.append(True),
            refused=self.refusals.append,
        )

    def tells(self, what, at_s, **more):
        self.told.take(json.dumps({"what": what, "at": (1000 + at_s) * 1e3, **more}))

    def opens(self, at_s=0.0):
        self.timeline.begin(at_s)
        self.told.begin(-1000.0, 0.0, (1000 + at_s) * 1e3)


def test_what_was_told_before_the_clock_was_known_is_marked_then_and_what_the_empty_page_told_is_not():
    page = Page()
    page.tells("document", -0.5, top=True)
    page.tells("document", 0.1, top=True)
    page.opens()
    page.tells("loaded", 0.2, top=True)
    assert page.timeline.marks == pytest.approx({"page_opened": 0.1, "page_loaded": 0.2})


def test_the_connection_that_is_thrown_away_is_no_part_of_the_join():
    page = Page()
    page.opens()
    page.tells("connection", 0.1, n=1)
    page.tells("local", 0.15, n=1, type="offer", sdp="throw-away")
    page.tells("connection", 0.2, n=2)
    page.tells("microphone", 0.3)
    page.tells("local", 0.4, n=2, type="offer", sdp="v=0")
    page.tells("remote", 0.5, n=2, type="answer", sdp="v=0")
    assert not page.connects
    page.tells("dtls", 0.6, n=2, state="connected")
    assert page.connects == [True]
    marks = {"connection_made": 0.2, "microphone_given": 0.3, "offer_sent": 0.4, "answer_received": 0.5}
    assert page.timeline.marks == pytest.approx(marks)
    # Contiguous: what was there before its turn costs nothing.
    assert sum(phases(page.timeline.marks, PAGE_ORDER).values()) == pytest.approx(0.5)


def test_phases_stand_in_the_order_in_which_a_page_came_to_them():
    timeline = PageTimeline("caller")
    marks = {"page_opened": 0.1, "connection_made": 0.2, "ice_connected": 0.4, "microphone_given": 0.9}
    for milestone in reversed(marks):
        timeline.mark(milestone, marks[milestone])
    assert phases(timeline.marks, timeline.order) == pytest.approx(
        {"page_opened": 0.1, "connection_made": 0.1, "ice": 0.2, "microphone_given": 0.5}
    )
    assert (timeline.reached(), timeline.awaited()) == ("microphone_given", "page_loaded")


def test_what_comes_after_the_first_sound_is_no_part_of_a_join():
    timeline = PageTimeline("caller")
    for milestone, at_s in {"page_opened": 0.1, "first_packet": 0.2, "microphone_given": 0.9}.items():
        timeline.mark(milestone, at_s)
    found = phases({**timeline.marks, "first_audio": 0.25}, timeline.order)  # which hearing adds
    assert found == pytest.approx({"page_opened": 0.1, "media": 0.1, "playout": 0.05})


def test_a_refused_microphone_ends_the_call_only_where_no_other_wish_would_help():
    page = Page()
    page.opens()
    page.tells("microphone refused", 0.1, name="OverconstrainedError", message="deviceId")
    assert not page.refusals
    page.tells("microphone refused", 0.2, name="NotAllowedError", message="Permission denied")
    assert page.refusals == ["the microphone was refused (NotAllowedError: Permission denied)"]
    assert len(page.faults) == 2


def test_the_latest_mouth_that_spoke_is_the_one_that_counts():
    page = Page()
    page.opens()
    page.tells("mouth", 1.0, m=0, **{"from": 1000_500.0}, late=[0.1, 0.2])
    page.tells("mouth", 1.1, m=0, began=1001_000.0)
    page.tells("mouth", 2.0, m=1, **{"from": 1001_500.0}, late=[0.3] * 50)
    assert page.told.mouth.began_s == pytest.approx(1.0)
    page.tells("mouth", 2.1, m=1, began=1002_000.0)
    page.tells("mouth", 8.1, m=1, ended=1008_000.0)
    mouth = page.told.mouth
    assert (mouth.began_s, mouth.ended_s, mouth.late_from_s) == pytest.approx((2.0, 8.0, 1.5))
    assert list(mouth.late_s) == pytest.approx([0.0003] * 50)


@pytest.mark.parametrize("text", ["", "[]", "null", '{"what": "mouth"}', '{"at": "soon"}', '{"what": 5, "at": 1}'])
def test_what_a_page_calls_our_names_with_is_left_out(text):
    page = Page()
    page.opens()
    page.told.take(text)
    assert not page.timeline.marks
    returned = Returned()
    returned.take(text)
    assert not len(returned.sounds(0.0, {})[0].pcm)


@pytest.mark.parametrize(
    "more",
    [
        '"n": "one"',
        '"n": 1e999',
        '"what": []',
        '"what": "mouth", "m": {}',
        '"what": "mouth", "late": []',
        '"what": "mouth", "late": ["x"], "from": 1',
        '"what": "mouth", "began": null',
        '"what": "mouth", "began": NaN',
        f'"what": "mouth", "began": 1{"0" * 400}',
        f'"what": {"[" * 100_000}',
    ],
)
def test_what_a_page_tells_before_its_join_began_cannot_end_the_join(more):
    page = Page()
    page.told.take(f'{{"what": "connection", "at": 1000100, {more}}}')
    page.tells("document", 0.1, top=True)
    page.opens()
    assert page.timeline.marks == pytest.approx({"page_opened": 0.1})
    assert not page.told.connections
    assert page.told.mouth.began_s is None


def test_sound_comes_back_on_our_clock_track_by_track_the_loudest_first():
    returned = Returned()
    for number, level in ((1, 3), (2, 3000)):
        pcm = base64.b64encode(np.full(960, level, dtype="<i2").tobytes()).decode()
        told = {"n": 1, "id": number, "origin": 5000.0, "stamps": [0, 10_000], "sizes": [480, 480], "rate": 48_000}
        told["behind"] = [0.1, 0.1]
        returned.take(json.dumps({**told, "pcm": pcm}))
    sound, _ = returned.sounds(-4.0, {})
    assert sound.at_s == pytest.approx([1.0, 1.01])
    assert sound.pcm[0] == pytest.approx(3000 / 32768)


def test_sound_of_another_rate_is_brought_to_ours_block_by_block():
    returned = Returned()
    pcm = base64.b64encode(np.zeros(882, dtype="<i2").tobytes()).decode()
    told = {"n": 1, "id": 1, "origin": 0.0, "stamps": [0, 10_000], "sizes": [441, 441], "rate": 44_100, "pcm": pcm}
    told["behind"] = [0.1, 0.1]
    returned.take(json.dumps(told))
    assert returned.sounds(0.0, {})[0].sizes.tolist() == [480, 480]


RELAYED = ("192.0.2.2", 40_000)


def stats(kind="relay", port=40_000, sent=100, received=100, trip_s=0.081):
    return [
        {
            "n": 1,
            "stats": [
                {"id": "T", "type": "transport", "selectedCandidatePairId": "P"},
                {
                    "id": "P",
                    "type": "candidate-pair",
                    "localCandidateId": "L",
                    "totalRoundTripTime": 10 * trip_s,
                    "responsesReceived": 10,
                },
                {"id": "L", "type": "local-candidate", "candidateType": kind, "address": "192.0.2.2", "port": port},
                {"id": "O", "type": "outbound-rtp", "kind": "audio", "packetsSent": sent},
                {
                    "id": "I",
                    "type": "inbound-rtp",
                    "kind": "audio",
                    "packetsReceived": received,
                    "concealedSamples": 480,
                },
            ],
        }
    ]


def test_media_that_passed_our_link_is_believed_with_its_round_trip():
    passed = passed_of(stats(), relayed=[RELAYED], up=101, down=102)
    assert passed.wrong is None
    assert passed.round_trip_s == pytest.approx(0.081)


@pytest.mark.parametrize(
    ("told", "up", "why"),
    [
        (stats(kind="host"), 100, "it left from a host candidate"),
        (stats(port=50_000), 100, "did not pass our link"),
        (stats(sent=1000), 100, "the page says it sent 1000 packets of media, and 100 passed our link"),
    ],
)
def test_media_that_went_past_our_link_is_told(told, up, why):
    assert why in passed_of(told, relayed=[RELAYED], up=up, down=100).wrong


def test_what_a_page_says_of_its_playout_goes_by_w3cs_names():
    assert figures_of(stats()) == {"packetsReceived": 100.0, "concealedSamples": 480.0}
    assert figures_of([{"stats": "none"}]) == {}


def test_a_link_tells_ice_dtls_and_the_first_packet_of_sound():
    reached = {}
    tap = BrowserTap("caller", reached.setdefault)
    tap.takes.audio = {111}
    tap.received(b"\x01\x01" + bytes(18), 1.0)  # a Binding answered
    plain = bytes((22, 0xFE, 0xFD, 0, 0)) + bytes(6) + b"\x00\x02hi"  # a handshake record of epoch 0
    tap.received(plain, 2.0)
    tap.received(plain + bytes((22, 0xFE, 0xFD, 0, 1)) + bytes(6) + b"\x00\x02hi", 3.0)  # and one of epoch 1
    tap.received(bytes((0x80, 96)) + bytes(10), 4.0)  # video
    tap.received(bytes((0x80, 111)) + bytes(10), 5.0)
    assert reached == {"ice_connected": 1.0, "dtls_connected": 3.0, "first_packet": 5.0}
    assert len(tap.arrivals) == 1


def test_what_left_is_told_of_the_source_of_sound_that_sent_most():
    tap = BrowserTap("caller", lambda *_: None)
    tap.sends.audio = {111}
    for place, (kind, source) in enumerate([(111, 7), (96, 8), (96, 8), (111, 9), (111, 9)]):
        tap.sent(bytes((0x80, kind)) + place.to_bytes(2, "big") + bytes(4) + source.to_bytes(4, "big"), float(place))
    assert [each.ssrc for each in tap.spoken()] == [9, 9]


def described(direction, *sections):
    lines = [f"m={medium} 9 UDP/TLS/RTP/SAVPF {numbers}\r\na={direction}\r\n" for medium, numbers in sections]
    return "v=0\r\ns=-\r\n" + "".join(lines)


@pytest.mark.parametrize("films", [96, 100])
def test_a_payload_type_is_of_what_it_was_agreed_on_for_that_way(films):
    # A page at mediasoup sends by the browser's own numbers, VP9 of profile 2 as 100, and takes Opus as 100.
    reached = {}
    tap = BrowserTap("caller", reached.setdefault)
    tap.described(described("sendonly", ("audio", "111 63"), ("video", "96 97 98 99 100 101")), True)
    tap.described(described("recvonly", ("audio", "111"), ("video", f"{films} {films + 1}")), False)
    for own, direction in ((False, "sendonly"), (True, "recvonly")):
        tap.described(described(direction, ("audio", "100"), ("video", "101 102"), ("application", "5000")), own)
    for at_s, kind, source in ((1.0, films, 8), (1.1, films, 8), (1.2, 111, 7)):
        tap.sent(bytes((0x80, kind)) + bytes(6) + source.to_bytes(4, "big"), at_s)
    for at_s, kind in ((2.0, 101), (2.1, 101), (2.2, 100)):
        tap.received(bytes((0x80, kind)) + bytes(6) + kind.to_bytes(4, "big"), at_s)
    assert (tap.films(), [each.ssrc for each in tap.spoken()]) == ((8,), [7])
    assert reached == {"first_packet": 2.2}
    assert (len(tap.arrivals), len(tap.pictures_came())) == (1, 2)


def test_a_number_that_two_connections_take_differently_is_of_sound_and_rubbish_of_nothing():
    tap = BrowserTap("caller", lambda *_: None)
    for sdp in (
        "",
        "\nm=",
        "\nm=video",
        described("recvonly", ("video", "100 x 101")),
        described("sendrecv", ("audio", "100")),
    ):
        tap.described(sdp, True)
    assert [tap.takes.sound(kind) for kind in (100, 101)] == [True, False]
    assert [tap.takes.picture(kind) for kind in (100, 101)] == [False, True]
    assert tap.sends.sound(100)


class NoPage:
    async def route(self, url, _answered):
        self.url = url

    async def goto(self, url):
        assert url == self.url


@pytest.mark.parametrize("shows", [True, False])
def test_a_browser_with_a_camera_asks_nobody_outside_either(shows, monkeypatch):
    started = []

    class NoChromium(launching.Chromium):
        async def start(self, _init, _bindings):
            started.append(self.flags)
            return None, NoPage()

        async def close(self):
            pass  # nothing was started; playwright is an extra

    monkeypatch.setattr(camera, "Chromium", NoChromium)
    monkeypatch.setattr(camera, "write_clip", lambda _: None)

    async def main():
        page = camera.CameraPage("chromium", shows=shows)
        await page.start()
        await page.close()

    asyncio.run(main())
    (flags,) = started
    # Chromium goes past a proxy to loopback hosts unless told, and takes the last of several flags of a name.
    assert "--proxy-bypass-list=<-loopback>" in flags
    assert [flag for flag in flags if flag.startswith("--proxy-server=")] == ["--proxy-server=socks5://127.0.0.1:9"]


SERVER, ONE, OTHER = ("198.51.100.7", 3478), ("192.0.2.2", 40_000), ("192.0.2.2", 40_001)


def page_that_films(given, *sent_to):
    """Return a page's end that has filmed; its peers saw it as ``given``."""
    tap, told = BrowserTap("caller", lambda *_: None), Page().told
    sights = PagePictures(settings=VideoSettings(), looks=True, lasts_s=1.0, told=told, tap=tap)
    sights.turn = SimpleNamespace(given={given}, sent_to=set(sent_to))
    sights.take(json.dumps({"c": 1, "sent": True, "filmed": [[0, 1000.0]]}))
    return SimpleNamespace(sights=sights)


@pytest.mark.parametrize(
    ("sent_to", "forwarded"), [([OTHER], False), ([SERVER], True), ([OTHER, SERVER], True), ([], True)]
)
def test_pictures_were_forwarded_unless_all_media_went_to_the_other_page_itself(sent_to, forwarded):
    way = Way(WayName("caller_to_callee"), page_that_films(ONE, *sent_to), page_that_films(OTHER))
    (looking,) = watched(SimpleNamespace(ways=[way]), outside=True)
    assert looking.forwarded is forwarded


@pytest.mark.parametrize("sent", [1, 2, None], ids=["the first is kept", "the second is sent", "a copy is sent"])
def test_of_a_page_that_asks_for_its_camera_twice_the_one_that_it_sends_has_filmed(sent):
    tap = BrowserTap("caller", lambda *_: None)
    sights = PagePictures(settings=VideoSettings(), looks=True, lasts_s=1.0, told=Page().told, tap=tap)
    for second in range(3):
        for c, began_ms in ((1, 0.0), (2, 700.0)):  # each counts from 0
            filmed = [[number, began_ms + number * 1e3 / 30] for number in range(30 * second, 30 * second + 30)]
            sights.take(json.dumps({"c": c, "sent": c == sent, "filmed": filmed}))
    at_s = sights.filmed().at_s
    assert at_s - sights.told.shift_s == pytest.approx((0.0 if sent == 1 else 0.7) + np.arange(90) / 30)
