"""A zoo of servers on this machine, one cage a path: each misbehaves in its own way."""

import asyncio
import datetime as dt
import ipaddress
import ssl
from contextlib import asynccontextmanager, suppress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SDP = "v=0\r\n"


def answer(status="200 OK", body="", **headers):
    data = body.encode() if isinstance(body, str) else body
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(data)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join([*lines, "", ""]).encode() + data


class Zoo:
    """What each cage answers; ``seen`` keeps every request's head and body."""

    def __init__(self):
        self.seen = []
        self.port = 0
        self.elsewhere = 0
        self.connections = 0

    async def keep(self, reader, writer):
        self.connections += 1
        with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self.serve(reader, writer):
                await writer.drain()
        writer.close()

    async def serve(self, reader, writer):
        first = await reader.readexactly(1)
        if first == b"\x16":  # a TLS handshake: servers say so in plain HTTP
            writer.write(answer("400 Bad Request"))
            return False
        head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
        fields = dict(line.lower().split(": ", 1) for line in head.split("\r\n")[1:] if line)
        body = await reader.readexactly(int(fields.get("content-length", 0)))
        self.seen.append((head, body))
        path = head.split()[1].split("?")[0]
        cage = getattr(self, path.strip("/").split("/")[0].replace("-", "_") or "fine")
        reply = cage(head)
        if reply is not None:
            writer.write(reply)
            return b"\r\nContent-Length: 99\r\n" not in reply
        if path in {"/never", "/stalls"}:
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\nv=0" if path == "/stalls" else b"")
            await reader.read()
        if path == "/huge":
            with suppress(ConnectionError):
                writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for _ in range(2_000):
                    writer.write(b"2710\r\n" + b"x" * 10_000 + b"\r\n")
                    await writer.drain()
        return False

    def fine(self, _head):
        return answer("201 Created", SDP, Content_Type="application/sdp", Location="/session/1?token=s3")

    def echo(self, _head):
        return answer(body=self.seen[-1][1])

    def never(self, _head):
        return None

    stalls = closes = never

    def huge(self, _head):
        return None

    def announced(self, _head):
        return answer(body="").replace(b"Content-Length: 0", b"Content-Length: 20000000")

    def middle(self, _head):
        return b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\nv=0"

    def garbage(self, _head):
        return b"SSH-2.0-OpenSSH_9.2\r\n\r\n"

    def html(self, _head):
        page = "<!doctype html><style>b{}</style><title>Welcome</title>\n<b>to nginx\x1b[31m!</b>"
        return answer(body=page, Content_Type="text/html; charset=utf-8")

    def gzip(self, _head):
        return answer(body="v=0", Content_Encoding="gzip")

    def fields(self, _head):
        return answer(body="", **{f"X-{index}": index for index in range(300)})

    def long(self, _head):
        return answer(body="", X="x" * 200_000)

    def round(self, _head):
        return answer("307 Temporary Redirect", Location="/round?access_token=abc")

    def found(self, _head):
        return answer("302 Found", Location="/fine")

    def nowhere(self, _head):
        return answer("308 Permanent Redirect")

    def mailto(self, _head):
        return answer("307 Temporary Redirect", Location="mailto:someone@example.org")

    def away(self, _head):
        return answer("307 Temporary Redirect", Location=f"http://127.0.0.1:{self.elsewhere}/forbidden")

    def moved(self, _head):
        return answer("307 Temporary Redirect", Location="/fine")

    def downgrade(self, _head):
        return answer("307 Temporary Redirect", Location=f"http://localhost:{self.elsewhere}/fine")

    def forbidden(self, head):
        token = next((line for line in head.split("\r\n") if line.lower().startswith("authorization")), "no token")
        return answer("403 Forbidden", f"<h1>go away</h1>{token}", Content_Type="text/html")

    def missing(self, _head):
        return answer("404 Not Found", "no such room")

    def broken(self, _head):
        return answer("503 Service Unavailable", '{"error": {"code": 7, "message": "no media\\nworker"}}')

    def odd(self, _head):
        return answer("499 Custom")

    def binary(self, _head):
        return answer(body=b"\xff\xfe\x00")

    def no_location(self, _head):
        return answer("201 Created", SDP)


@asynccontextmanager
async def open_zoo(tls=None):
    zoo = Zoo()
    server = await asyncio.start_server(zoo.keep, "127.0.0.1", 0, ssl=tls, limit=1 << 20)
    zoo.port = zoo.elsewhere = server.sockets[0].getsockname()[1]
    try:
        yield zoo
    finally:
        server.close()
        await server.wait_closed()


class Authority:
    """A CA in memory; ``write`` puts its certificate where a client may read it."""

    def __init__(self):
        self.key = ec.generate_private_key(ec.SECP256R1())
        self.certificate = self._sign("rtcprobe test CA", self.key.public_key(), None)

    def write(self, path):
        path.write_bytes(self.certificate.public_bytes(serialization.Encoding.PEM))
        return path

    def server(self, folder, host, *, expired=False, self_signed=False):
        """Return a server's TLS context with a certificate for ``host``."""
        key = ec.generate_private_key(ec.SECP256R1())
        signer = Authority.__new__(Authority) if self_signed else self
        if self_signed:
            signer.key = key
        certificate = signer._sign(host, key.public_key(), host, expired=expired, own_name=self_signed)
        path = folder / f"{host}.{expired}.{self_signed}.pem"
        path.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
            + certificate.public_bytes(serialization.Encoding.PEM)
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(path)
        return context

    def _sign(self, name, public_key, host, *, expired=False, own_name=False):
        now = dt.datetime.now(dt.UTC)
        issuer = name if own_name else "rtcprobe test CA"
        builder = (
            x509.CertificateBuilder()
            .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)]))
            .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=2))
            .not_valid_after(now + dt.timedelta(days=-1 if expired else 1))
            .add_extension(x509.BasicConstraints(ca=host is None, path_length=None), critical=True)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()), critical=False)
        )
        if host is None:
            usage = dict.fromkeys(
                ("content_commitment", "key_encipherment", "data_encipherment", "key_agreement"), False
            )
            signing = x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
                **usage,
            )
            builder = builder.add_extension(signing, critical=True)
        else:
            try:
                alternative = x509.IPAddress(ipaddress.ip_address(host))
            except ValueError:
                alternative = x509.DNSName(host)
            builder = builder.add_extension(x509.SubjectAlternativeName([alternative]), critical=False)
        return builder.sign(self.key, hashes.SHA256())
