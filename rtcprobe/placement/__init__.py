"""Where a vendor's edges should stand, for users by region and access: chosen with proof, verified by calls.

Read in this order: ``users`` (the question), ``delays`` (what a call takes beside the backbone), ``choosing`` (which
edges), ``answering`` (all together).
"""

from rtcprobe.placement.answering import Answer, Checked, Rule, answer
from rtcprobe.placement.users import Group, Question, read_question

__all__ = ["Answer", "Checked", "Group", "Question", "Rule", "answer", "read_question"]
