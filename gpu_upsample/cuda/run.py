"""From a kernel and its arguments to a launch on CuPy's current stream."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpu_upsample.cuda import launch, memory
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.plan.cache import kept

NARROW = 2**32
"""Flat indices below this need 32 bits."""
ACCESS = 16
"""Bytes of the widest load or store."""


@dataclass(frozen=True, eq=False)
class Launch:
    """A kernel, and all that it is given but arrays.

    Attributes
    ----------
    spec : Spec
        Which kernel.
    threads : int
        How many threads have something to do: so many are started at least.
    arguments : tuple
        The parameters behind the arrays, tables as addresses.
    tables : Tables, optional
        The tables among them: a CUDA graph that is being captured keeps them.
    """

    spec: Any
    threads: int
    arguments: tuple[Any, ...]
    tables: memory.Tables | None = None

    def run(self, *arrays: Any) -> None:
        """Queue the kernel for contiguous arrays of one device."""
        self.run_at(arrays[0].device.id, [array.data.ptr for array in arrays])

    def run_at(self, device: int, addresses: list[int]) -> None:
        """Queue the kernel for arrays at these addresses of a device, on CuPy's current stream."""
        stream = memory.cupy().cuda.get_current_stream()
        if self.tables is not None and stream.is_capturing():
            memory.held(self.tables)
        blocks = -(-self.threads // THREADS)
        launch.launch(self.spec, device, stream.ptr, blocks, addresses, self.arguments)


def runner(build: Callable[..., Launch]) -> Callable[..., None]:
    """Return the function that runs a step, given contiguous arrays of its carriers.

    Parameters
    ----------
    build : callable
        Returns the launch for a step, a device, and the addresses of the arrays, modulo `ACCESS`. It is kept.
    """
    launch_of = kept(build)

    def run(step: Any, *arrays: Any) -> None:
        device, addresses = arrays[0].device.id, [array.data.ptr for array in arrays]
        launch_of(step, device, *[address % ACCESS for address in addresses]).run_at(device, addresses)

    vars(run).update(cache_clear=vars(launch_of)["cache_clear"])
    return run
