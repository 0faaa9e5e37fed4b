"""The server and its sockets: half a request, an answer nobody takes, spent descriptors, an early signal."""

import asyncio
import errno
import logging
import os
import signal
import socket

import pytest

from rtcprobe.exporter import server
from rtcprobe.exporter.web import make_app
from rtcprobe.exporter.webconfig import Gate

HEAD = b"GET /-/healthy HTTP/1.1\r\nhost: x\r\n"


@pytest.fixture
def serving(make_fleet):
    """Serve on a free port while ``visit(port)`` goes on."""

    def run(visit):
        async def main():
            fleet = make_fleet(None)
            listener = server.bind("127.0.0.1:0")
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
            doors = server._Doors(None)
            app = make_app(fleet, lambda: Gate({}), fleet.reload)
            it = server._Server(server._uvicorn_config(app, doors))
            task = asyncio.ensure_future(it.serve(sockets=[listener]))
            while not it.started:  # noqa: ASYNC110 - it has no event for it
                await asyncio.sleep(0)
            try:
                async with asyncio.timeout(20.0):
                    return await visit(listener.getsockname()[1])
            finally:
                it.should_exit = True
                await task
                listener.close()

        return asyncio.run(main())

    return run


async def ask(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(HEAD + b"connection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("said", [b"", HEAD], ids=["silent", "half a head"])
def test_connections_that_say_nothing_keep_nobody_out(serving, said):
    async def visit(port):
        held = []
        for _ in range(server.MOST_CONNECTIONS + 50):
            _, writer = pair = await asyncio.open_connection("127.0.0.1", port)
            writer.write(said)
            held.append(pair)
        answer = await ask(port)
        left = [await reader.read(1) for reader, _ in held[:100]]  # those that waited longest
        for _, writer in held:
            writer.close()
        return answer, left

    answer, left = serving(visit)
    assert answer.startswith(b"HTTP/1.1 200 OK")
    assert left == [b""] * 100


def test_a_connection_that_is_kept_alive_is_one_that_waits(serving):
    async def visit(port):
        held = []
        for _ in range(server.MOST_CONNECTIONS + 50):
            reader, writer = pair = await asyncio.open_connection("127.0.0.1", port)
            writer.write(HEAD + b"\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            held.append(pair)
        answer = await ask(port)
        for _, writer in held:
            writer.close()
        return answer

    assert serving(visit).startswith(b"HTTP/1.1 200 OK")


def test_an_answer_that_nobody_takes_is_dropped(monkeypatch, serving):
    monkeypatch.setattr(server, "TAKEN_S", 0.05)

    async def visit(port):
        loop = asyncio.get_running_loop()
        with socket.socket() as taker:
            taker.setblocking(False)
            taker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            await loop.sock_connect(taker, ("127.0.0.1", port))
            try:
                while True:  # pages and pages, and not a byte of them is read
                    await loop.sock_sendall(taker, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n" * 20)
            except (ConnectionResetError, BrokenPipeError):
                return "dropped"

    assert serving(visit) == "dropped"


def test_spent_descriptors_are_told_once_in_a_while_and_other_complaints_as_ever(caplog):
    class Clock:
        now_s = 0.0
        told = 0

        def time(self):
            return self.now_s

        def default_exception_handler(self, _context):
            self.told += 1

    loop, complain = Clock(), server._Complaints()
    for now_s in (0.0, 0.0, 1.0, 59.0, 61.0, 62.0):
        loop.now_s = now_s
        for number in (errno.EMFILE, errno.ENFILE):
            complain(loop, {"message": "accept", "exception": OSError(number, os.strerror(number))})
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert "Too many open files" in caplog.text
    complain(loop, {"message": "other", "exception": ValueError()})
    complain(loop, {"message": "without"})
    assert loop.told == 2


def test_a_hang_up_that_comes_too_early_is_kept_for_later_and_ends_nothing(monkeypatch):
    from rtcprobe.cli.serve import serve

    told = []

    async def stand_in(_config, _listener, _web_config, *, told_before):
        told.append(told_before())
        os.kill(os.getpid(), signal.SIGHUP)  # before the server takes its signals
        told.append(told_before())

    monkeypatch.setattr(server, "serve", stand_in)
    before = signal.getsignal(signal.SIGHUP)
    assert serve.main(["--config", "x", "--listen", "127.0.0.1:0"], standalone_mode=False) == 0
    assert told == [False, True]
    assert signal.getsignal(signal.SIGHUP) is before
