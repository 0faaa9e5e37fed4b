"""The part of the seam that touches aiortc's DTLS transport: retransmission, and what a handshake needs beforehand.

Known to hold for aiortc 1.16; ``tests/runtime/test_dtls_seam.py`` says which name moved when a new release breaks it.

Facts:
    - OpenSSL's DTLS retransmission timer reads the machine's clock and cannot be told otherwise, so in virtual time a
      lost handshake datagram would never come again. Nor can it be left alone: any call that reads asks the timer, too,
      and where the machine took a second since the last flight, writes that flight again behind what it has to say
      (``dtls1_handle_timeout`` in OpenSSL's ``ssl/record/rec_layer_d1.c``). A busy machine would move virtual time.
    - aiortc makes the OpenSSL context when ICE has connected, and digests its certificate anew for every description:
      a millisecond or two of the timed path on each side, for what belongs to the certificate and is known before.

Rules:
    1. Retransmission is ours on both clocks (``HandshakeFlights``), between DTLS and ICE.
    2. What a certificate needs is made with it (``prepare_handshake``), before the clock of a call starts.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine
from typing import Any

from aiortc.rtcdtlstransport import RTCDtlsTransport
from OpenSSL import SSL

from rtcprobe.runtime.aiortc_seam import attribute, on_state
from rtcprobe.runtime.virtual import running

__all__ = ["HandshakeFlights", "prepare_handshake"]

# A peer's flight that came again says that ours is lost only if ours was sent this long ago: before, both may
# have crossed on their way. Ordinarily half of the first timer is more (libwebrtc's is 50 ms at least): this holds
# where a scenario asks for one below 40 ms.
LEAST_PATIENCE_S = 0.020

_ALL = 1 << 16
"""Bytes: more than any flight has."""

_HANDSHAKE_DONE = "_RTCDtlsTransport__handshake_done"
_LOCAL_CERTIFICATE = "_RTCDtlsTransport__local_certificate"


def prepare_handshake(dtls: RTCDtlsTransport) -> None:
    """Make the OpenSSL context and the fingerprints of ``dtls``'s certificate now.

    Raises:
        SeamError: an internal name has moved.
    """
    certificate = attribute(dtls, _LOCAL_CERTIFICATE)
    if getattr(certificate, "_rtcprobe", False):
        return  # a call in virtual time had it before
    make_context: Callable[[Any], Any] = attribute(certificate, "_create_ssl_context")
    profiles = attribute(dtls, "_srtp_profiles")
    context, fingerprints = make_context(profiles), certificate.getFingerprints()
    # Sessions are numbered as ever, which the wire shows, but not kept: nobody here resumes one.
    context.set_session_cache_mode(SSL.SESS_CACHE_SERVER | SSL.SESS_CACHE_NO_INTERNAL_STORE)
    certificate._create_ssl_context = lambda srtp_profiles: (  # noqa: SLF001
        context if srtp_profiles == profiles else make_context(srtp_profiles)
    )
    certificate.getFingerprints = lambda: list(fingerprints)
    certificate._rtcprobe = True  # noqa: SLF001 - our own mark


class HandshakeFlights:
    """Retransmits DTLS handshake flights on the loop's clock, standing between a DTLS and an ICE transport.

    Facts:
        - A verbatim copy of a datagram that was lost is accepted; of one that arrived it is dropped by the replay
          window (RFC 6347 §4.1.2.6) and would not make the peer answer.
        - The side that sends the last flight is done at once and starts no timer (RFC 6347 §4.2.4).

    Rules:
        1. The last flight sent is kept. When its timer expires without a new flight, it is sent again, and the
           timer doubles up to 60 s (RFC 6347 §4.2.4.1).
        2. The deadline is absolute: media that arrives meanwhile must not postpone it, or a lost last flight hangs.
        3. A handshake datagram that was seen before is the peer's retransmission: our last flight is sent again; but
           not within half a timeout of the last time, for that was the network's own copy, and two such would chase
           each other.
        4. In virtual time what OpenSSL's own timer writes is thrown away. On the real clock, where a stranger answers
           nothing but what it has not seen, it is what is sent again as soon as that timer has expired: the flight in
           new records. Otherwise who lost a server's last flight would ask for it in vain for ever.
    """

    MAX_TIMEOUT_S = 60.0

    def __init__(self, dtls: RTCDtlsTransport, initial_timeout_s: Callable[[], float]) -> None:
        """Stand between ``dtls`` and its ICE transport; ``initial_timeout_s`` is asked when a flight first leaves."""
        ice = self._ice = dtls.transport
        self.sent_s: list[list[float]] = []
        """Loop times at which each flight left: the first copy, then every copy sent again."""
        self._loop = asyncio.get_running_loop()
        self._send_datagram: Callable[[bytes], Coroutine[Any, Any, None]] = attribute(ice, "_send")
        self._receive_datagram: Callable[[], Coroutine[Any, Any, bytes]] = attribute(ice, "_recv")
        self._initial_timeout_s = initial_timeout_s
        self._flight: list[bytes] = []
        self._answered = True
        self._seen: set[bytes] = set()
        self._done = False
        self._timeout_s = 0.0
        self._patience_s = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Future[None]] = set()
        self._dtls = dtls
        self._virtual = running() is not None
        self._silenced = not self._virtual
        attribute(dtls, "_ssl")
        attribute(dtls, _HANDSHAKE_DONE)
        setattr(dtls, _HANDSHAKE_DONE, True)  # aiortc then never asks OpenSSL's own timer
        ice._send = self._send  # noqa: SLF001
        ice._recv = self._recv  # noqa: SLF001
        for state in ("connected", "closed", "failed"):
            on_state(dtls, state, self.stop)

    def stop(self) -> None:
        """The handshake is over on this side: no more timers (a duplicate of the peer's is still answered)."""
        self._done = True
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _send(self, data: bytes) -> None:
        if not self._done and _is_dtls(data):
            if self._answered:
                self._answered = False
                self._flight = []
                self._timeout_s = self._initial_timeout_s()
                self._patience_s = max(self._timeout_s / 2, LEAST_PATIENCE_S)
                self.sent_s.append([self._loop.time()])
            self._flight.append(data)
            self._arm()
        await self._send_datagram(data)

    async def _recv(self) -> bytes:
        if not self._silenced and self._dtls._ssl is not None:  # noqa: SLF001
            _silence(self._dtls._ssl)  # noqa: SLF001
            self._silenced = True
        data = await self._receive_datagram()
        if self._done and data[0] > 127:
            self._step_aside()
        elif _is_dtls(data):
            if data in self._seen:
                if self.sent_s and self._loop.time() - self.sent_s[-1][-1] >= self._patience_s:
                    self._resend()
            elif not self._done:
                self._seen.add(data)
                self._answered = True
        return data

    def _step_aside(self) -> None:
        # Media of the peer's proves that it has our last flight: nothing is left to do here.
        self._ice._send = self._send_datagram  # type: ignore[assignment]  # noqa: SLF001
        self._ice._recv = self._receive_datagram  # noqa: SLF001

    def _arm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_later(self._timeout_s, self._expire)

    def _expire(self) -> None:
        self._timeout_s = min(2 * self._timeout_s, self.MAX_TIMEOUT_S)
        self._arm()
        if not self._virtual:
            self._renew()
        self._resend()

    def _renew(self) -> None:
        ssl = self._dtls._ssl  # noqa: SLF001
        with contextlib.suppress(SSL.Error):  # it gives up after twelve times; we do not
            if ssl is not None and ssl.DTLSv1_handle_timeout():
                self._flight = [ssl.bio_read(_ALL)]

    def _resend(self) -> None:
        if self._flight:
            self.sent_s[-1].append(self._loop.time())
            task = asyncio.ensure_future(self._send_flight(list(self._flight)))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _send_flight(self, flight: list[bytes]) -> None:
        try:
            for data in flight:
                await self._send_datagram(data)
        except ConnectionError:
            pass  # ICE has closed: nobody to resend to


def _silence(ssl: SSL.Connection) -> None:
    """Let OpenSSL's timer expire before each call that would ask it, and throw away what it writes.

    aiortc has taken out before what the last call had to say, so nothing else is lost.
    """

    def silent(call: Callable[..., Any]) -> Callable[..., Any]:
        def called(*arguments: Any) -> Any:
            if ssl.DTLSv1_handle_timeout():
                with contextlib.suppress(SSL.Error):  # it is empty
                    while True:
                        ssl.bio_read(_ALL)
            return call(*arguments)

        return called

    for name in ("do_handshake", "recv"):
        setattr(ssl, name, silent(getattr(ssl, name)))


def _is_dtls(data: bytes) -> bool:
    """Return whether a datagram is a DTLS record. Source: RFC 7983 §7."""
    return len(data) > 0 and 19 < data[0] < 64
