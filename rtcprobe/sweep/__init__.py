"""Thousands of calls: a grid of situations times seeds, done once, on all cores or on a cluster, and what it shows.

Read in this order: ``grid`` (what is asked), ``job`` (one of them done), ``workers`` (many at once), ``book`` (nothing
lost, nothing twice), ``surface`` (what it shows).
"""

from rtcprobe.sweep.book import Book, read_rows
from rtcprobe.sweep.grid import Grid, Task, read_grid
from rtcprobe.sweep.job import FIGURES
from rtcprobe.sweep.surface import Edge, Point, Surface, frontier, surface_of
from rtcprobe.sweep.workers import by_dask, by_processes, one_by_one

__all__ = [
    "FIGURES",
    "Book",
    "Edge",
    "Grid",
    "Point",
    "Surface",
    "Task",
    "by_dask",
    "by_processes",
    "frontier",
    "one_by_one",
    "read_grid",
    "read_rows",
    "surface_of",
]
