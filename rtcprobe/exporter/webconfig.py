"""TLS and basic auth from a web config file, in the format of Prometheus' own servers (exporter-toolkit).

It looks like this; the hash is what ``htpasswd -nBC 12 prometheus`` prints after the colon::

    tls_server_config: {cert_file: server.crt, key_file: server.key}
    basic_auth_users: {prometheus: $2b$12$…}

Facts:
    bcrypt takes 50 ms and more on purpose, twice as much for each step of its cost: 2¹² rounds take 0.2 s, 2³¹ a day.
    So what was right or wrong once is remembered, as exporter-toolkit does: a keyed digest of the header, never the
    password. A user who is not there costs as much as one who is.

Rules:
    1. Whoever brings no user and password is refused at once: only credentials are worth a hash.
    2. Hashes are made in a thread of their own, a few waiting at most: strangers who guess take no time from runs, and
       those who are remembered come in whatever waits.
    3. Nobody who came in is asked again after a reload that left the user as it was.

Source: prometheus/exporter-toolkit, docs/web-configuration.md.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import os
import re
import ssl
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final, Literal

import bcrypt

from rtcprobe.errors import BadInputError
from rtcprobe.strictyaml import load_yaml
from rtcprobe.textfiles import need_regular, read_text

__all__ = ["Admission", "Gate", "WebConfig", "read_web_config"]

_TLS_KEYS: Final = ("cert_file", "key_file", "client_auth_type", "client_ca_file", "min_version", "max_version")
_VERSIONS: Final = {"TLS12": ssl.TLSVersion.TLSv1_2, "TLS13": ssl.TLSVersion.TLSv1_3}
_CLIENT_AUTH: Final = {
    "NoClientCert": ssl.CERT_NONE,
    "VerifyClientCertIfGiven": ssl.CERT_OPTIONAL,
    "RequireAndVerifyClientCert": ssl.CERT_REQUIRED,
}
# Of right and of wrong each: users are few, and guesses push out only guesses.
_MOST_REMEMBERED: Final = 100
_MOST_WAITING: Final = 8
"""Credentials being hashed or waiting for it; at the highest cost allowed, the last waits some seconds."""
# hash = "$2" ( "a" / "b" / "x" / "y" ) "$" 2DIGIT "$" 22salt 31digest      crypt's base64: A-Z a-z 0-9 . /
_HASH: Final = re.compile(rb"\$2[abxy]\$(?P<cost>\d\d)\$[./A-Za-z0-9]{53}")
_COSTS: Final = range(4, 15)
"""bcrypt's least, and what takes about a second on one core: beyond that a login is a denial of service."""
_LONGEST_PASSWORD_BYTES: Final = 72  # bcrypt's own limit: the rest would be ignored


class WebConfig:
    """A web config file, understood: ``users`` by name with their bcrypt hashes, and the TLS context, None without."""

    def __init__(self, users: Mapping[str, bytes], tls: ssl.SSLContext | None) -> None:
        self.users = dict(users)
        self.tls = tls


def read_web_config(path: Path) -> WebConfig:
    """Return the web config in the file at ``path``; files it names are seen from its folder.

    Raises:
        BadInputError: it cannot be read, or says something that cannot be meant. No hash is quoted.
    """
    try:
        text = read_text(path)
    except (OSError, UnicodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise BadInputError(f"web config {path} cannot be read", f"{reason}") from error
    try:
        written = load_yaml(text) if text.strip() else {}
        top = _known(written, "it", ("tls_server_config", "basic_auth_users"))
        users = _users(top.get("basic_auth_users") or {})
        tls = _tls(top["tls_server_config"], path.parent) if top.get("tls_server_config") else None
    except BadInputError as error:
        raise error.within(f"web config {path}") from error
    return WebConfig(users, tls)


Admission = Literal["admitted", "refused", "busy"]

# One thread, and one core at most, whoever guesses (rule 2).
_hashing: Final = ThreadPoolExecutor(max_workers=1, thread_name_prefix="password")


class Gate:
    """Who may come in, by the Authorization header of basic auth; everybody where there are no users."""

    def __init__(self, users: Mapping[str, bytes]) -> None:
        self._users = dict(users)
        self._key = os.urandom(32)
        self._right: dict[bytes, str] = {}
        self._wrong: dict[bytes, str] = {}
        self._waiting = 0

    def turn(self, users: Mapping[str, bytes]) -> None:
        """Let these be the users; those who stay as they were are remembered."""
        # A new hash of the same password is a new user here: it was changed for a reason.
        stay = {user for user, known in users.items() if self._users.get(user) == known}
        self._right = {digest: user for digest, user in self._right.items() if user in stay}
        # What was wrong may be right now.
        self._wrong = {}
        self._users = dict(users)

    async def admits(self, authorization: str) -> Admission:
        """Return whether the header names a user with the right password; ``"busy"`` where too many are asking."""
        if not self._users:
            return "admitted"
        credentials = _credentials(authorization)
        if credentials is None:
            return "refused"
        # Keyed and of the whole header: memory holds no password, and the digest of one process is nothing to another.
        digest = hashlib.blake2b(authorization.encode(errors="replace"), key=self._key).digest()
        if digest in self._right:
            return "admitted"
        if digest in self._wrong:
            return "refused"
        if self._waiting >= _MOST_WAITING:
            return "busy"
        user, password = credentials
        users = self._users
        self._waiting += 1
        try:
            right = await asyncio.get_running_loop().run_in_executor(_hashing, _matches, users, user, password)
        finally:
            self._waiting -= 1
        # A reload came while it was hashed: what holds of the old users is not remembered of the new.
        if users is self._users:
            remembered = self._right if right else self._wrong
            if len(remembered) >= _MOST_REMEMBERED:
                remembered.pop(next(iter(remembered)))
            remembered[digest] = user
        return "admitted" if right else "refused"


def _matches(users: Mapping[str, bytes], user: str, password: bytes) -> bool:
    # Somebody's hash for a user who is not there: answers then take as long for unknown names as for known ones.
    known = users.get(user, next(iter(users.values())))
    return bcrypt.checkpw(password[:_LONGEST_PASSWORD_BYTES], known) and user in users


def _credentials(authorization: str) -> tuple[str, bytes] | None:
    """Return the user and the password; None where the header holds none (RFC 7617)."""
    scheme, _, encoded = authorization.partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        user, colon, password = base64.b64decode(encoded.strip(), validate=True).partition(b":")
        return (user.decode(), password) if colon else None
    except (binascii.Error, UnicodeDecodeError, ValueError):
        return None


def _known(written: object, place: str, keys: tuple[str, ...]) -> Mapping[str, Any]:
    if not isinstance(written, Mapping):
        raise BadInputError(f"{place} is not a set of keys", f"it has the keys {', '.join(keys)}")
    for key in written:
        if key not in keys:
            raise BadInputError(f"{key} is not known", f"rtcprobe understands {', '.join(keys)}")
    return written


def _users(written: object) -> dict[str, bytes]:
    if not isinstance(written, Mapping):
        raise BadInputError("basic_auth_users is not a set of keys", "write each user with a bcrypt hash")
    users: dict[str, bytes] = {}
    for name, hashed in written.items():
        encoded = str(hashed).encode(errors="replace")
        found = _HASH.fullmatch(encoded)
        if found is None or not _is_understood(encoded):
            fact = f"basic_auth_users.{name} is not a bcrypt hash"
            raise BadInputError(fact, "make one with htpasswd -nBC 12 USER")
        cost = int(found["cost"])
        if cost not in _COSTS:
            fact = f"basic_auth_users.{name} has a bcrypt hash of cost {cost}"
            raise BadInputError(fact, f"give {_COSTS[0]} to {_COSTS[-1]}, as htpasswd -nBC 12 USER does")
        users[str(name)] = encoded
    return users


def _is_understood(hashed: bytes) -> bool:
    """Return whether bcrypt understands a hash; asked at its least cost, which takes a millisecond."""
    try:
        bcrypt.checkpw(b"", hashed[:4] + b"04" + hashed[6:])
    except ValueError:
        return False
    return True


def _tls(written: object, folder: Path) -> ssl.SSLContext:
    keys = _known(written, "tls_server_config", _TLS_KEYS)
    for needed in ("cert_file", "key_file"):
        if not isinstance(keys.get(needed), str) or not keys[needed]:
            raise BadInputError(f"tls_server_config.{needed} is missing", "give both cert_file and key_file")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    # exporter-toolkit's default is TLS 1.2, too.
    context.minimum_version = _choice(keys, "min_version", _VERSIONS, "TLS12")
    if "max_version" in keys:
        context.maximum_version = _choice(keys, "max_version", _VERSIONS, "TLS13")
    try:
        for key in ("cert_file", "key_file"):
            # A pipe or a device would be waited for, for ever.
            need_regular(folder / keys[key])
        context.load_cert_chain(folder / keys["cert_file"], folder / keys["key_file"])
    except (OSError, ssl.SSLError) as error:
        raise BadInputError(
            f"certificate {keys['cert_file']} and its key cannot be used", error.strerror or str(error)
        ) from error
    context.verify_mode = _choice(keys, "client_auth_type", _CLIENT_AUTH, "NoClientCert")
    if keys.get("client_ca_file"):
        try:
            need_regular(folder / str(keys["client_ca_file"]))
            context.load_verify_locations(folder / str(keys["client_ca_file"]))
        except (OSError, ssl.SSLError) as error:
            raise BadInputError(f"client_ca_file {keys['client_ca_file']} cannot be used", str(error)) from error
    elif context.verify_mode != ssl.CERT_NONE:
        raise BadInputError("client_auth_type asks for certificates that nobody signs", "give client_ca_file")
    return context


def _choice(keys: Mapping[str, Any], key: str, known: Mapping[str, Any], default: str) -> Any:
    value = keys.get(key, default)
    if value not in known:
        raise BadInputError(f"tls_server_config.{key} {value!r} is not known", f"use {' or '.join(known)}")
    return known[value]
