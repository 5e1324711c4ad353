"""What the warps of a GPU do for a call, counted while their PTX is interpreted.

`python -m tests.traffic` prints a table, and `python -m tests.traffic cuda.filter_choice._EXTRA_WORDS=0` that of a
variant, as `benchmarks/vary.py` takes them. `tests/instruction_counts.py` counts what a thread inside of the array
needs for a row. Here everything counts that all warps do: the begin of each strip, rows that two strips form, ends of
rows at which a part of a warp waits for the others. A warp's access goes to the first cache line by line and to memory
sector by sector, so these are counted, too.
"""

from __future__ import annotations

import sys
from collections import Counter
from pathlib import Path
from tempfile import TemporaryDirectory
from unittest.mock import patch

import numpy as np

import gpu_upsample as gu
from benchmarks.vary import Variants
from gpu_upsample.cuda import memory
from tests import ptx, twin_memory

WARP, LINE, SECTOR = 32, 128, 32
MULTIPROCESSORS = 132
"""Those of an H200."""


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
        # Registers that are renamed and parameters in constant memory take no instruction of a machine.
        if instruction.name not in ("mov", "cvta") and instruction.marks != ("param",):
            self.counts["instructions"] += len(np.unique(active // WARP))
        super()._step(instruction, active)

    def _accessed(self, way, active, address, size):
        warps = active // WARP
        self.counts[f"{way}s"] += len(np.unique(warps))
        self.counts[f"{way} lines"] += _pieces(warps, address, size, LINE)
        self.counts[f"{way} sectors"] += _pieces(warps, address, size, SECTOR)


def watched(call, multiprocessors=MULTIPROCESSORS):
    """Return what all kernels of a call of the backend 'cuda' have counted on a GPU of that size.

    Strips of rows are as long as the GPU has threads for. So to learn of an image from a part of it, the GPU should be
    the same part of one.
    """
    counts = Counter()

    def run(*launch):
        counts.update(ptx.run(*launch, threads=Watched).counts)

    with twin_memory.installed(run), patch.object(memory, "multiprocessors", lambda device: multiprocessors):
        call()
    return counts


# ---- the table ----------------------------------------------------------------------------------------------
LAYOUTS = {
    "CHW": ((1, 64, 1920), (1, 2), 64 / 1080 / 3),
    "HWC": ((64, 1920, 3), (0, 1), 64 / 1080),
    "CHW odd": ((1, 64, 961), (1, 2), 64 / 1080 / 3),
    "CHW narrow": ((1, 64, 320), (1, 2), 64 / 320 / 3),
    "DHW": ((16, 64, 64), (0, 1, 2), 16 / 64 / 8),
}
"""Shape and axes of a part of an image of three channels, or of eight volumes, and how much it is of them."""


def resized(dtype, method, factor, layout, antialias=False):
    """Return the counts of resizing a part of an array, for each scalar of the result, and bytes per scalar of it."""
    shape, axes, part = LAYOUTS[layout]
    x = twin_memory.to_twin((np.random.default_rng(0).random(shape) * 200).astype(dtype))
    results = []

    def call():
        results.append(gu.resize(x, scale=factor, axes=axes, method=method, antialias=antialias))

    counts = watched(call, max(1, round(MULTIPROCESSORS * part)))
    (result,) = results
    each = {name: number * WARP / result.size for name, number in counts.items()}
    return each, (x.nbytes + result.nbytes) / result.size


TABLE = [
    *((dtype, method, 2, layout) for layout in ("CHW", "HWC") for dtype in ("float32", "float16", "uint8")
      for method in ("nearest", "linear", "cubic", "lanczos3")),
    *((dtype, method, factor, "CHW") for dtype in ("float32", "uint8") for factor in (1.37, 0.61)
      for method in ("linear", "cubic")),
    *((dtype, "cubic", 0.25, "CHW", True) for dtype in ("float32", "uint8")),
    *((dtype, method, 2, layout) for layout in ("CHW odd", "CHW narrow") for dtype in ("float32", "float16", "uint8")
      for method in ("nearest", "linear", "cubic")),
    *((dtype, "linear", 2, "DHW") for dtype in ("float32", "float16", "uint8")),
]  # fmt: skip


def main():
    with TemporaryDirectory() as folder:
        variants = Variants(sys.argv[1:], Path(folder))
        variants.enter(variants.names[-1])
        show()


def show():
    """Print the table."""
    print(f"{'':34}instructions     loads  lines of  stores  sectors of")
    print(f"{'for each scalar of the result':34}   per byte             a load          a store")
    for dtype, method, factor, layout, *antialias in TABLE:
        each, size = resized(dtype, method, factor, layout, *antialias)
        name = f"{method} x{factor} {dtype} {layout}{' antialias' * bool(antialias)}"
        lines, sectors = each["load lines"] / each["loads"], each["store sectors"] / each["stores"]
        print(
            f"{name:34}{each['instructions']:5.1f} {each['instructions'] / size:6.2f} {each['loads']:9.2f} "
            f"{lines:9.2f} {each['stores']:7.2f} {sectors:9.1f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
