"""Links from measurements: what a ping, irtt or a capture saw, as a link line with its error.

Read in this order: ``series`` (what every reader leaves), ``pings`` and ``oneway`` and ``read`` (files), ``losses`` and
``shapes`` (models), ``fitted`` (the line, and proof that it does what was measured).
"""

from rtcprobe.fit.fitted import Fitted, Row, as_trace, fit
from rtcprobe.fit.read import read_measured
from rtcprobe.fit.series import Measured, Series

__all__ = ["Fitted", "Measured", "Row", "Series", "as_trace", "fit", "read_measured"]
