#!/usr/bin/env bash
# Chromium 156 (Debian), driven by playwright 1.65.2: the timestamps of one audio stream count from two origins.
#
# AudioData.timestamp of a MediaStreamTrackProcessor counts microseconds from the time origin of a context, which no
# specification says (mediacapture-transform leaves timestamps to the source). Whoever transfers the processor's readable
# to a worker, as that specification recommends, gets blocks that were queued before with stamps since the page's origin,
# and all later ones with stamps since the worker's: the stream seems to jump back by the age of the page.
#
# Seen (Chromium 156.0.8078.108):
#     the worker was made 1359400 us after the page
#     steps back of one stream, us: [-1349400]; the others 9900 to 10100
set -euo pipefail
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'playwright==1.65.2'
TMPDIR=/tmp "$folder/venv/bin/python" - "$browser" <<'PYTHON'
import sys

from playwright.sync_api import sync_playwright

PAGE = """async () => {
	await new Promise((done) => setTimeout(done, 500));
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true });
	const processor = new MediaStreamTrackProcessor({ track: stream.getAudioTracks()[0] });
	await new Promise((done) => setTimeout(done, 60));
	const source = `onmessage = async ({ data }) => {
		const reader = data.getReader(), stamps = [];
		while (stamps.length < 40) {
			const { value } = await reader.read();
			stamps.push(value.timestamp);
			value.close();
		}
		postMessage({ stamps, made: performance.timeOrigin });
	}`;
	const worker = new Worker(URL.createObjectURL(new Blob([source])));
	const said = new Promise((done) => (worker.onmessage = ({ data }) => done(data)));
	worker.postMessage(processor.readable, [processor.readable]);
	const { stamps, made } = await said;
	return { stamps, age: (made - performance.timeOrigin) * 1000 };
}"""
flags = ["--no-sandbox", "--use-fake-ui-for-media-stream", "--use-fake-device-for-media-stream"]
with sync_playwright() as driver:
    browser = driver.chromium.launch(executable_path=sys.argv[1], args=flags)
    page = browser.new_page()
    page.route("https://page.test/", lambda route: route.fulfill(body="<p>page", content_type="text/html"))
    page.goto("https://page.test/")
    told = page.evaluate(PAGE)
    steps = [later - sooner for sooner, later in zip(told["stamps"], told["stamps"][1:])]
    back = [step for step in steps if step < 0]
    print(f"Chromium {browser.version}: the worker was made {told['age']:.0f} us after the page")
    print(f"steps back of one stream, us: {back}; the others {min(s for s in steps if s > 0)} to {max(steps)}")
    browser.close()
assert len(back) == 1, "one step back, where the stream was handed over"
assert abs(-back[0] - told["age"]) < 100_000, "by the age of the page"
PYTHON
