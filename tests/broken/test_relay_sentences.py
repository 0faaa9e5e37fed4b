import csv
import json
import socket
import threading

import pytest

from rtcprobe.cli.relay import _links
from rtcprobe.errors import BadInputError

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
            ("--listen", "127.0.0.1:0", *TO, "--link", "stpe"),
            "--link: 'stpe' is no link, and no scenario's name: did you mean step?",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, *LINK, "--back-link", "step"),
            "--back-link: 'step' names both ways of a link: give it to --link, and leave --back-link out",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, *LINK, "--back-link", "loss 130%"),
            "--back-link: loss 130% is impossible: give 0% to 100%",
        ),
        (
            ("--listen", "127.0.0.1:0", *LINK),
            "--to is missing: name the server, or let clients name it: --turn USER --credential env:NAME",
        ),
        (
            ("--listen", "127.0.0.1:0", *TO, *LINK, "--turn", "probe", "--credential", "env:HOME"),
            "--to 127.0.0.1:9 stands beside --turn: TURN clients say to whom themselves: leave one out",
        ),
        (
            ("--listen", "127.0.0.1:0", *LINK, "--turn", "probe"),
            "--turn and --credential go together: like --turn probe --credential env:TURN_PASSWORD",
        ),
        (
            ("--listen", "0.0.0.0:0", *LINK, "--turn", "probe", "--credential", "env:HOME"),
            "--listen 0.0.0.0 is every address: with --turn give the one that clients and their peers reach",
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


@pytest.mark.parametrize(("late", "code"), [("1s", 0), ("0.001us", 3)])
def test_what_was_done_to_the_packets_is_told_and_whether_the_machine_kept_up(rtcprobe, late, code, tmp_path):
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
    arguments = ("--listen", f"127.0.0.1:{port}", *TO, "--link", "delay 5ms", "--duration", "120ms", "--late", late)
    files = ("--json", str(tmp_path / "r.json"), "--csv", str(tmp_path / "r.csv"), "--html", str(tmp_path / "r.html"))
    left, out, err = rtcprobe("relay", *arguments, *files)
    ended.set()
    talking.join()
    assert left == code
    assert ("seconds in which it relayed: this machine is too busy for it" in err) == (code == 3)
    assert ("INVALID in one second (0 s)" in out) == (code == 3)
    document = json.loads((tmp_path / "r.json").read_text())
    assert document["harness"]["invalid_seconds"] == ([0] if code else [])
    (client,) = document["clients"]
    assert client["seconds"]["to_server"]["offered_packets"] == [client["to_server"]["achieved"]["offered"]]
    (row,) = csv.DictReader((tmp_path / "r.csv").read_text().splitlines())
    assert (row["way"], row["at_s"], row["valid"]) == ("to_server", "0", "no" if code else "yes")
    page = (tmp_path / "r.html").read_text()
    assert page.count("<svg") == 2  # wide and narrow
    assert ("INVALID" in page) == (code == 3)
    assert "one client, seed 1" in out
    assert "requested → achieved" in out
    assert "nobody listens at the server's port" in " ".join(out.split())


@pytest.mark.parametrize(
    ("link", "up", "down"),
    [
        ("1v1-social", 3, 3),
        ("step", 1, 1),
        ("delay 80ms rate 2mbit limit 200ms at 20s rate 600kbit", 1, 1),
    ],
)
def test_a_link_is_a_line_a_case_or_that_of_a_scenario(link, up, down):
    hops = _links(link, None)
    assert (len(hops[0]), len(hops[1])) == (up, down)


def test_a_link_is_a_file_of_its_keys_and_the_rate_in_force_is_known(tmp_path):
    path = tmp_path / "line.yaml"
    path.write_text("{delay: 40ms, rate: 2.5mbit, limit: 200ms, schedule: [{at: 20s, rate: 600kbit}], repeat: 50s}\n")
    (up,), _ = _links(str(path), "delay 10ms")
    assert [up.rate_bps_at(at_s) for at_s in (0.0, 19.9, 20.0, 49.0, 51.0, 71.0)] == [
        2.5e6, 2.5e6, 6e5, 6e5, 2.5e6, 6e5,
    ]  # fmt: skip
    path.write_text("[delay]\n")
    with pytest.raises(BadInputError, match=r"line\.yaml"):
        _links(str(path), None)
    with pytest.raises(BadInputError, match="cannot be read"):
        _links(str(tmp_path / "none.yaml"), None)


@pytest.mark.parametrize(
    ("more", "said"),
    [
        (("--late", "0s"), "--late 0s is impossible"),
        (("--json", "-", "--csv", "-"), "--json and --csv are both -"),
        (("--back-link", "dely 5ms"), "--back-link"),
    ],
)
def test_what_a_relay_cannot_mean_is_refused(rtcprobe, more, said):
    code, _, err = rtcprobe("relay", "--listen", "127.0.0.1:0", *TO, "--link", "delay 5ms", "--duration", "1ms", *more)
    assert code == 2
    assert said in err
