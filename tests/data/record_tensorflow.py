"""Record what TensorFlow makes of some images: `python -m tests.data.record_tensorflow`, with TensorFlow installed.

The images are drawn from a seed, so only the results are stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

VERSION = "2.21.0"
TABLE = Path(__file__).with_name("tensorflow.npz")
DRAWS = 480
METHODS = ("bilinear", "lanczos3", "lanczos5", "bicubic", "gaussian", "nearest", "area", "mitchellcubic")
DTYPES = ("float32", "uint8", "float32", "int16", "float32", "int32", "float32", "float64", "float16")


def draws(number: int = DRAWS, largest: int = 40, most: int = 120) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield images and the arguments of a call; results have at most `most` values."""
    rng = np.random.default_rng(20260)
    for draw in range(number):
        method, dtype = METHODS[draw % len(METHODS)], DTYPES[draw % len(DTYPES)]
        n_in = rng.integers(1, largest, 2)
        # Half of the sizes are in a simple proportion to the image, where ties and exact borders lie.
        ratio = rng.choice([0.25, 1 / 3, 0.5, 2 / 3, 1, 1.5, 2, 3], 2)
        n_out = np.maximum(1, np.rint(n_in * ratio).astype(int)) if draw % 2 else rng.integers(1, largest, 2)
        n_out[rng.integers(2)] = 1 + rng.integers(5) if draw % 3 else n_in[rng.integers(2)]
        while n_out.prod() > most:
            n_out[np.argmax(n_out)] //= 2
        x = (rng.random((*n_in, 1)) * 200 - (0 if dtype == "uint8" else 100)).astype(dtype)
        options = {"method": method, "antialias": bool(rng.integers(2))}
        if draw % 7 == 0:
            options["preserve_aspect_ratio"] = True
        yield x, {"size": tuple(map(int, n_out)), **options}


def main(target: Path, **options: int) -> None:
    """Write the table."""
    import tensorflow as tf

    assert tf.__version__ == VERSION
    results = []
    for x, arguments in draws(**options):
        try:
            results.append(tf.image.resize(x, **arguments).numpy())
        except tf.errors.InvalidArgumentError:  # the aspect ratio leaves no pixel
            results.append(np.empty(0, np.float32))
    shapes = np.array([r.shape if r.size else (0, 0, 0) for r in results], np.uint16)
    values = np.concatenate([r.astype(np.float32).ravel() for r in results])
    np.savez_compressed(target, shape=shapes, value=values)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a large table, for once
        main(Path(sys.argv[1]), number=int(sys.argv[2]), largest=int(sys.argv[3]), most=int(sys.argv[4]))
    else:
        main(TABLE)
