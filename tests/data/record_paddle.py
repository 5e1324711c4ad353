"""Record what Paddle makes of some arrays: `python -m tests.data.record_paddle`, with PaddlePaddle installed.

The arrays are drawn from a seed, so only the results are stored.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

VERSION = "3.3.1"
TABLE = Path(__file__).with_name("paddle.npz")
DRAWS = 400
MODES = (("linear", 1), ("bilinear", 2), ("bicubic", 2), ("nearest", 2), ("trilinear", 3), ("nearest", 3), ("area", 2))
FORMATS = {1: ("NCW", "NWC"), 2: ("NCHW", "NHWC"), 3: ("NCDHW", "NDHWC")}


def draws(number: int = DRAWS, largest: int = 40, most: int = 100) -> Iterator[tuple[Any, dict[str, Any]]]:
    """Yield arrays and the arguments of a call; results have at most `most` values."""
    rng = np.random.default_rng(20261)
    for draw in range(number):
        mode, rank = MODES[draw % len(MODES)]
        limit = int(largest ** (1.0 if rank == 1 else 1.6 / rank))
        n_in = rng.integers(1, limit + 1, rank)
        n_out = rng.integers(1, 2 * limit + 1, rank)
        while n_out.prod() > most:
            n_out[np.argmax(n_out)] //= 2
        channels_last = bool(rng.integers(2)) and mode != "area"
        shape = (1, *n_in, 1) if channels_last else (1, 1, *n_in)
        options: dict[str, Any] = {"mode": mode, "data_format": FORMATS[rank][channels_last]}
        if mode == "area" or draw % 2:
            options["size"] = list(map(int, n_out))
        else:  # With channels last, Paddle recomputes the scale from the wrong axes.
            exact = n_out / n_in  # and tenths: few are float32 numbers
            options["scale_factor"] = list(map(float, exact if draw % 4 else np.maximum(np.round(exact, 1), 1 / n_in)))
            options["recompute_scale_factor"] = bool(draw % 3 == 0) and not channels_last
        if mode not in ("nearest", "area"):
            options["align_corners"] = bool(rng.integers(3) == 0)
            options["align_mode"] = int(rng.integers(2))
        yield (rng.random(shape) * 2 - 1).astype("float32" if draw % 5 else "float64"), options


def main(target: Path, **options: int) -> None:
    """Write the table."""
    import paddle

    assert paddle.__version__ == VERSION
    results = []
    for x, arguments in draws(**options):
        try:
            results.append(paddle.nn.functional.interpolate(paddle.to_tensor(x), **arguments).numpy())
        except ValueError:  # no sample is left
            results.append(np.empty((0,) * x.ndim, np.float32))
    shapes = np.array([(*r.shape, *(5 - r.ndim) * [0]) for r in results], np.uint16)
    values = np.concatenate([r.astype(np.float32).ravel() for r in results])
    np.savez_compressed(target, shape=shapes, value=values)


if __name__ == "__main__":
    if len(sys.argv) > 1:  # a large table, for once
        main(Path(sys.argv[1]), number=int(sys.argv[2]), largest=int(sys.argv[3]), most=int(sys.argv[4]))
    else:
        main(TABLE)
