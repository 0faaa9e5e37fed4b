"""The receiver a user really has: what it plays, and when, out of the packets that arrived."""
