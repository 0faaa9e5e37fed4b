"""A live WebRTC session: two peers, the signalling between them, and who is called."""
