"""Two flags per device, by which kernels report what no call waits for.

The first reports an error. The second, which says that an index strayed, is never cleared (see `unpooling_kernels.py`).
"""

from __future__ import annotations

from typing import Any

from gpu_upsample.cuda import memory

OUT_OF_RANGE, STRAYED = 0, 1
"""Places of the flags: an index lay out of range; an index has ever lain outside of the window of its sample."""

_flags: dict[int, Any] = {}


def address(device: int) -> int:
    """Return the address of the flags of a device."""
    if device not in _flags:
        cuda = memory.cupy().cuda
        # Without CuPy's pool, like the tables: this memory is never given back.
        with cuda.Device(device), cuda.using_allocator(None):
            flag = memory.cupy().empty((2,), "uint32")
            flag.fill(0)
            cuda.get_current_stream().synchronize()  # the first kernel may run on another stream
        _flags.setdefault(device, flag)
    return int(_flags[device].data.ptr)


def _found(device: int) -> bool:
    """Return whether the current stream, up to here, has reported an error; and clear the flag."""
    flag = _flags.get(device)
    if flag is None or not int(memory.cupy().asnumpy(flag)[OUT_OF_RANGE]):
        return False
    flag[OUT_OF_RANGE : OUT_OF_RANGE + 1].fill(0)
    return True


def _raise(devices: list[int]) -> None:
    if devices:
        raise ValueError(
            "max_unpool or a gradient of pooling: an index lay out of range, or outside of its window, and was "
            f"passed over, on CUDA device {', '.join(map(str, devices))}; validate=True tells which"
        )


def check_errors() -> None:
    """Wait for all devices, and raise ValueError if a kernel has reported an error."""
    found = []
    for device in tuple(_flags):
        with memory.cupy().cuda.Device(device) as current:
            current.synchronize()
            if _found(device):
                found.append(device)
    _raise(found)


def to_host(x: Any) -> Any:
    """Copy a device array to a NumPy array; waits for the stream, and raises what its kernels have found."""
    copied = memory.to_host(x)
    _raise([device for device in (x.device.id,) if _found(device)])
    return copied
