"""Hearing: from what a call left behind to an account of every marker. Pure: a recording in, figures out.

Read in this order: ``speech`` (what is said), ``relate`` (whose frames came through a server), ``playing`` (what a
loudspeaker makes of them), ``frames`` (what became of each), ``ears`` and ``figures`` (markers found, delays taken
apart), ``pooled`` (several calls into one account).
"""
