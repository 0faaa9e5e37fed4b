"""A page on which two people meet: ``python meeting.py ADDRESS PORT``. Whoever opens it first calls the next.

GET / is the page; POST /come tells a visitor whether it offers, and in which meeting; /N/offer and /N/answer take a
description by POST, and give it by GET as soon as there is one.
"""

from __future__ import annotations

import itertools
import json
import sys
import threading
from collections import defaultdict
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = b"""<!doctype html><meta charset=utf-8><link rel=icon href="data:,"><button id=meet>meet</button>
<video autoplay muted></video><audio autoplay></audio><script>
const video = location.search === '?video';
const post = (path, body) => fetch(path, { method: 'POST', body }).then((said) => said.text());
const get = (path) => fetch(path).then((said) => said.text());
document.querySelector('#meet').onclick = async () => {
	const { offers, meeting } = JSON.parse(await post('come', ''));
	const stream = await navigator.mediaDevices.getUserMedia({ audio: true, video });
	const peer = new RTCPeerConnection({ iceServers: [] });
	peer.ontrack = ({ track, streams }) => (document.querySelector(track.kind).srcObject = streams[0]);
	stream.getTracks().forEach((track) => peer.addTrack(track, stream));
	const gathered = () => new Promise((done) => (peer.onicecandidate = ({ candidate }) => !candidate && done()));
	const mine = offers ? 'offer' : 'answer';
	if (!offers) await peer.setRemoteDescription({ type: 'offer', sdp: await get(`${meeting}/offer`) });
	const all = gathered();
	await peer.setLocalDescription();
	await all;
	await post(`${meeting}/${mine}`, peer.localDescription.sdp);
	if (offers) await peer.setRemoteDescription({ type: 'answer', sdp: await get(`${meeting}/answer`) });
};
</script>"""
WAIT_S = 20.0
visitors = itertools.count()
said: dict[str, str] = {}
there: dict[str, threading.Event] = defaultdict(threading.Event)


class Meeting(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        if self.path in {"/", "/?video"}:
            self.answer(PAGE, "text/html")
        else:
            there[self.path].wait(WAIT_S)
            self.answer(said.get(self.path, "").encode(), "application/sdp")

    def do_POST(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0))).decode()
        if self.path == "/come":
            meeting, place = divmod(next(visitors), 2)
            self.answer(json.dumps({"offers": place == 0, "meeting": meeting}).encode(), "application/json")
            return
        said[self.path] = body
        there[self.path].set()
        self.answer(b"", "text/plain")

    def answer(self, body, kind):
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


if __name__ == "__main__":
    ThreadingHTTPServer((sys.argv[1], int(sys.argv[2])), Meeting).serve_forever()
