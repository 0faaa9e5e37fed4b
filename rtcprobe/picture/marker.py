"""A number in a picture that survives coding and scaling: painted in cells, read back with an error check.

Facts:
    - Four rows of eight cells, each 1/20 of the picture wide and 1/15 high, so that 640x480 gives whole macroblocks of
      32x32. Fractions of the picture survive scaling, also where it changes the shape.
    - The corner cells are light, dark, dark, light: whoever reads takes his threshold from them, so that neither
      brightness nor contrast has to arrive.
    - 28 cells are left: 16 bits of the number in Gray code, of which one changes from frame to frame, and 12 of a CRC
      over them, of which some six change. They cost 6 to 12 % of the bit rate of the picture behind.
    - Of random cells between right corners one in 4,096 passes the CRC: a reader needs to know what was sent (``eye``).
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

__all__ = ["CELLS", "NUMBERS", "Luma", "Reading", "brightness", "edges", "paint", "read", "read_cells", "word"]

Luma = npt.NDArray[np.uint8]
"""The brightness of a picture, shape (height, width), 16 (black) to 235 (white)."""

# 16 bits and 12 of check fill the 28 cells that four rows of eight leave beside the corners; a cell is 32 x
# 32 pixels of 640 x 480, two macroblocks each way, and a margin of one cell is left of it and above.
NUMBERS: Final = 1 << 16

# 32 cells: four corners to compare with, 16 of the number, 12 of its check. More rows would cover more of the
# picture behind, fewer columns make cells that half a picture's scaling blurs.
_ROWS, _COLUMNS = 4, 8
CELLS: Final = _ROWS * _COLUMNS
# Shares of the picture, and one such margin at the left and above: what a window's frame or a rounded corner
# hides.
_CELL_HEIGHT, _CELL_WIDTH = 1 / 15, 1 / 20
_DARK, _LIGHT = 48, 208
"""Away from black and white, where coders and screens clip."""
_LEAST_CONTRAST: Final = 24.0
"""Of light less dark: 15 % of what was painted."""
_CRC_POLYNOMIAL: Final = 0x80F  # x¹² + x¹¹ + x³ + x² + x + 1, the CRC-12 of telephony
_CRC_START: Final = 0xFFF  # with 0 a marker that is dark all over would be valid
_LIGHT_CORNERS, _DARK_CORNERS = (0, 31), (7, 24)
# The four corners are light and dark by agreement: what the others are judged against.
_DATA: Final = np.array([cell for cell in range(_ROWS * _COLUMNS) if cell not in (0, 7, 24, 31)])
_WEIGHTS: Final = 1 << np.arange(len(_DATA) - 1, -1, -1)
_SAMPLES: Final = 4  # a cell is read at 4x4 points of its inner half


class Reading(NamedTuple):
    """A number read; ``margin`` is how far the cell nearest to the threshold was from it, 1 as painted, 0 on it."""

    number: int
    margin: float


def paint(luma: Luma, number: int) -> None:
    """Paint ``number`` (modulo 65,536) into ``luma``, shape (height, width)."""
    rows, columns = edges(*luma.shape)
    for row, cells in enumerate(_cells(number % NUMBERS)):
        for column, light in enumerate(cells):
            area = luma[rows[row] : rows[row + 1], columns[column] : columns[column + 1]]
            area[:] = _LIGHT if light else _DARK


def read(luma: Luma) -> Reading | None:
    """Return the number painted into ``luma``, of any size; None where there is none to be trusted."""
    return read_cells(brightness(luma))


def brightness(luma: Luma) -> npt.NDArray[np.float64]:
    """Return how bright the cells of the number in ``luma`` are, row by row, shape (32,)."""
    rows, columns = _points(*luma.shape)
    found: npt.NDArray[np.float64] = luma[rows, columns].mean(axis=1)
    return found


def read_cells(cells: npt.NDArray[np.float64]) -> Reading | None:
    """Return the number that cells say, by how bright each is, row by row; None where there is none to be trusted."""
    light = float(cells[list(_LIGHT_CORNERS)].mean())
    dark = float(cells[list(_DARK_CORNERS)].mean())
    # Nothing painted, or a picture faded to grey: any threshold would read noise.
    if light - dark < _LEAST_CONTRAST:
        return None
    away = (cells[_DATA] - (light + dark) / 2) / ((light - dark) / 2)
    word = int(_WEIGHTS[away > 0].sum())
    gray, check = word >> 12, word & 0xFFF
    if _crc(gray) != check:
        return None
    return Reading(_from_gray(gray), float(np.abs(away).min()))


def word(number: int) -> int:
    """Return which cells are light for ``number`` (modulo 65,536): 32 bits, the first cell's the highest."""
    bits = (light for row in _cells(number % NUMBERS) for light in row)
    return sum(1 << CELLS - 1 - place for place, light in enumerate(bits) if light)


@lru_cache(maxsize=256)
def _cells(number: int) -> tuple[tuple[bool, ...], ...]:
    """Return which cells are light, by rows."""
    # From one frame to the next one cell of the number changes, so a picture half renewed reads as one of two
    # neighbours.
    gray = number ^ number >> 1
    word = gray << 12 | _crc(gray)
    flat = np.zeros(_ROWS * _COLUMNS, dtype=np.bool_)
    flat[list(_LIGHT_CORNERS)] = True
    flat[_DATA] = (word & _WEIGHTS) != 0
    return tuple(tuple(row) for row in flat.reshape(_ROWS, _COLUMNS).tolist())


def _from_gray(gray: int) -> int:
    number = gray
    for shift in (8, 4, 2, 1):
        number ^= number >> shift
    return number


def _crc(value: int) -> int:
    """Return the CRC-12 of 16 bits, the highest first."""
    crc = _CRC_START
    for place in range(15, -1, -1):
        high = (crc >> 11 ^ value >> place) & 1
        crc = (crc << 1 & 0xFFF) ^ (_CRC_POLYNOMIAL if high else 0)
    return crc


@lru_cache(maxsize=16)
def edges(height: int, width: int) -> tuple[list[int], list[int]]:
    """Return, in pixels, where the rows and the columns of cells begin, and the last ones end."""
    rows = [round(height * _CELL_HEIGHT * (1 + row)) for row in range(_ROWS + 1)]
    columns = [round(width * _CELL_WIDTH * (1 + column)) for column in range(_COLUMNS + 1)]
    return rows, columns


@lru_cache(maxsize=16)
def _points(height: int, width: int) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """Return rows and columns of the points to be read, each of shape (cells, points)."""
    # The middle half of a cell, for scaling and deblocking blur its edges.
    inner = 0.25 + 0.5 * (np.arange(_SAMPLES) + 0.5) / _SAMPLES
    rows = height * _CELL_HEIGHT * (1 + np.arange(_ROWS)[:, None] + inner)
    columns = width * _CELL_WIDTH * (1 + np.arange(_COLUMNS)[:, None] + inner)
    shape = (_ROWS, _COLUMNS, _SAMPLES, _SAMPLES)
    places = (
        np.broadcast_to(rows[:, None, :, None], shape).reshape(_ROWS * _COLUMNS, -1),
        np.broadcast_to(columns[None, :, None, :], shape).reshape(_ROWS * _COLUMNS, -1),
    )
    return places[0].astype(np.intp), places[1].astype(np.intp)
