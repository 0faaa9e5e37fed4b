import json
import socket
import threading

import pytest

TO = ("--to", "127.0.0.1:9")
LINK = ("--link", "delay 1ms")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--listen", "127.0.0.1", *TO, *LINK),
            "--listen '127.0.0.1' is not HOST:PORT: write it like 127.0.0.1:5000 or [::1]:5000",
        ),
        (("--listen", "127.0.0.1:x", *TO, *LINK), "--listen '127.0.0.1:x' has no port: write it like 127.0.0.1:5000"),
        (
            ("--listen", "127.0.0.1:0", "--to", "nohost.invalid:5000", *LINK),
            "--to: the name 'nohost.invalid' does not resolve: check it, or write an address",
        ),
        (
            ("--listen", "127.0.0.1:0", "--to", "127.0.0.1:0", *LINK),
            "--to '127.0.0.1:0' has no port: name the server's",
        ),
        (
            ("--listen", "127.0.0.1:5", "--to", "127.0.0.1:5", *LINK),
            "--listen and --to are both 127.0.0.1:5: listen at another port",
        ),
        (
            ("--listen", "203.0.113.7:0", *TO, *LINK),
            "cannot listen at 203.0.113.7:0, Cannot assign requested address: give an address of this machine",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, "--link", "los 1%"),
            "--link: link key 'los' is not known: did you mean loss?",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, *LINK, "--back-link", "loss 130%"),
            "--back-link: loss 130% is impossible: give 0% to 100%",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, *LINK, "--duration", "0s"),
            "--duration 0s is impossible: give more than 0s, 720h at most",
        ),
    ],
)
def test_what_cannot_be_relayed_is_refused_in_a_sentence(rtcprobe, arguments, said):
    code, out, err = rtcprobe("relay", *arguments)
    assert (code, out, err) == (2, "", f"rtcprobe: {said}\n")


def test_a_port_in_use_is_said(rtcprobe):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        code, _, err = rtcprobe("relay", "--listen", f"127.0.0.1:{port}", *TO, *LINK)
    fact = f"cannot listen at 127.0.0.1:{port}, Address already in use"
    assert (code, err) == (2, f"rtcprobe: {fact}: take another port, or 0 for any free one\n")


def test_a_relay_nobody_used_measured_nothing_and_says_where_to_send(rtcprobe):
    code, out, err = rtcprobe("relay", "--listen", "127.0.0.1:0", *TO, *LINK, "--duration", "1ms", "--json", "-")
    assert code == 3
    assert json.loads(out)["clients"] == []
    assert "nothing was relayed: let a client send to 127.0.0.1:" in err


@pytest.mark.parametrize(("late_s", "code"), [(60.0, 0), (-1.0, 3)])
def test_what_was_done_to_the_packets_is_told_and_whether_the_machine_kept_up(rtcprobe, monkeypatch, late_s, code):
    monkeypatch.setattr("rtcprobe.runtime.relay.LATE_S", late_s)  # what is allowed here, not how busy the machine is
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]

    def talk():
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            while not ended.wait(0.01):
                client.sendto(b"hello", ("127.0.0.1", port))

    ended = threading.Event()
    talking = threading.Thread(target=talk)
    talking.start()
    arguments = ("--listen", f"127.0.0.1:{port}", *TO, "--link", "delay 5ms", "--duration", "120ms")
    left, out, err = rtcprobe("relay", *arguments)
    ended.set()
    talking.join()
    assert left == code
    assert ("ms late at p95: this machine is too busy for it" in err) == (code == 3)
    assert "one client, seed 1" in out
    assert "requested → achieved" in out
    assert "nobody listens at the server's port" in " ".join(out.split())
