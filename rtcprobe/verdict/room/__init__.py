"""What is said of a room: figures of several ways at once, made of accounts, joins and what happened.

Facts:
    Every pair of a room is a way with an account, and every figure here is arithmetic on accounts: a result that was
    stored says the same as the run that made it.

Rules:
    1. A room is three or more: of two, accounts and joins say everything.
    2. Who hosts and who listens is the scenario's word (``parties.NAME.role``); figures by role exist where it says it.
    3. What a listener never heard is never, later than any limit; who was not there was not waiting.
"""

from rtcprobe.verdict.room.figures import room_of
from rtcprobe.verdict.room.hour import Hour, hour
from rtcprobe.verdict.room.matrix import Matrix, level, matrix, worst_pairs
from rtcprobe.verdict.room.people import HOSTS, Person, people

__all__ = ["HOSTS", "Hour", "Matrix", "Person", "hour", "level", "matrix", "people", "room_of", "worst_pairs"]
