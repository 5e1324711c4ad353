"""What a call on device arrays costs the host, where there is no device: `python -m tests.host_cost` prints a table.

The arrays are CuPy's, which has to be installed, but they lie nowhere; streams and the driver are stand-ins that do
nothing, so what these take comes on top. On a device, `python -m benchmarks --device` measures all of it. Nothing but
other work on the machine can add to such a time, so each is the least of several.
"""

from __future__ import annotations

from importlib import import_module
from math import prod
from types import SimpleNamespace
from unittest.mock import patch

import numpy as np

import gpu_upsample as gu
from benchmarks.timing import host_seconds
from gpu_upsample.cuda import launch
from tests import twin_memory

ROUNDS, CALLS = 21, 1000
SMALL, TWICE = (1, 3, 32, 32), (1, 3, 64, 64)
CASES = {
    "interpolate nearest": (gu.interpolate, SMALL, TWICE, {"scale_factor": 2, "mode": "nearest"}),
    "interpolate bilinear": (gu.interpolate, SMALL, TWICE, {"scale_factor": 2, "mode": "bilinear"}),
    "interpolate bicubic": (gu.interpolate, SMALL, TWICE, {"scale_factor": 2, "mode": "bicubic"}),
    "max_pool2d": (gu.max_pool2d, TWICE, SMALL, {"kernel_size": 2}),
    "pixel_shuffle": (gu.pixel_shuffle, (1, 12, 32, 32), TWICE, {"upscale_factor": 2}),
}


def _nowhere(shape, address):
    """Return one of CuPy's arrays of float32, at an address where nothing is."""
    cupy = import_module("cupy")
    memory = cupy.cuda.UnownedMemory(address, 4 * prod(shape), None, 0)
    return cupy.ndarray(shape, np.float32, cupy.cuda.MemoryPointer(memory, 0))


def costs(rounds=ROUNDS, calls=CALLS):
    """Yield the name of each case, and the seconds of a call into an output that is given."""
    function, driver = SimpleNamespace(ptr=1), SimpleNamespace(launchKernel=lambda *arguments: None)
    original = launch.launch
    launch._kernel.cache_clear()
    with (
        twin_memory.installed(None),
        patch.multiple(
            launch, launch=original, cubin_of=lambda spec, capability: (b"", ""), _capability=lambda device: (9, 0),
            _loaded=lambda code, name: function, _driver=lambda: driver,
        ),
    ):  # fmt: skip
        for name, (operator, shape, shape_out, options) in CASES.items():
            x, out = _nowhere(shape, 1 << 20), _nowhere(shape_out, 1 << 30)

            def call(operator=operator, x=x, out=out, options=options):
                operator(x, out=out, **options)

            call()
            yield name, min(host_seconds(call, calls) for _ in range(rounds))
    launch._kernel.cache_clear()


if __name__ == "__main__":
    print("microseconds of the host for a call, without what the driver takes")
    for name, seconds in costs():
        print(f"{name:22}{1e6 * seconds:6.2f}", flush=True)
