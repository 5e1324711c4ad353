"""The specialisations of the filter kernel, and what a thread of each keeps in its registers."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import BLOCKS

GROUP = 4
"""Taps of a long window whose weights are loaded together: the table of columns' weights consists of such groups."""

END_WORDS = 44
"""Words of weights and samples that a thread at an end of a row, where windows are cut off, may need at once."""

MORE_BLOCKS, FEW_WORDS = 10, 28
"""With so few words for its lanes, a thread makes do with 48 registers, and more threads hide each other's waiting."""


@dataclass(frozen=True)
class FilterSpec:
    """A specialisation of the filter kernel.

    Attributes
    ----------
    source, result : str
        The stored scalars.
    rows : str
        How the sums along the rows are formed. ``"ring"``: the last filtered source rows are kept, and an output
        row is summed when its window is complete; for few taps. ``"sums"``: the unfinished output rows are kept,
        and each source row is added to those it reaches; for many taps that overlap little, as when shrinking.
        ``"direct"``: every output row filters its source rows anew; where the other two would keep too many.
        ``"none"``: the rows stay as they are.
    depth : int
        Length of the ring, or number of unfinished rows.
    columns : str
        How the sums along a row are formed. ``"span"``: offsets and weights of the lanes' windows are the same in
        every thread, so a sample is loaded once for all lanes; at the ends of a row, windows are cut off.
        ``"apart"``: each lane has its own window and weights, in registers. ``"joint"``: the lanes are channels of one
        pixel, with one window. ``"walk"``: the only lane walks along its window; for long ones. ``"none"``: the columns
        stay as they are.
    width : int
        Length of the windows along a row, where they are unrolled; 0 elsewhere.
    least : int
        Length that such a window has at least.
    phases, step, shift : int
        A span's period: after `phases` pixels the weights repeat, and the windows begin `step` pixels further on.
        Pixel i of a thread begins ``(i * step + shift) // phases`` pixels behind the first. 0 elsewhere.
    inner : int
        Scalars of a pixel; 0 for a number known at run time only.
    lanes : int
        Scalars of a row that a thread owns.
    fill : bool
        Whether a constant surrounds the array.
    wide : bool
        Whether flat indices need 64 bits.
    fewer : bool
        Whether there are fewer output rows than source rows: the loop over these is then the inner one.
    vector, lead : int
        A span's samples are loaded so many at once, from so many before the first one on: there every thread's
        are aligned. One at a time if `vector` is 1.
    lines : int
        Length of the windows across the lines of a row; 0 if a row is one line.
    pieces : int
        How many pieces of neighbours the lanes are. A line is dealt to its threads like cards, piece by piece:
        neighbouring threads own neighbouring pieces, and those of a thread lie as far apart as all threads reach.
    """

    source: str
    result: str
    rows: str
    depth: int
    columns: str
    width: int
    least: int
    phases: int
    step: int
    shift: int
    inner: int
    lanes: int
    fill: bool
    wide: bool
    fewer: bool = False
    vector: int = 1
    lead: int = 0
    lines: int = 0
    pieces: int = 1

    def __hash__(self) -> int:
        return self._hash

    @cached_property
    def _hash(self) -> int:  # every launch asks for it
        return hash(tuple(getattr(self, field.name) for field in fields(self)))

    @property
    def pads_rows(self) -> bool:
        """Whether a tap of weight -0.0 changes no result along the rows.

        So it is where samples are finite and have no sign: the product is -0.0, and to add that changes no number but
        a zero's sign, which an integer loses. In sums of integers the weight is 0.
        """
        storage = arithmetic.SCALARS[arithmetic.kind_of(self.result)]
        unsigned = self.source.startswith(("uint", "bool")) or "int" in storage.accumulator
        return unsigned and "int" in self.result and not self.fill

    @property
    def _words(self) -> int:
        """Words of an accumulator."""
        return max(1, arithmetic.accumulator_of(arithmetic.kind_of(self.result)).bitwidth // 32)

    @property
    def kept(self) -> int:
        """How many words a thread keeps for its lanes from row to row."""
        lanes = self.lanes * (self.depth + {"apart": self.width + 2, "joint": 1}.get(self.columns, 0))
        shared = self.width * max(1, self.phases) if self.columns in ("span", "joint") else 0
        line = self.lanes if self.lines else 0  # the sums of a line, beside those of its row
        return (lanes + shared + line) * self._words

    @property
    def loaded(self) -> int:
        """How many scalars of a source row a thread loads."""
        if self.columns == "none":
            return self.lanes
        if self.columns == "span":
            return -(-(self.lead + self.reach(self.lanes)) // self.vector) * self.vector
        return self.lanes * self.width

    @property
    def weights(self) -> int:
        """Length of a row of the table of weights of the columns: that of a window, in whole groups."""
        return grouped(self.width)

    def reach(self, lanes: int) -> int:
        """Return how many scalars of a source row so many lanes of a span need."""
        pixel = max(1, self.inner)
        return (((lanes - 1) // pixel * self.step + self.shift) // max(1, self.phases) + self.width) * pixel

    @property
    def together(self) -> int:
        """How many lanes of a span a thread sums together at an end of a row, where each has weights of its own."""
        pixel, words = max(1, self.inner), self.weights * self._words

        def fits(lanes: int) -> bool:
            return lanes // pixel * words + self.reach(lanes) <= END_WORDS

        counts = (self.lanes >> n for n in range(self.lanes.bit_length()))
        return next(n for n in counts if fits(n) or n % (2 * pixel * max(1, self.phases)))

    @property
    def blocks(self) -> int:
        """How many blocks a multiprocessor should hold at once."""
        if self.columns == "walk" or self.fewer or self.wide or self.lines:
            return BLOCKS
        return MORE_BLOCKS if self.kept + self.loaded * self._words <= FEW_WORDS else BLOCKS


def grouped(width: int) -> int:
    """Return how many weights a table has for a window of that length."""
    return -(-width // GROUP) * GROUP


def row_record(rows: str, depth: int) -> int:
    """Return how many weights of rows are loaded together: those of a source row in ``"sums"``, else of an output row.

    Parameters
    ----------
    rows, depth
        As in `FilterSpec`.
    """
    return grouped(depth) if rows == "sums" and depth > 2 else depth
