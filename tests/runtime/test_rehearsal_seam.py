"""What is rehearsed is what a join does, and works."""

from itertools import islice

import aiortc.rtcdtlstransport
import pytest

from rtcprobe.runtime.aiortc_seam import SeamError
from rtcprobe.runtime.rehearsal_seam import _contexts, rehearsals


def test_a_rehearsed_handshake_ends_with_keys_for_srtp(monkeypatch):
    keys = []
    profile = aiortc.rtcdtlstransport.SRTPProtectionProfile
    taken = profile.get_key_and_salt
    monkeypatch.setattr(profile, "get_key_and_salt", lambda *given: keys.append(taken(*given)) or keys[-1])
    handshakes, *_ = rehearsals()
    steps = list(islice(handshakes, 15))
    assert len(set(steps[:7])) == 6  # five flights, and the keys of either side
    assert steps[:7] == steps[7:14]
    client, server, *others = keys[::2]  # each session takes them for one way, then for the other
    assert client == server
    assert others == [others[0]] * 2 != [client] * 2  # each handshake is a new one


def test_everything_can_be_rehearsed_again_and_again():
    for each in rehearsals():
        first = next(each)
        assert first in set(islice(each, 20))


def test_a_name_that_moved_is_named(monkeypatch):
    monkeypatch.delattr("aiortc.RTCCertificate._create_ssl_context")
    with pytest.raises(SeamError, match=r"RTCCertificate\._create_ssl_context is gone"):
        _contexts.__wrapped__()
