"""What is rehearsed is what a join does, and works."""

import aiortc.rtcdtlstransport
import pytest

from rtcprobe.runtime.aiortc_seam import SeamError
from rtcprobe.runtime.rehearsal_seam import rehearsals


def test_a_rehearsed_handshake_ends_with_keys_for_srtp(monkeypatch):
    keys = []
    profile = aiortc.rtcdtlstransport.SRTPProtectionProfile
    taken = profile.get_key_and_salt
    monkeypatch.setattr(profile, "get_key_and_salt", lambda *given: keys.append(taken(*given)) or keys[-1])
    handshake, *_ = rehearsals()
    handshake()
    handshake()
    assert len(keys) == 4
    assert keys[0] != keys[2]  # each handshake is a new one


def test_everything_can_be_rehearsed_again_and_again():
    for part in rehearsals() * 3:
        part()


def test_a_name_that_moved_is_named(monkeypatch):
    monkeypatch.delattr("aiortc.RTCCertificate._create_ssl_context")
    with pytest.raises(SeamError, match=r"RTCCertificate\._create_ssl_context is gone"):
        rehearsals.__wrapped__()
