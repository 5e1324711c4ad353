"""The record of a work: words that tell native code which kernel to run, on what, and for how many rows.

First comes what whoever runs the kernel must know, then the kernel's own arguments (see `arguments`).
"""

from __future__ import annotations

from gpu_upsample.cpu.arguments import address
from gpu_upsample.cpu.compiled import inlined
from gpu_upsample.cpu.vectors import BYTES

# Address of the kernel, bytes of memory that each thread needs for itself, number of rows, how many of them a part has
# at least, and what all of them cost: the bytes that are moved in the same time, within the caches.
FUNCTION, ROOM, ROWS, LEAST, COST = range(5)
# Whether the record is that of a `Job`, whose first arguments are the input, the output and how it is written.
IS_JOB = 5
# Of a job, bytes of a scalar of a result that goes past the caches, else 0; and by how many bytes such a result may
# miss the start of a cache line to be streamed: beyond that, its lines are collected first.
PASSING, ASTRAY = 6, 7
ARGUMENTS = 8
"""Where the arguments begin."""

# Where those of a job stand among the arguments, each array with its length behind it: `LEAD`, the elements between the
# start of a cache line and the result; `STREAMS`, whether its rows are streamed past the caches; and `COLLECTED`, how
# many elements are collected before they are, or 1 if none are.
X, OUT, LEAD, STREAMS, COLLECTED = 0, 2, 4, 5, 7


@inlined
def write_arguments(record, x, out, words):
    """Write the arguments of a call: those of the record, and of a job where its arrays are."""
    for i in range(ARGUMENTS, record.size):
        words[i - ARGUMENTS] = record[i]
    if record[IS_JOB]:
        words[X], words[OUT] = address(x), address(out)
        if record[PASSING] > 0:
            astray = words[OUT] % BYTES
            lead, rest = astray // record[PASSING], astray % record[PASSING]
            if rest == 0:
                words[LEAD], words[STREAMS] = lead, astray <= record[ASTRAY]
            if rest != 0 or words[STREAMS] != 0:
                words[COLLECTED] = 1
