"""``rtcprobe sweep``: a grid of situations, and what it shows."""
# ruff: noqa: PLC0415 - heavy imports wait until a command needs them

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from rtcprobe.cli.common import console
from rtcprobe.cli.outputs import need_places
from rtcprobe.errors import BadInputError, ExitCode

if TYPE_CHECKING:
    from rtcprobe.sweep import Task

__all__ = ["sweep"]

_EXIT_CODES = (
    "Exit codes: 0 every job done, 2 bad grid or usage, 3 a job could not be done, 130 interrupted (what was done is "
    "kept: the same command goes on)."
)


class _Default(click.Group):
    """``sweep GRID.yaml`` is ``sweep run GRID.yaml``."""

    def resolve_command(self, ctx: click.Context, args: list[str]) -> Any:
        if args and args[0] not in self.commands:
            args = ["run", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Default, epilog=_EXIT_CODES)
def sweep() -> None:
    """Run a grid of situations times seeds, on all cores or a cluster; show what it says.

    rtcprobe sweep GRID.yaml -o rows.jsonl, then rtcprobe sweep show rows.jsonl --figure mouth_to_ear_p95_ms.
    """


@sweep.command("run", short_help="Run a grid; what is done is never done again.")
@click.argument("grid", metavar="GRID.yaml", type=click.Path(path_type=Path))
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=click.Path(path_type=Path), help="A row a job, as JSON lines."
)
@click.option("--workers", type=click.IntRange(1, 256), metavar="N", help="Processes [default: one a core].")
@click.option("--scheduler", metavar="URL", help="Let the workers of this Dask scheduler do it: tcp://host:8786.")
@click.option("--parquet", metavar="FILE", help="Write the rows as Parquet too (needs pyarrow).")
@click.option("-q", "--quiet", is_flag=True, help="No progress.")
def run(
    *, grid: Path, output: Path, workers: int | None, scheduler: str | None, parquet: str | None, quiet: bool
) -> int:
    """Run every job of GRID.yaml that FILE does not hold yet."""
    # Before the engine is imported, which takes longer than to see that this cannot be.
    need_places({"--output": str(output), "--parquet": parquet})
    from rtcprobe.sweep import Book, by_dask, by_processes, one_by_one, read_grid

    if scheduler is not None and workers is not None:
        raise BadInputError("--workers and --scheduler are both given", "the scheduler has workers of its own")
    if parquet is not None:
        # Before the grid is run, not an hour later.
        _need_pyarrow()
    jobs = read_grid(grid).tasks()
    book = Book(output)
    # By their keys: the same grid goes on where it was interrupted, a changed one does only what is new in it.
    todo = [job for job in jobs if job.key not in book.known]
    # No more processes than jobs: each imports everything before its first.
    count = min(workers or os.cpu_count() or 1, max(1, len(todo)))
    try:
        if scheduler is not None:
            rows = by_dask(todo, scheduler)
        else:
            rows = by_processes(todo, count) if count > 1 else one_by_one(todo)
        # Row by row, as they come: what is done is on disk before the next is waited for.
        for made in _narrated(rows, jobs, len(jobs) - len(todo), quiet=quiet):
            book.add(made)
        book.finish(jobs)
    finally:
        book.close()
    # Jobs of this grid alone: the file may hold others'.
    failed = [row for job in jobs if "failed" in (row := book.known[job.key])]
    click.echo(f"{output}: {len(jobs):,} jobs, {len(todo):,} of them now; {len(failed):,} failed")
    if parquet is not None:
        _write_parquet([book.known[job.key] for job in jobs], parquet)
    if failed:
        click.echo(f"rtcprobe: the first that failed: {failed[0]['failed']}", err=True)
    return ExitCode.NOT_MEASURED if failed else ExitCode.MET


@sweep.command("show", short_help="Show a figure over two axes, and where a budget breaks.")
@click.argument("rows", metavar="FILE", type=click.Path(path_type=Path))
@click.option("--figure", default="mouth_to_ear_p95_ms", show_default=True, metavar="NAME", help="Which figure.")
@click.option("--x", metavar="AXIS", help="Along the columns [default: the longest axis].")
@click.option("--y", metavar="AXIS", help="Along the rows [default: the next].")
@click.option("--at", "fixed", multiple=True, metavar="AXIS=VALUE", help="Only where an axis has this value.")
@click.option("--limit", metavar="VALUE", help="Where the figure leaves it: 200ms, 2%, 80.")
def show(*, rows: Path, figure: str, x: str | None, y: str | None, fixed: tuple[str, ...], limit: str | None) -> int:
    """Show what the rows in FILE say of a figure: its mean over seeds with 95 % intervals, and how far LIMIT holds."""
    from rtcprobe.report.lines import print_lines
    from rtcprobe.report.sweep import surface_lines
    from rtcprobe.sweep import frontier, read_rows, surface_of

    chosen = dict(_pair(each) for each in fixed)
    bound = None if limit is None else _limit(limit, figure)
    for surface in surface_of(read_rows(rows), figure, x=x, y=y, fixed=chosen):
        edges = [] if bound is None else frontier(surface, bound)
        print_lines(surface_lines(surface, edges, limit or ""), console())
    return ExitCode.MET


def _pair(written: str) -> tuple[str, str]:
    axis, equals, value = written.partition("=")
    if not equals:
        raise BadInputError(f"--at {written!r} cannot be read", "write it like link.loss=2%")
    return axis, value


def _limit(written: str, figure: str) -> float:
    from rtcprobe.units import parse_duration, parse_ratio

    try:
        # Limits carry their unit, figures have it in their name.
        if figure.endswith("_ms"):
            return parse_duration(written) * 1e3
        # R is a bare number (ITU-T G.107); whatever else is no delay is a share.
        return float(written) if figure == "r" else parse_ratio(written)
    except ValueError as error:
        raise BadInputError(f"--limit {written!r} is not a number", "write it like 80") from error
    except BadInputError as error:
        raise error.within("--limit") from None


def _narrated(
    rows: Iterator[dict[str, Any]], jobs: Sequence[Task], before: int, *, quiet: bool
) -> Iterator[dict[str, Any]]:
    """Yield ``rows``, telling a terminal how many are done and how much time is left."""
    screen = console(stderr=True)
    begun_s = time.monotonic()
    for number, row in enumerate(rows, start=1):
        yield row
        if not quiet and screen.is_terminal:
            left = len(jobs) - before - number
            # By what this run did: rows from before took none of its time.
            left_s = (time.monotonic() - begun_s) / number * left
            screen.print(f"{before + number:,} of {len(jobs):,} jobs, about {left_s / 60:.1f} min left  ", end="\r")


def _need_pyarrow() -> None:
    from importlib.util import find_spec

    if find_spec("pyarrow") is None:
        raise BadInputError("--parquet needs pyarrow", "pip install 'rtcprobe[parquet]'")


def _write_parquet(rows: Sequence[Any], path: str) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    flat = [
        {
            "key": row["key"],
            "seed": row["seed"],
            **row["point"],
            "engine": row.get("engine", "stack"),
            "verdict": row.get("verdict"),
            **row.get("figures", {}),
        }
        for row in rows
    ]
    try:
        parquet.write_table(pa.Table.from_pylist(flat), path)
    except OSError as error:
        raise BadInputError(f"{path} cannot be written", error.strerror or str(error)) from error
