"""A browser through ``rtcprobe relay``: its own stack, somebody else's server, and the link between them ours."""

import json
import re
import shutil
import subprocess
import sys
import urllib.request
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import pytest
from presence import missing

DELAY_S = 0.040
LOSS = 0.05
TALK_S = 12

FLAGS = (
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)

OFFER = """async () => {
    window.peer = new RTCPeerConnection({ iceServers: [] });
    const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
    peer.addTrack(stream.getAudioTracks()[0], stream);
    peer.ontrack = ({ streams, track }) => {
        window.player = new Audio();
        player.srcObject = streams[0] ?? new MediaStream([track]);
        player.play();
    };
    await peer.setLocalDescription(await peer.createOffer());
    if (peer.iceGatheringState !== 'complete') await new Promise((done) => { peer.onicegatheringstatechange = done; });
    return peer.localDescription.sdp;
}"""

ACCEPT = """async (sdp) => {
    await peer.setRemoteDescription({ type: 'answer', sdp });
    while (peer.connectionState !== 'connected') await new Promise((done) => { peer.onconnectionstatechange = done; });
}"""

FIGURES = """async () => {
    const all = [...(await peer.getStats()).values()];
    const pair = all.find((each) => each.type === 'candidate-pair' && each.nominated);
    const heard = all.find((each) => each.type === 'inbound-rtp');
    return { round_trip_s: pair.totalRoundTripTime / pair.responsesReceived,
             remote: all.find((each) => each.id === pair.remoteCandidateId).port,
             lost: heard.packetsLost, received: heard.packetsReceived };
}"""


@contextmanager
def relay_to(address, host, folder):
    program = str(Path(sys.executable).with_name("rtcprobe"))
    command = [program, "relay", "--listen", f"{host}:0", "--to", address, "--seed", "3"]
    command += ["--link", f"delay {DELAY_S * 1e3:g}ms loss {LOSS * 100:g}%", "--json", str(folder / "relay.json")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    try:
        said = process.stderr.readline()
        yield int(re.search(r":(\d+) →", said)[1])
    finally:
        process.terminate()
        out, err = process.communicate(timeout=10)
    # A machine that is too busy is said to be: what became of the packets stands, when they came out does not.
    assert process.returncode == (3 if "too busy" in err else 0), out + err


def posted(url, offer):
    request = urllib.request.Request(url, offer.encode(), {"Content-Type": "application/sdp"})
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_a_browsers_call_gets_the_links_delay_and_loss_and_the_relay_says_so(network, aiortc_echo, tmp_path):
    executable = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if executable is None:
        missing("chromium")
    if find_spec("playwright") is None:
        missing("playwright")
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, headless=True, args=list(FLAGS))
        page = browser.new_page()
        page.route("https://browser.test/", lambda route: route.fulfill(body="<p>caller", content_type="text/html"))
        page.goto("https://browser.test/")
        offer = page.evaluate(OFFER)
        # The server is to answer to where packets come from, not to the browser's own addresses.
        hidden = re.sub(r"a=candidate:.*\r\n", "", offer)
        answer = posted(f"{aiortc_echo.origin}/plain", hidden)
        host, port = re.search(
            rf"a=candidate:\S+ 1 udp \d+ ({re.escape(network.address)}) (\d+) typ host", answer
        ).groups()
        with relay_to(f"{host}:{port}", network.address, tmp_path) as relay_port:
            # The browser is to send to the relay alone.
            kept = re.sub(rf"a=candidate:(?!\S+ 1 udp \d+ {re.escape(host)} {port} ).*\r\n", "", answer)
            page.evaluate(ACCEPT, kept.replace(f"{host} {port} typ", f"{host} {relay_port} typ"))
            page.wait_for_timeout(TALK_S * 1e3)
            seen = page.evaluate(FIGURES)
        browser.close()
    done = json.loads((tmp_path / "relay.json").read_text())
    (client,) = done["clients"]
    assert seen["remote"] == relay_port
    late_s = done["harness"]["emulator_late_p95_s"]
    assert 2 * DELAY_S <= seen["round_trip_s"] < 2 * (DELAY_S + late_s) + 0.020
    for way in ("to_server", "to_client"):
        achieved = client[way]["achieved"]
        assert achieved["offered"] > TALK_S * 40
        assert achieved["delay_p50_s"] == pytest.approx(DELAY_S)
        # Binomial, some 600 packets: one standard deviation is 0.9 %.
        assert achieved["loss"] == pytest.approx(LOSS, abs=0.03)
    # The echo numbers its packets anew: the browser misses what was lost on the way back.
    missed = seen["lost"] / (seen["lost"] + seen["received"])
    assert missed == pytest.approx(client["to_client"]["achieved"]["loss"], abs=0.02)
