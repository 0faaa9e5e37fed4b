"""Two clocks for one program: the virtual loop, the real loop, the network between hosts, and the aiortc seam."""
