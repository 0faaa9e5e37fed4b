"""A real Chromium as an end of a call: its page as it is, its packets through our link, its clock read to 0.1 ms."""
