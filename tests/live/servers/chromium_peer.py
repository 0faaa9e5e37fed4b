"""Headless Chromium as the far end: ``python chromium_peer.py ADDRESS PORT``; POST an offer, the page answers.

A browser has no signalling of its own, so this process is its small server: ``/echo`` sends the caller's audio back
through the browser's NetEQ and encoder, ``/publish`` speaks with the fake microphone (a beep a second). ``GET
/figures`` is the page's getStats, ``GET /calls`` how many calls are open, ``DELETE`` at an answer's Location hangs up.
"""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from pathlib import Path

from playwright.async_api import Page, async_playwright
from small_http import Answer, Request, serve_forever

FLAGS = (
    "--no-sandbox",
    "--use-fake-ui-for-media-stream",
    "--use-fake-device-for-media-stream",
    "--autoplay-policy=no-user-gesture-required",
    "--disable-features=WebRtcHideLocalIpsWithMdns",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
BROWSERS = ("chromium", "chromium-browser", "google-chrome")
PAGE_URL = "https://peer.test/"
"""Answered from the file beside this one: a page of a secure origin may use the microphone."""
HERE = Path(__file__).parent


async def respond(page: Page, request: Request) -> Answer:
    """Answer ``request`` by asking the page."""
    way = request.path.strip("/")
    if request.method == "GET" and way in {"figures", "calls"}:
        return Answer("200 OK", json.dumps(await page.evaluate(f"{way}()")), "application/json")
    if request.method == "DELETE":
        gone = await page.evaluate("hangUp", int(way.rsplit("/", 1)[1]))
        return Answer("200 OK" if gone else "404 Not Found")
    if request.method != "POST" or way not in {"echo", "publish"}:
        return Answer("404 Not Found", "POST an offer to /echo or /publish")
    answer = await page.evaluate("([offer, way]) => answer(offer, way)", [request.body, way])
    return Answer("201 Created", answer["sdp"], "application/sdp", {"Location": f"/call/{answer['number']}"})


async def main(address: str, port: int) -> None:
    executable = next(path for name in BROWSERS if (path := shutil.which(name)))
    async with async_playwright() as playwright:
        chromium = await playwright.chromium.launch(executable_path=executable, headless=True, args=list(FLAGS))
        page = await chromium.new_page()
        page.on("console", lambda message: print(message.text, flush=True))  # noqa: T201 - the log of this process
        await page.route(PAGE_URL, lambda route: route.fulfill(path=HERE / "chromium_page.html"))
        await page.goto(PAGE_URL)
        await serve_forever(address, port, lambda request: respond(page, request))


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], int(sys.argv[2])))
