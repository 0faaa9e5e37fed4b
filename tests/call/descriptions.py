"""Descriptions as servers in the field write them: invented addresses and keys, forms that were seen."""

KEY = ":".join(f"{byte:02X}" for byte in range(32))
SESSION = ("v=0", "o=- 1 2 IN IP4 0.0.0.0", "s=-", "t=0 0")
TRANSPORT = (
    "a=ice-ufrag:abcd",
    "a=ice-pwd:abcdefghijklmnopqrstuv",
    f"a=fingerprint:sha-256 {KEY}",
)
CANDIDATES = ("a=candidate:1 1 udp 2130706431 192.0.2.1 40000 typ host", "a=end-of-candidates")
VIDEO = ("a=mid:1", "a=rtpmap:97 VP8/90000")


def written(*lines):
    return "\r\n".join(lines) + "\r\n"


def audio(
    *more, direction="a=sendrecv", setup="a=setup:active", candidates=CANDIDATES, line="m=audio 9 UDP/TLS/RTP/SAVPF 96"
):
    """Return a section of audio whose lines a test may change or leave out (None)."""
    lines = [line, "c=IN IP4 0.0.0.0", "a=mid:0", direction, "a=rtcp-mux", "a=rtpmap:96 opus/48000/2", *more]
    return [each for each in (*lines, *TRANSPORT, setup, *candidates) if each is not None]


def answer(*more, **changes):
    return written(*SESSION, "a=group:BUNDLE 0", *audio(*more, **changes))


def offer(*video, bundle="0 1", direction="a=sendonly"):
    """Return a server's own offer: our audio first, then a section of video."""
    sections = audio(direction=direction, setup="a=setup:actpass")
    return written(*SESSION, f"a=group:BUNDLE {bundle}", *sections, *video)


FREESWITCH = written(
    "v=0",
    "o=FreeSWITCH 1 2 IN IP4 192.0.2.1",
    "s=FreeSWITCH",
    "c=IN IP4 192.0.2.1",
    "t=0 0",
    "a=msid-semantic: WMS stream0",
    "m=audio 40000 RTP/SAVPF 96 101 13",
    "a=rtpmap:96 opus/48000/2",
    "a=fmtp:96 useinbandfec=1; usedtx=1; maxaveragebitrate=24000; ptime=20; minptime=20; maxptime=20",
    "a=rtpmap:101 telephone-event/8000",
    f"a=fingerprint:sha-256 {KEY}",
    "a=setup:active",
    "a=rtcp-mux",
    "a=rtcp:40000 IN IP4 192.0.2.1",
    "a=ssrc:1122334455 cname:cname0",
    "a=ice-ufrag:a1b2c3d4",
    "a=ice-pwd:0123456789abcdef01234567",
    "a=candidate:1 1 udp 659136 192.0.2.1 40000 typ host generation 0",
    "a=candidate:1 2 udp 659136 192.0.2.1 40000 typ host generation 0",
    "a=ptime:20",
)
