"""Rehearsals: what a join runs, run again while packets travel, so that it is in the caches when it is timed.

Known to hold for aiortc 1.16 and aioice 0.13; ``tests/runtime/test_rehearsal_seam.py`` says which name moved when a new
release breaks it.

Facts:
    On a machine shared with others the caches do not wait: the steps of a DTLS handshake took 1.4 ms one after another,
    and 3.2 ms with 40 ms between them, although the core never slept.

Rule: what is rehearsed touches nothing of a call: it has sessions, descriptions and messages of its own.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from functools import cache

import aiortc.rtcdtlstransport
import aiortc.sdp
from aioice import stun
from aiortc import RTCCertificate
from OpenSSL import SSL
from pylibsrtp import Policy, Session

from rtcprobe.runtime.aiortc_seam import attribute
from rtcprobe.runtime.meanwhile import Rehearsal

__all__ = ["rehearsals"]

_FLIGHTS = 5
"""Each side's last one included, which nobody answers. Source: RFC 6347 §4.2.4, figure 1, without cookies."""
_DATAGRAM_BYTES = 1500
_PROFILES = aiortc.rtcdtlstransport.SRTP_PROFILES
_KEY = b"a password of an ICE agent"
_DESCRIPTION = """\
v=0
o=- 0 0 IN IP4 0.0.0.0
s=-
t=0 0
a=group:BUNDLE 0
a=msid-semantic:WMS *
m=audio 50001 UDP/TLS/RTP/SAVPF 96 0 8
c=IN IP4 127.0.0.1
a=sendrecv
a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid
a=mid:0
a=msid:stream track
a=rtcp:9 IN IP4 0.0.0.0
a=rtcp-mux
a=ssrc:1 cname:name
a=rtpmap:96 opus/48000/2
a=rtpmap:0 PCMU/8000
a=rtpmap:8 PCMA/8000
a=candidate:0 1 udp 2130706431 127.0.0.1 50001 typ host
a=end-of-candidates
a=ice-ufrag:user
a=ice-pwd:password0123456789abcd
a=fingerprint:sha-256 00:11:22
a=setup:actpass
""".replace("\n", "\r\n")


def rehearsals() -> tuple[Rehearsal, ...]:
    """Return what can be done any time: DTLS handshakes with their SRTP sessions, descriptions, connectivity checks.

    Raises:
        SeamError: an internal name has moved.
    """
    return _handshakes(*_contexts()), _again("description", _describe), _again("check", _check)


@cache
def _contexts() -> tuple[SSL.Context, SSL.Context]:
    client, server = (
        attribute(RTCCertificate.generateCertificate(), "_create_ssl_context")(_PROFILES) for _ in range(2)
    )
    return client, server


def _handshakes(*contexts: SSL.Context) -> Rehearsal:
    while True:
        client, server = map(SSL.Connection, contexts)
        client.set_connect_state()
        server.set_accept_state()
        here, there = client, server
        flight: list[bytes] = []
        for number in range(_FLIGHTS):
            yield f"flight {number}"
            for datagram in flight:
                here.bio_write(datagram)
            # As aiortc takes a datagram in: by a read, which finds no data and fails, then the handshake's
            # next step, which fails for want of the other's flight until the last one.
            with suppress(SSL.Error):
                here.recv(_DATAGRAM_BYTES)
            with suppress(SSL.Error):
                here.do_handshake()
            flight = _written(here)
            here, there = there, here
        for side in (client, server):
            yield "keys"
            _secure(side)


def _again(name: str, step: Callable[[], None]) -> Rehearsal:
    while True:
        yield name
        step()


def _secure(tls: SSL.Connection) -> None:
    # What a transport does when its handshake is over: the other's certificate against its fingerprint, keys
    # exported (RFC 5764, section 4.2), an SRTP session each way.
    profile = _PROFILES[0]
    certificate = tls.get_peer_certificate(as_cryptography=True)
    assert certificate is not None
    for algorithm in aiortc.rtcdtlstransport.X509_DIGEST_ALGORITHMS:
        aiortc.rtcdtlstransport.certificate_digest(certificate, algorithm)
    keys = tls.export_keying_material(b"EXTRACTOR-dtls_srtp", 2 * (profile.key_length + profile.salt_length))
    for ssrc_type in (Policy.SSRC_ANY_INBOUND, Policy.SSRC_ANY_OUTBOUND):
        key = profile.get_key_and_salt(keys, 0)
        Session(Policy(key=key, ssrc_type=ssrc_type, srtp_profile=profile.libsrtp_profile))


def _written(tls: SSL.Connection) -> list[bytes]:
    datagrams: list[bytes] = []
    with suppress(SSL.Error):
        while True:
            datagrams.append(tls.bio_read(_DATAGRAM_BYTES))
    return datagrams


def _describe() -> None:
    str(aiortc.sdp.SessionDescription.parse(_DESCRIPTION))


def _check() -> None:
    for kind in (stun.Class.REQUEST, stun.Class.RESPONSE):
        message = stun.Message(stun.Method.BINDING, kind, b"rehearsal-id")
        message.attributes |= {"USERNAME": "user:user", "PRIORITY": 1}
        message.add_message_integrity(_KEY)
        stun.parse_message(bytes(message)).check_message_integrity(_KEY)
