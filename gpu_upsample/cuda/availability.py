"""Whether this machine can run the CUDA backend; asking needs neither Numba nor CuPy."""

from __future__ import annotations

from functools import lru_cache
from importlib.util import find_spec

OLDEST = (7, 5)
"""The compute capability from which on a GPU has all instructions that the kernels use."""


@lru_cache(maxsize=1)
def state() -> tuple[bool, str]:
    """Return whether the backend can run, and the device's name or what is missing."""
    install = "pip install 'numpy<2.5' cupy-cuda13x 'numba-cuda[cu13]', or cupy-cuda12x 'numba-cuda[cu12]' for CUDA 12"
    for module, package in (("cupy", "CuPy"), ("numba_cuda", "numba-cuda"), ("cuda.core", "cuda-core")):
        if not _installed(module):
            return False, f"{package} is not installed ({install})"
    import cupy

    try:
        count = cupy.cuda.runtime.getDeviceCount()
    except cupy.cuda.runtime.CUDARuntimeError as error:
        return False, f"the CUDA driver does not answer ({error})"
    if count == 0:
        return False, "there is no CUDA device"
    try:
        import numba.cuda  # noqa: F401 - does it work with the NumPy that is installed?
    except Exception as error:  # noqa: BLE001 - whatever it lacks, it cannot be used
        return False, f"numba-cuda cannot be imported ({type(error).__name__}: {error})"
    properties = cupy.cuda.runtime.getDeviceProperties(0)
    name, capability = properties["name"].decode(), (properties["major"], properties["minor"])
    if capability < OLDEST:
        have, need = (".".join(map(str, numbers)) for numbers in (capability, OLDEST))
        return False, f"{name} has compute capability {have}; {need} or later is needed"
    return True, f"{name}, driver {cupy.cuda.runtime.driverGetVersion()}"


def _installed(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the parent package is missing
        return False
