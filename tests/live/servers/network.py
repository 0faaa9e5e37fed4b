"""A network of the tests' own: nothing that listens can be reached from outside, no port is taken by anybody else.

Facts:
    1. Janus and libnice gather no candidate on the loopback device, so it alone does not do. One end of a veth pair
       carries the address that servers and probe share; its packets never leave the kernel.
    2. A network namespace entered by this process (``unshare``) holds for it and all it starts, and is gone with them.
       Threads that run already stay outside, so it is entered before any test starts one that talks.
    3. Without root the kernel may allow the same inside a user namespace; if it does not, the machine's own address is
       used, whatever it is. That too stays on this machine: the kernel hands packets to itself.

Source: unshare(2), veth(4), user_namespaces(7).
"""

from __future__ import annotations

import ctypes
import os
import shutil
import socket
import subprocess
from dataclasses import dataclass
from pathlib import Path

__all__ = ["ADDRESS", "LiveNetwork", "enter"]

ADDRESS = "10.99.0.1"
DEVICE = "rp0"
CLONE_NEWUSER = 0x1000_0000
CLONE_NEWNET = 0x4000_0000


@dataclass(frozen=True, slots=True)
class LiveNetwork:
    """Where servers and probe meet: an ``address`` not the loopback's, on ``device``; ``own``: nobody else's."""

    address: str
    device: str
    own: bool


def enter() -> LiveNetwork | None:
    """Move this process into a network of its own; failing that, name the machine's address; None if it has none."""
    if shutil.which("ip") is not None and _unshare():
        for command in (
            "link set lo up",
            f"link add {DEVICE} type veth peer name {DEVICE}peer",
            f"addr add {ADDRESS}/24 dev {DEVICE}",
            f"link set {DEVICE} up",
            f"link set {DEVICE}peer up",
        ):
            subprocess.run(["ip", *command.split()], check=True, capture_output=True)
        return LiveNetwork(ADDRESS, DEVICE, own=True)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))  # sends nothing: asks the kernel which address it would use
        except OSError:
            return None
        address = probe.getsockname()[0]
    # The kernel short-cuts packets to its own addresses through the loopback device.
    return None if address.startswith("127.") else LiveNetwork(address, "lo", own=False)


def _unshare() -> bool:
    libc = ctypes.CDLL(None, use_errno=True)
    if os.geteuid() == 0:
        return libc.unshare(CLONE_NEWNET) == 0
    user, group = os.geteuid(), os.getegid()
    if libc.unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0:
        return False
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {user} 1")
    Path("/proc/self/gid_map").write_text(f"0 {group} 1")
    return True
