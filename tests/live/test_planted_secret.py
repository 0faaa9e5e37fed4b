"""A secret planted, and every output searched for it: nothing that leaves may hold it."""

import asyncio
import base64
import json
import sys
import threading
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import quote

sys.path.insert(0, str(Path(__file__).parents[1] / "broken"))

from zoo import open_zoo

VALUE = "pl@nted-S3cret/value+1"
FORMS = (
    VALUE,
    quote(VALUE),
    quote(VALUE, safe=""),
    base64.b64encode(VALUE.encode()).decode(),
    VALUE.replace("@", "%40"),
)


@contextmanager
def zoo_beside():
    """A zoo on a loop of its own, beside the command line that has one too."""
    opened, done = threading.Event(), None
    found = {}

    async def main():
        nonlocal done
        done = asyncio.Event()
        async with open_zoo() as zoo:
            found.update(zoo=zoo, loop=asyncio.get_running_loop())
            opened.set()
            await done.wait()

    thread = threading.Thread(target=lambda: asyncio.run(main()))
    thread.start()
    opened.wait()
    try:
        yield found["zoo"]
    finally:
        found["loop"].call_soon_threadsafe(done.set)
        thread.join()


def clean(text):
    return not any(form in text for form in FORMS)


def test_a_token_that_the_server_echoes_is_in_no_output(rtcprobe, monkeypatch, tmp_path, caplog):
    monkeypatch.setenv("PLANTED", VALUE)
    files = {flag: tmp_path / flag for flag in ("--json", "--junit", "--markdown", "--append", "--openmetrics")}
    with zoo_beside() as zoo, caplog.at_level("DEBUG"):
        target = f"sdp+http://127.0.0.1:{zoo.port}/forbidden?access_token={quote(VALUE)}&room=7"
        arguments = [
            "run",
            "1v1-social",
            "--real-time",
            "--target",
            target,
            "--joins",
            "1",
            "--calls",
            "1",
            "--duration",
            "1s",
        ]
        arguments += ["--set", "target.token=env:PLANTED", "--set", "target.headers={X-Key: env:PLANTED}"]
        code, out, err = rtcprobe(*arguments, *(str(each) for pair in files.items() for each in pair))
        heads = " ".join(head for head, _ in zoo.seen)
    assert code == 3
    assert f"Bearer {VALUE}" in heads  # it was used
    assert f"X-Key: {VALUE}" in heads
    assert rtcprobe("report", files["--json"], "--output", tmp_path / "page.html")[0] == 0
    for name, text in {
        "out": out,
        "err": err,
        "log": caplog.text,
        "page": (tmp_path / "page.html").read_text(),
        **{flag: path.read_text() for flag, path in files.items()},
    }.items():
        assert not any(form in text for form in FORMS), name
    result = json.loads(files["--json"].read_text())
    (attempt,) = result["join"]["attempts"]
    assert "the server answered 403 Forbidden, 'go away Authorization: Bearer ***'" in attempt["failed"]
    assert "room=7" in result["target"]
