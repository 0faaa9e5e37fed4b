"""The real network as a stream finds it: names looked up, addresses tried in turn, plain sockets connected.

Rules:
    1. Addresses and ``localhost`` need no look-up (RFC 6761 §6.3).
    2. Of several addresses the first that answers is taken, each next one tried 250 ms after the one before
       (RFC 8305 §8), in the order of the system; a refused one passes its turn at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import socket
import threading
from collections.abc import Sequence

__all__ = ["StreamError", "connected", "known_addresses", "look_up", "needs_dns"]

# Happy Eyeballs' Connection Attempt Delay, RFC 8305, section 5.
_NEXT_ADDRESS_S = 0.250


class StreamError(OSError):
    """Why no stream came about: ``kind`` is ``"dns"``, ``"refused"``, ``"unreachable"`` or ``"resolver"``."""

    def __init__(self, kind: str, reason: str) -> None:
        super().__init__(reason)
        self.kind = kind
        self.reason = reason


def needs_dns(host: str) -> bool:
    """Return whether reaching ``host`` begins with a DNS query (rule 1)."""
    return known_addresses(host) is None


async def look_up(loop: asyncio.AbstractEventLoop, host: str, port: int) -> list[str]:
    """Ask the system's resolver, in a thread that holds nobody up at the end: a dead resolver takes half a minute."""
    answer: asyncio.Future[list[str]] = loop.create_future()

    def settle(found: list[str] | StreamError) -> None:
        if answer.done():
            return
        if isinstance(found, StreamError):
            answer.set_exception(found)
        else:
            answer.set_result(found)

    def work() -> None:
        found: list[str] | StreamError
        try:
            entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
            found = list(dict.fromkeys(str(entry[4][0]) for entry in entries))
        except socket.gaierror as error:
            found = StreamError("dns", error.strerror or str(error))
        except (OSError, UnicodeError) as error:
            found = StreamError("dns", str(error))
        with contextlib.suppress(RuntimeError):  # the loop may be closed by now
            loop.call_soon_threadsafe(settle, found)

    threading.Thread(target=work, name=f"look up {host}", daemon=True).start()
    return await answer


def known_addresses(host: str) -> list[str] | None:
    """Return where ``host`` is when no resolver need be asked (rule 1), else None."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return ["127.0.0.1", "::1"]
    try:
        ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return [host]


async def connected(addresses: Sequence[str], port: int) -> socket.socket:
    """Return a socket connected to the first of ``addresses`` that answers (rule 2)."""
    todo = list(addresses)
    trying: set[asyncio.Task[socket.socket]] = set()
    faults: list[StreamError] = []
    try:
        while todo or trying:
            if todo:
                trying.add(asyncio.ensure_future(_connect(todo.pop(0), port)))
            timeout_s = _NEXT_ADDRESS_S if todo else None
            done, trying = await asyncio.wait(trying, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                error = task.exception()
                if error is None:
                    done.discard(task)
                    # Others that answered in the same turn of the loop are closed as those that are still
                    # under way.
                    trying |= done
                    return task.result()
                if not isinstance(error, StreamError):
                    raise error
                faults.append(error)
        # The first to fail is as a rule the system's first choice: what was wrong there is worth a user's look.
        raise faults[0]
    finally:
        for task in trying:
            task.cancel()
            task.add_done_callback(_drop_connected)


async def _connect(address: str, port: int) -> socket.socket:
    where = f"[{address}]:{port}" if ":" in address else f"{address}:{port}"
    try:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        plain = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        plain.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # or a body waits 40 ms for its header's ACK
    except OSError as error:
        raise StreamError("unreachable", f"{where}: {error.strerror or error}") from None
    try:
        plain.setblocking(False)
        await asyncio.get_running_loop().sock_connect(plain, (address, port))
    except ConnectionRefusedError:
        plain.close()
        raise StreamError("refused", where) from None
    except OSError as error:
        plain.close()
        raise StreamError("unreachable", f"{where}: {error.strerror or error}") from None
    except BaseException:
        plain.close()
        raise
    return plain


def _drop_connected(task: asyncio.Task[socket.socket]) -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
