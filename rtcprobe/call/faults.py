"""What can go wrong between us and a server, said in one sentence: which exchange, how far it came, the fact, the cure.

Rules:
    1. The server's own words are quoted, never trusted: tags, control characters and secrets are taken out, and they
       are cut short.
    2. A fault that is not known here is quoted as it came.
"""

from __future__ import annotations

import json
import ssl
import unicodedata
from dataclasses import dataclass, field
from http import HTTPStatus

from rtcprobe.errors import MeasurementError
from rtcprobe.runtime.reach import StreamError
from rtcprobe.secrets import scrub
from rtcprobe.units import format_duration

__all__ = ["Exchange", "fault", "printable", "quoted", "refusal", "timed_out", "wrong_type"]

# A line and a half of a terminal; a stranger's page of HTML says no more in its second line.
_QUOTE_LENGTH = 120
# Where JSON errors have their sentence: RFC 9457 (detail, title), OAuth (error), and what servers of media use.
_WORDS = ("message", "error", "reason", "detail", "title", "description")

_WAITING_FOR = {
    "dns": "the name to be resolved",
    "tcp": "the TCP connection",
    "tls": "the TLS handshake",
    "request_sent": "the server to take the request",
    "response_headers": "the answer to begin",
    "response_body": "the rest of the answer",
    "message": "the next message",
}

# X509_V_ERR_* of OpenSSL (x509_vfy.h), which ssl.SSLCertVerificationError.verify_code holds.
_CERTIFICATE = {
    9: ("is not valid yet", "check this machine's clock, or the server's certificate"),
    10: ("has expired", "renew it on the server"),
    18: ("is self-signed, and not trusted here", "name the CA file that vouches for it"),
    19: ("comes from a CA not trusted here", "name the CA file that vouches for it"),
    20: ("comes from a CA not trusted here", "name the CA file that vouches for it"),
    21: ("comes from a CA not trusted here", "name the CA file that vouches for it"),
    62: ("is for another host name", "call the server by the name in its certificate"),
    64: ("is for another address", "call the server by the name in its certificate"),
}


@dataclass(slots=True, kw_only=True, eq=False)
class Exchange:
    """One question to a server and its answer: milestones in seconds since the call started, as far as it came.

    ``what`` says what it was for; ``url`` is scrubbed; ``phase`` is the milestone being waited for.
    """

    what: str
    method: str
    url: str
    host: str
    begun_s: float
    marks: dict[str, float] = field(default_factory=dict)
    phase: str = "request_sent"
    status: int | None = None
    body_bytes: int = 0
    tls_version: str | None = None

    def __str__(self) -> str:
        return f"{self.what} ({self.method} {self.url})"


def fault(exchange: Exchange, error: BaseException) -> MeasurementError:
    """Return the sentence for an exchange that ``error`` ended."""
    fact, cure = _explain(exchange, error)
    return MeasurementError(scrub(f"{exchange}: {fact}"), cure)


def timed_out(exchange: Exchange, after_s: float) -> MeasurementError:
    """Return the sentence for an exchange that took longer than it may."""
    waiting = _WAITING_FOR.get(exchange.phase, exchange.phase)
    come = f", {exchange.body_bytes} bytes of it had come" if exchange.phase == "response_body" else ""
    return MeasurementError(f"{exchange}: not within {format_duration(after_s)}, waiting for {waiting}{come}")


def refusal(exchange: Exchange, body: bytes, *, token: str | None, withheld: bool = False) -> MeasurementError:
    """Return the sentence for a status that was not hoped for.

    ``token`` says where the token came from that went with the request (None: there was none); ``withheld`` that it
    stayed behind, at a redirect to another origin or because the session is at one.
    """
    status = exchange.status or 0
    words = _words(body)
    said = f"the server answered {status}{_phrase(status)}{f', {quoted(words)}' if words else ''}"
    if status in {401, 403}:
        if withheld and exchange.what.endswith("redirected"):
            cure = "the redirect led to another origin, where the token is not sent: call that origin itself"
        elif withheld:
            cure = "the session is at another origin, where the token is not sent: name it as target.session_origin"
        elif token is None:
            cure = "no token was sent: give it one"
        else:
            cure = f"check the token{f' ({token})' if token else ''}"
    elif status == 404:
        cure = "check the path"
    elif status >= 500:
        cure = "look into the server's log"
    else:
        cure = ""
    return MeasurementError(scrub(f"{exchange}: {said}"), cure)


def wrong_type(exchange: Exchange, media_type: str, wanted: str, body: bytes) -> MeasurementError:
    """Return the sentence for an answer of another kind than ``wanted``."""
    words = _words(body)
    begins = f", beginning {quoted(words)}" if words else ""
    return MeasurementError(
        scrub(f"{exchange}: the answer is {quoted(media_type)}{begins}, not {wanted}"), "is this the endpoint's URL?"
    )


def quoted(text: str) -> str:
    """Return what a server said in quotes: one line, printable, cut short, without secrets (rule 1)."""
    line = printable(text, _QUOTE_LENGTH)
    return "'" + line.replace("'", "’") + "'"


def printable(text: str, most: int = _QUOTE_LENGTH) -> str:
    """Return what a server said as one line of at most ``most`` characters, printable and without secrets (rule 1)."""
    # More than is shown, as blanks are drawn together below, and a secret has to be there whole to be
    # taken out; not all, as a stranger's page may be of any size. Categories C and Z are control
    # characters (escapes of terminals) and separators.
    plain = "".join(" " if unicodedata.category(each)[0] in "CZ" else each for each in text[: 4 * most + 4096])
    line = " ".join(scrub(plain).split())
    return line if len(line) <= most else line[: most - 1] + "…"


def _explain(exchange: Exchange, error: BaseException) -> tuple[str, str]:  # noqa: PLR0911 - one return a fault
    import anyio  # noqa: PLC0415 - 40 ms of loading, which a call that asks no server has no use for
    import httpcore  # noqa: PLC0415

    if isinstance(error, StreamError):
        return _no_stream(exchange.host, error)
    if isinstance(error, ssl.SSLCertVerificationError):
        known = _CERTIFICATE.get(error.verify_code)
        if known is not None:
            return f"the certificate of {exchange.host} {known[0]}", known[1]
        return f"the certificate of {exchange.host} is not valid, {quoted(error.verify_message)}", ""
    # Whatever broke it: in a handshake a closed connection, a plain answer and
    # an alert all mean that TLS did not come about.
    if exchange.phase == "tls":
        return _no_tls(exchange, error)
    if isinstance(error, httpcore.RemoteProtocolError):
        return _bad_answer(exchange, str(error))
    if isinstance(error, (httpcore.NetworkError, OSError, anyio.BrokenResourceError, anyio.ClosedResourceError)):
        return f"the connection broke while waiting for {_WAITING_FOR[exchange.phase]}", "look into the server's log"
    return f"it failed with {type(error).__name__}, {quoted(str(error))}", ""


def _no_stream(host: str, error: StreamError) -> tuple[str, str]:
    if error.kind == "dns":
        return f"the name {quoted(host)} does not resolve, {quoted(error.reason)}", "check the host name"
    if error.kind == "resolver":
        return f"the name {quoted(host)} could not be looked up, {error.reason}", "let the link lose less"
    if error.kind == "refused":
        return f"{error.reason} refuses the TCP connection", "start the server, or correct host and port"
    return f"there is no way to {error.reason}", "check the address and this machine's network"


def _no_tls(exchange: Exchange, error: BaseException) -> tuple[str, str]:
    host = exchange.host
    # OpenSSL read something that is no record of TLS: what a server answers in plain text.
    if isinstance(error, ssl.SSLError) and error.reason in {"WRONG_VERSION_NUMBER", "HTTP_REQUEST"}:
        plain = "janus+ws://" if exchange.url.startswith("wss:") else "whip+whep+http://, sdp+http:// or janus+http://"
        return f"{host} does not speak TLS on this port", f"without TLS write {plain}, else correct the port"
    # The end of the stream is an SSLError as well, whose reason ("unexpected eof") says less than the sentence below.
    if isinstance(error, ssl.SSLError) and not isinstance(error, ssl.SSLEOFError) and error.reason:
        return f"the TLS handshake with {host} failed, {quoted(error.reason.replace('_', ' ').lower())}", ""
    return f"{host} closed the connection in the TLS handshake", "does it speak TLS on this port?"


def _bad_answer(exchange: Exchange, reason: str) -> tuple[str, str]:
    closed = "the server closed the connection"
    # httpcore raises h11's RemoteProtocolError with its text: that is all that tells these cases apart.
    if "without sending a response" in reason:
        plain = exchange.url.startswith(("http:", "ws:"))
        return f"{closed} without an answer", f"look into its log{', or does it want TLS' * plain}"
    if "peer closed connection" in reason:
        return f"{closed} in the middle of its answer, after {exchange.body_bytes} bytes", "look into its log"
    if exchange.phase == "response_body":
        return f"the answer breaks the rules of HTTP, {quoted(reason)}", "look into the server's log"
    if "too" in reason and "long" in reason:
        return "the header of the answer is too long", "is this an HTTP server?"
    return "the answer is not HTTP", "is this an HTTP server, and the right port?"


def _words(body: bytes) -> str:
    """Return what a person would read in ``body``."""
    text = body[:65_536].decode(errors="replace").strip()
    if text.startswith("{"):
        try:
            plain = json.loads(text)
        except (ValueError, RecursionError):
            plain = None
        # Down one level at a time, as far as there are objects: {"error":
        # {"message": ...}} is how OpenAI and others nest it.
        while isinstance(plain, dict):
            plain = next((plain[key] for key in _WORDS if isinstance(plain.get(key), (str, dict))), None)
        if isinstance(plain, str):
            return plain
    return without_markup(text).strip()


def without_markup(page: str) -> str:
    """Return the words of a page: no tags, no scripts, no styles; in one pass, whatever the page is made of."""
    low = "".join(each.lower() if each.isascii() else each for each in page)  # as long as the page
    endless: set[str] = set()
    words: list[str] = []
    at = 0
    while (begin := page.find("<", at)) >= 0:
        words.append(page[at:begin])
        end = begin
        for kind in ("script", "style"):
            # A script that never ends is looked for once only: a page of nothing but
            # "<script" would else be searched anew at each.
            if kind not in endless and low.startswith(kind, begin + 1):
                end = low.find(f"</{kind}", begin)
                if end < 0:
                    endless.add(kind)
                    end = begin
        end = page.find(">", end)
        if end < 0:
            at = begin  # a "<" that begins nothing
            break
        at = end + 1
    words.append(page[at:])
    return " ".join(words)


def _phrase(status: int) -> str:
    try:
        return f" {HTTPStatus(status).phrase}"
    except ValueError:
        return ""
