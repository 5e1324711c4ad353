"""The record of a work: words that tell native code which kernel to run, on what, and for how many rows.

First comes what whoever runs the kernel must know, then the kernel's own arguments (see `arguments`).
"""

from __future__ import annotations

from typing import Any

from gpu_upsample.cpu.compiled import inlined
from gpu_upsample.cpu.vectors import BYTES

# Address of the kernel, bytes of memory that each thread needs for itself, number of rows, how many of them a part has
# at least, and what all of them cost: the bytes that are moved in the same time, within the caches.
FUNCTION, ROOM, ROWS, LEAST, COST = range(5)
# Of a `Job`, bytes of a scalar of a result that goes past the caches, else 0; and by how many bytes such a result may
# miss the start of a cache line to be streamed: beyond that, its lines are collected first.
PASSING, ASTRAY = 5, 6
# How many arrays each call gives; which argument the address of each is; and how many bytes it has.
MOST_GIVEN = 5
GIVEN, PLACES, SIZES = 7, 8, 8 + MOST_GIVEN
ARGUMENTS = SIZES + MOST_GIVEN
"""Where the arguments begin."""

# Where those of a `Job` stand among the arguments, each array with its length behind it: `LEAD`, the elements between
# the start of a cache line and the result; `STREAMS`, whether its rows are streamed past the caches; and `COLLECTED`,
# how many elements are collected before they are, or 1 if none are.
X, OUT, LEAD, STREAMS, COLLECTED = 0, 2, 4, 5, 7


def sizes_of(record: Any) -> list[int]:
    """Return the bytes of the arrays of a call, 0 for those that it does not give."""
    sizes: list[int] = record[SIZES : SIZES + MOST_GIVEN].tolist()
    return sizes


@inlined
def fits(record, sizes):
    """Return whether the arrays of a call have the bytes that the kernel counts on."""
    found = True
    for i in range(MOST_GIVEN):
        found &= sizes[i] == record[SIZES + i]
    return found


@inlined
def write_arguments(record, addresses, words):
    """Write the arguments of a call: those of the record, and the addresses of its arrays."""
    for i in range(ARGUMENTS, record.size):
        words[i - ARGUMENTS] = record[i]
    for i in range(record[GIVEN]):
        words[record[PLACES + i]] = addresses[i]
    if record[PASSING] > 0:
        astray = words[OUT] % BYTES
        lead, rest = astray // record[PASSING], astray % record[PASSING]
        if rest == 0:
            words[LEAD], words[STREAMS] = lead, astray <= record[ASTRAY]
        if rest != 0 or words[STREAMS] != 0:
            words[COLLECTED] = 1
