"""What a camera films and a viewer reads back, and the codecs between them. Pure: no clock, no network.

Read in this order: ``marker`` (a number in a picture), ``glass`` (the moving picture it is in), ``settings``,
``codec`` (VP8 and H.264), ``payload`` (their RTP payload formats), ``film`` (encoded before the call), ``shelf`` (kept
on disk), ``eye`` (what became of each frame). ``benchmarks/eye.py`` measures all of it.
"""
