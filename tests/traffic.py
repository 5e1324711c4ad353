"""What the threads of a GPU's warps ask of its memory, counted while their PTX is interpreted.

A warp's access goes to the first cache line by line, and from there to memory sector by sector. So what counts is how
many lines an access touches, and how many sectors it moves beside those that hold what is wanted.
"""

from __future__ import annotations

from collections import Counter

import numpy as np

from tests import ptx, twin_memory

WARP, LINE, SECTOR = 32, 128, 32


def _pieces(warps, address, size, piece):
    """Return how many pieces of memory of that size each warp touches, added up."""
    ends = np.stack([address, address + np.uint64(size - 1)]) // np.uint64(piece)
    return len(np.unique(np.stack([np.tile(warps, 2).astype(np.uint64), ends.ravel()]), axis=1).T)


class Watched(ptx.Threads):
    """Threads that are counted: `counts` tells of the instructions of their warps, and of their loads and stores."""

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.counts = Counter()

    def _step(self, instruction, active):
        self.counts["instructions"] += len(np.unique(active // WARP))
        super()._step(instruction, active)

    def _accessed(self, way, active, address, size):
        warps = active // WARP
        self.counts[f"{way}s"] += len(np.unique(warps))
        self.counts[f"{way} lines"] += _pieces(warps, address, size, LINE)
        self.counts[f"{way} sectors"] += _pieces(warps, address, size, SECTOR)


def watched(call):
    """Return what all kernels of a call of the backend 'cuda' have counted."""
    counts = Counter()

    def run(*launch):
        counts.update(ptx.run(*launch, threads=Watched).counts)

    with twin_memory.installed(run):
        call()
    return counts
