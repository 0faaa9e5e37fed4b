"""A call without the stack: what two mouths say, through the links, to what arrives, as arithmetic on one agenda.

Facts:
    What is heard depends on the packets that arrive and on nothing else of a call. When they leave, how large they are
    and what else is in the links with them is known: frames end on a grid, headers have their sizes, reports and checks
    their intervals. So no ICE, no DTLS, no SRTP and no event loop is needed to make a ``Said`` and a ``Came``.

Rules:
    1. The stack's own ways are kept: the seeds of links, mouths and loudspeakers, the sizes on the wire, the order in
       which packets meet a link. On links without randomness both give the same packets at the same instants; on others
       the same law, for the stack draws more from its generators than a model does.
    2. What the stack sends beside the sound is sent: the handshake before it (so that sound begins when it would),
       reports and consent checks during it.
    3. Joins are not modelled: the handshake is here for its packets, not for its time.
    4. A path that dies in the middle of a call does not end it, as it would after half a minute in the stack.

Read in this order: ``wire`` (sizes), ``line`` (one way, its link and what is under way), ``agenda`` (what happens
when), ``party`` (who speaks, listens, reports and asks again), ``call`` (a pair of them for each two who meet).
"""

from rtcprobe.model.call import Modelled, Plan, Voice, place

__all__ = ["Modelled", "Plan", "Voice", "place"]
