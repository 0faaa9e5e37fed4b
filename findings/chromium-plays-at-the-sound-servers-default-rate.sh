#!/usr/bin/env bash
# Chromium 156 (Debian) on PulseAudio 16.1: it plays at the sound server's default rate, whatever rate its sink has.
#
# AudioContext.sampleRate is, without a wish of the page's, "the sample rate of the output device" (Web Audio §1.2.4).
# Chromium asks PulseAudio for its server info, not for its sink: at a sink of 48 kHz of a server that was told no default
# (44.1 kHz) it renders at 44.1 kHz, and the server resamples. WebRTC's media-playout statistics then count samples of
# 44.1 kHz, and a filter that no statistic tells of stands between what was rendered and what the sink puts out.
#
# Seen (Chromium 156.0.8078.108, PulseAudio 16.1, a null sink of 48,000 Hz in both):
#     default-sample-rate not told: AudioContext.sampleRate is 44100
#     default-sample-rate = 48000: AudioContext.sampleRate is 48000
set -euo pipefail
browser=$(command -v chromium || command -v chromium-browser || command -v google-chrome)
command -v pulseaudio >/dev/null || { echo "apt install pulseaudio"; exit 1; }
folder=$(mktemp -d /tmp/find.XXXX)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'playwright==1.65.2'
TMPDIR=/tmp "$folder/venv/bin/python" - "$browser" "$folder" <<'PYTHON'
import os
import subprocess
import sys
import time
from pathlib import Path

from playwright.sync_api import sync_playwright

browser_path, folder = sys.argv[1], Path(sys.argv[2])


def rate_with(settings):
    """Return the rate of a page's AudioContext at a null sink of 48 kHz of a server with ``settings``."""
    (folder / "daemon.conf").write_text(settings)
    socket = folder / "sound"
    own = {"HOME": str(folder), "XDG_RUNTIME_DIR": str(folder), "PULSE_CONFIG": str(folder / "daemon.conf")}
    command = ["pulseaudio", "-n", "--daemonize=no", "--exit-idle-time=-1", "--use-pid-file=no"]
    command += ["--load=module-null-sink rate=48000", f"--load=module-native-protocol-unix socket={socket} auth-anonymous=1"]
    quiet = subprocess.DEVNULL
    server = subprocess.Popen(command, env={**os.environ, **own}, stdout=quiet, stderr=quiet)
    try:
        until = time.monotonic() + 10
        while not socket.is_socket() and time.monotonic() < until:
            time.sleep(0.05)
        with sync_playwright() as driver:
            browser = driver.chromium.launch(
                executable_path=browser_path,
                args=["--no-sandbox"],
                ignore_default_args=["--mute-audio"],
                env={**os.environ, "PULSE_SERVER": f"unix:{socket}"},
            )
            page = browser.new_page()
            found = page.evaluate("new AudioContext().sampleRate")
            browser.close()
    finally:
        server.terminate()
        server.wait()
    return found


untold, told = rate_with(""), rate_with("default-sample-rate = 48000\n")
print(f"default-sample-rate not told: AudioContext.sampleRate is {untold:.0f}")
print(f"default-sample-rate = 48000: AudioContext.sampleRate is {told:.0f}")
assert (untold, told) == (44_100, 48_000), "the sink is of 48 kHz both times"
PYTHON
