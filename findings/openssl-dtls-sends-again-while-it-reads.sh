#!/usr/bin/env bash
# OpenSSL 3 by pyOpenSSL 26.4: a DTLS handshake whose timer nobody handles sends its flight again all the same, in a read.
#
# The documentation has two calls for retransmission: DTLSv1_get_timeout says when, DTLSv1_handle_timeout does it. Who keeps
# time himself, such as a simulation, an event loop of its own clock or a suspended program, leaves both alone and expects
# that nothing leaves but answers. But every call that reads asks the machine's clock, too: a second after the flight left, a
# read that finds nothing writes the flight again, and one that finds the peer's answer late is followed by a copy of what
# went before it. With a memory BIO the copy stands behind whatever is taken out next, as if it were one datagram.
#
# Seen (pyOpenSSL 26.4.0, cryptography 50.0.2; nobody calls DTLSv1_handle_timeout):
#     a read at once: nothing more is sent
#     a read after 1.2 s: the first flight is sent again
#     another 1.2 s later: nothing, its timer has doubled
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet 'pyOpenSSL==26.4.0' 'cryptography==50.0.2'
"$folder/venv/bin/python" - <<'PYTHON' | tee "$folder/seen"
import time

from OpenSSL import SSL

client = SSL.Connection(SSL.Context(SSL.DTLS_METHOD))
client.set_connect_state()


def sent():
    """Return what is sent by a call that has nothing to read: content type, handshake type and length of each datagram."""
    try:
        client.do_handshake()
    except SSL.WantReadError:
        pass
    try:
        data = client.bio_read(65536)
    except SSL.WantReadError:
        return None
    return data[0], data[13], len(data)


first = sent()
assert first[:2] == (22, 1), first  # a handshake record with a ClientHello, RFC 6347
print("a read at once:", "nothing more is sent" if sent() is None else "something is sent")
time.sleep(1.2)
again = sent()
print("a read after 1.2 s:", "the first flight is sent again" if again == first else again)
time.sleep(1.2)
print("another 1.2 s later:", "nothing, its timer has doubled" if sent() is None else "something is sent")
PYTHON
diff - "$folder/seen" <<'SEEN'
a read at once: nothing more is sent
a read after 1.2 s: the first flight is sent again
another 1.2 s later: nothing, its timer has doubled
SEEN
