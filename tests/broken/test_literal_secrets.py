"""A secret written out on the command line is refused with the cure, and not repeated."""

from urllib.parse import quote

import pytest

VALUE = "pl@nted-S3cret/value+1"
CURE = "put it into an environment variable and write env:NAME, or into a file and write file:PATH"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("--set", f"target.token={VALUE}"),
            f"is written out: {CURE}",
        ),
        (
            ("--set", f"ice.servers=[{{urls: 'turn:host', username: me, credential: '{VALUE}'}}]"),
            f"is written out: {CURE}",
        ),
        (
            ("--target", f"sdp+https://me:{quote(VALUE, safe='')}@host/"),
            "holds a name or password: give a token instead, as env:NAME or file:PATH",
        ),
    ],
)
def test_a_literal_on_the_command_line_is_refused_and_not_repeated(rtcprobe, arguments, said):
    target = () if "--target" in arguments else ("--target", "sdp+https://host.invalid/")
    code, out, err = rtcprobe("run", "1v1-social", "--real-time", *target, *arguments)
    assert (code, out) == (2, "")
    assert VALUE not in err
    assert quote(VALUE, safe="") not in err
    assert err.endswith(f"{said}\n")
