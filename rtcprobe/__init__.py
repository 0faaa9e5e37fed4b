"""rtcprobe: a mouth speaks markers, a link harms them, playout smooths them, an ear hears them; a verdict judges."""

__version__ = "0.1.0"
