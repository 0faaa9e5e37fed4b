import asyncio
import re
import socket

import pytest
from zoo import Authority, open_zoo

from rtcprobe.call.http import HttpClient, Limits, parse_url, tls_context
from rtcprobe.errors import BadInputError, MeasurementError
from rtcprobe.runtime.network import Network
from rtcprobe.runtime.streams import Line
from rtcprobe.secrets import Secret

TOKEN = Secret("Zx9-planted-token", "env:TOKEN")
WHERE = "WHIP offer (POST http://127.0.0.1:PORT/{path}): "


def client_of(**limits):
    line = Line(Network(asyncio.get_running_loop(), sockets=True))
    return HttpClient(line, limits=Limits(**{"exchange_s": 30.0, **limits}))


async def sentence(url, *, client=None, method="POST", **more):
    """Return what the client says of an exchange, ports written as PORT."""
    client = client or client_of()
    try:
        reply = await client.exchange("WHIP offer", method, url, **more)
        reply.location()
    except MeasurementError as error:
        said = re.sub(r":\d{2,5}\b", ":PORT", str(error))
    else:
        pytest.fail(f"{url} was answered")
    finally:
        await client.aclose()
    assert "planted" not in said
    return said


CAGES = {
    "closes": "the server closed the connection without an answer: look into its log, or does it want TLS",
    "middle": "the server closed the connection in the middle of its answer, after 3 bytes: look into its log",
    "garbage": "the answer is not HTTP: is this an HTTP server, and the right port?",
    "html": "the answer is 'text/html', beginning 'Welcome to nginx [31m!', not application/sdp: is this the "
    "endpoint's URL?",
    "huge": "the answer is larger than 100000 bytes and was not read on: is this the endpoint's URL?",
    "announced": "the answer is larger than 100000 bytes and was not read on: is this the endpoint's URL?",
    "gzip": "the answer is compressed ('gzip'), unasked",
    "fields": "the answer has 301 header fields, more than 200",
    "long": "the header of the answer is too long: is this an HTTP server?",
    "found": "the server answered 302, which would turn the POST into a GET of 'http://127.0.0.1:PORT/fine': "
    "redirect with 307 or 308, or call that address itself",
    "nowhere": "the server answered 308, a redirect that leads nowhere",
    "mailto": "its Location 'mailto:someone@example.org' is no address of HTTP",
    "forbidden": "the server answered 403 Forbidden, 'go away Authorization: Bearer ***': check the token (env:TOKEN)",
    "missing": "the server answered 404 Not Found, 'no such room': check the path",
    "broken": "the server answered 503 Service Unavailable, 'no media worker': look into the server's log",
    "odd": "the server answered 499",
    "no-location": "the answer names no Location, so the session cannot be ended",
}


async def test_every_cage_has_its_sentence():
    async with open_zoo() as zoo:
        for path, expected in CAGES.items():
            said = await sentence(
                f"http://127.0.0.1:{zoo.port}/{path}",
                client=client_of(body_bytes=100_000),
                body="v=0",
                token=TOKEN,
                media_types=["application/sdp"],
            )
            assert said == WHERE.format(path=path) + expected


async def test_a_server_that_never_answers_or_stops_in_the_middle_is_given_up_in_time():
    async with open_zoo() as zoo:
        base = f"http://127.0.0.1:{zoo.port}"
        never, stalls = await asyncio.gather(
            sentence(f"{base}/never", timeout_s=0.3), sentence(f"{base}/stalls", timeout_s=0.3)
        )
    assert never == WHERE.format(path="never") + "not within 300ms, waiting for the answer to begin"
    waiting = "not within 300ms, waiting for the rest of the answer, 3 bytes of it had come"
    assert stalls == WHERE.format(path="stalls") + waiting


async def test_a_redirect_that_never_ends_ends():
    async with open_zoo() as zoo:
        said = await sentence(f"http://127.0.0.1:{zoo.port}/round", client=client_of(redirects=3))
        assert len(zoo.seen) == 4
    where = "WHIP offer, redirected (POST http://127.0.0.1:PORT/round?access_token=***): "
    assert said == where + "redirected 3 times before and again: call the endpoint itself"


async def test_a_token_stays_with_its_origin_and_the_sentence_says_so():
    async with open_zoo() as zoo, open_zoo() as other:
        zoo.elsewhere = other.port
        said = await sentence(
            f"http://127.0.0.1:{zoo.port}/away", token=TOKEN, headers={"X-Key": TOKEN, "X-Plain": "yes"}
        )
        head = other.seen[0][0].lower()
    assert "planted" not in head
    assert "authorization" not in head
    assert "x-plain: yes" in head
    assert said == (
        "WHIP offer, redirected (POST http://127.0.0.1:PORT/forbidden): the server answered 403 Forbidden, 'go away no "
        "token': the redirect led to another origin, where the token is not sent: call that origin itself"
    )


async def test_a_redirect_within_the_origin_is_followed_with_body_and_token():
    async with open_zoo() as zoo:
        client = client_of()
        reply = await client.exchange("offer", "POST", f"http://127.0.0.1:{zoo.port}/moved", body="v=0", token=TOKEN)
        await client.aclose()
        assert [body for _, body in zoo.seen] == [b"v=0", b"v=0"]
        assert all("planted" in head for head, _ in zoo.seen)
        assert reply.location() == f"http://127.0.0.1:{zoo.port}/session/1?token=s3"
        assert "token=***" not in reply.url


async def test_what_cannot_be_read_is_said():
    async with open_zoo() as zoo:
        client = client_of()
        reply = await client.exchange("answer", "GET", f"http://127.0.0.1:{zoo.port}/binary")
        await client.aclose()
        with pytest.raises(MeasurementError, match=r"the answer is not text in UTF-8$"):
            reply.text()


async def test_nobody_there_no_such_name_no_way():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: refuses
        port = taken.getsockname()[1]
        said = await sentence(f"http://127.0.0.1:{port}/")
    assert said == (
        "WHIP offer (POST http://127.0.0.1:PORT/): 127.0.0.1:PORT refuses the TCP connection: start the server, or "
        "correct host and port"
    )
    said = await sentence("http://nohost.invalid/")
    assert re.fullmatch(
        r"WHIP offer \(POST http://nohost\.invalid/\): the name 'nohost\.invalid' does not resolve, '.*': check the "
        r"host name",
        said,
    )
    said = await sentence("http://255.255.255.255/")
    assert re.fullmatch(r"WHIP offer \(POST .*\): there is no way to 255\.255\.255\.255:PORT: .*: check .*", said)


@pytest.mark.parametrize(
    ("host", "kind", "trusted", "expected"),
    [
        ("localhost", {"expired": True}, True, "has expired: renew it on the server"),
        (
            "localhost",
            {"self_signed": True},
            True,
            "is self-signed, and not trusted here: name the CA file that vouches for it",
        ),
        ("localhost", {}, False, "comes from a CA not trusted here: name the CA file that vouches for it"),
        ("example.org", {}, True, "is for another host name: call the server by the name in its certificate"),
    ],
)
async def test_a_certificate_that_proves_nothing_is_refused(  # noqa: PLR0917 - three fixtures, four parameters
    authority, ca_file, tmp_path, host, kind, trusted, expected
):
    async with open_zoo(authority.server(tmp_path, host, **kind)) as zoo:
        client = HttpClient(
            Line(Network(asyncio.get_running_loop(), sockets=True)), ca_file=ca_file if trusted else None
        )
        said = await sentence(f"https://localhost:{zoo.port}/fine", client=client)
    assert said == f"WHIP offer (POST https://localhost:PORT/fine): the certificate of localhost {expected}"
    assert zoo.seen == []


async def test_our_own_ca_is_trusted_and_https_is_never_left_for_http(authority, ca_file, tmp_path):
    line = Line(Network(asyncio.get_running_loop(), sockets=True))
    client = HttpClient(line, ca_file=ca_file)
    async with open_zoo(authority.server(tmp_path, "localhost")) as zoo:
        reply = await client.exchange("offer", "POST", f"https://localhost:{zoo.port}/fine")
        assert (reply.status, reply.exchange.tls_version) == (201, "TLSv1.3")
        said = await sentence(f"https://localhost:{zoo.port}/downgrade", client=client)
    assert said == (
        "WHIP offer (POST https://localhost:PORT/downgrade): redirected from https to 'http://localhost:PORT/fine': "
        "nothing is sent there unencrypted"
    )


async def test_tls_to_a_server_without_tls_is_said_and_the_other_way_round(authority, tmp_path):
    async with open_zoo() as zoo:
        said = await sentence(f"https://localhost:{zoo.port}/garbage", timeout_s=30.0)
    assert said == (
        "WHIP offer (POST https://localhost:PORT/garbage): localhost does not speak TLS on this port: without TLS "
        "write whip+whep+http://, sdp+http:// or janus+http://, else correct the port"
    )
    async with open_zoo(authority.server(tmp_path, "localhost")) as zoo:
        said = await sentence(f"http://localhost:{zoo.port}/fine")
    assert said == (
        "WHIP offer (POST http://localhost:PORT/fine): the server closed the connection without an answer: look into "
        "its log, or does it want TLS"
    )


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("ftp://host/", "'ftp://host/' is not an HTTP address: write it like https://host/path"),
        ("host:80/x", "'host:80/x' is not an HTTP address: write it like https://host/path"),
        ("https:///x", "'https:///x' names no host: write it like https://host/path"),
        ("https://h:99999/", "port 99999 of 'https://h:99999/' does not exist: give 1 to 65535"),
        (
            "https://me:planted@h/?pin=planted",
            "'https://***@h/?pin=***' holds a name or password: give a token instead, as env:NAME or file:PATH",
        ),
    ],
)
def test_urls_that_cannot_be_called(url, expected):
    with pytest.raises(BadInputError) as caught:
        parse_url(url)
    assert str(caught.value) == expected


async def test_headers_that_cannot_be_sent():
    client = client_of()
    with pytest.raises(BadInputError) as caught:
        await client.exchange("offer", "GET", "http://127.0.0.1:1/", headers={"X-Name": "a\r\nb"})
    assert str(caught.value) == "the header 'X-Name' holds characters HTTP cannot send: use plain ASCII"


def test_ca_files_that_vouch_for_nothing(tmp_path):
    empty = tmp_path / "empty.pem"
    empty.write_text("nothing")
    with pytest.raises(BadInputError) as caught:
        tls_context(empty)
    assert str(caught.value) == f"the CA file '{empty}' holds no certificate: give one in PEM form"
    with pytest.raises(BadInputError) as caught:
        tls_context(tmp_path / "none.pem")
    assert str(caught.value) == f"the CA file '{tmp_path / 'none.pem'}' cannot be read: No such file or directory"


@pytest.fixture(scope="module")
def authority():
    return Authority()


@pytest.fixture(scope="module")
def ca_file(authority, tmp_path_factory):
    """One for all: a context of it is made once."""
    return authority.write(tmp_path_factory.mktemp("ca") / "ca.pem")
