"""The host twin: every CUDA kernel, run on the host through the whole path of a call.

Only the device is missing. The kernels' own source is compiled for the host against a machine of checked
primitives, with the same types and the same 32-bit arithmetic, and run for every thread; arrays that offer
`__cuda_array_interface__` over host memory stand for device arrays; and the lowest function, `launch.launch`, is
replaced by one that takes the same arguments and runs the twin. An access out of bounds or misaligned, and an
element written twice or never, raises.
"""

from __future__ import annotations

from contextlib import contextmanager
from functools import cache
from types import ModuleType, SimpleNamespace

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from gpu_upsample import arithmetic
from gpu_upsample.cuda import launch, memory
from gpu_upsample.cuda.kernels import KERNELS, THREADS


# ---- the machine of primitives ------------------------------------------------------------------------------
def _register(name):
    """Return functions that read and write an emulated special register."""

    def variable(module):
        found = module.globals.get(name)
        if found is None:
            found = ir.GlobalVariable(module, ir.IntType(32), name)
            found.linkage, found.initializer = "linkonce_odr", ir.Constant(ir.IntType(32), 0)
        return found

    @intrinsic
    def read(typingctx):
        return types.uint32(), lambda context, builder, signature, args: builder.load(variable(builder.module))

    @intrinsic
    def write(typingctx, value):
        def codegen(context, builder, signature, args):
            builder.store(args[0], variable(builder.module))
            return context.get_dummy_value()

        return types.void(types.uint32), codegen

    return read, write


_block, _set_block = _register("twin_ctaid_x")
_thread, _set_thread = _register("twin_tid_x")


@njit(boundscheck=True)
def _load(array, index):
    return array[index]


@njit
def _require_aligned(array, index, count):
    width = count * array.itemsize
    if (array.ctypes.data + index * array.itemsize) % width:
        raise ValueError("misaligned vector access")


@njit(boundscheck=True)
def _load_lanes(array, index, lanes, count):
    _require_aligned(array, index, count)
    for lane in range(count):
        lanes[lane] = array[index + np.uint64(lane)]


@njit(boundscheck=True)
def _store_lanes(target, index, lanes, count):
    array, writes = target
    _require_aligned(array, index, count)
    for lane in range(count):
        array[index + np.uint64(lane)] = lanes[lane]
        writes[index + np.uint64(lane)] += 1


def _memory():
    """Return a module whose `local.array` is an ordinary array, as Numba resolves `numba.cuda`'s."""
    module, local = ModuleType("twin_memory"), ModuleType("twin_memory_local")
    local.array, module.local = np.empty, local
    return module


HOST = SimpleNamespace(
    **vars(arithmetic.build(intrinsic)),
    block=_block,
    thread=_thread,
    memory=_memory(),
    load=_load,
    load_lanes=_load_lanes,
    store_lanes=_store_lanes,
)


@cache
def _kernel(spec):
    builder, _ = KERNELS[type(spec)]
    kernel = njit(boundscheck=True)(builder(HOST, spec))

    @njit
    def run(blocks, threads, *arguments):
        for block in blocks:
            _set_block(np.uint32(block))
            for thread in range(threads):
                _set_thread(np.uint32(thread))
                kernel(*arguments)

    return run


# ---- device arrays over host memory -------------------------------------------------------------------------
_by_address = {}


class _Address:
    def __init__(self, array):
        self._array = array

    @property
    def ptr(self):
        """The address; asking for it remembers which array lies there, with its exact bounds."""
        address = self._array.__array_interface__["data"][0]
        _by_address[address] = self._array
        return address


class TwinArray(np.ndarray):
    """An array that every test for a device array takes for one."""

    device = SimpleNamespace(id=0)
    __module__ = "cupy"

    @property
    def data(self):
        return _Address(self)

    @property
    def __cuda_array_interface__(self):
        return {**self.__array_interface__, "version": 3, "stream": 1}


def to_twin(x):
    """Return a copy of a NumPy array, with its strides, as a device array."""
    copied = np.empty_like(np.lib.stride_tricks.as_strided(x, x.shape, x.strides), subok=False)
    np.copyto(copied, x)
    return copied.view(TwinArray)


_STREAM = SimpleNamespace(ptr=1, is_capturing=lambda: False, wait_event=lambda event: None)


@contextmanager
def _using_allocator(allocator):
    yield


CUPY = SimpleNamespace(
    asarray=lambda x: np.asarray(x).view(TwinArray),
    asnumpy=lambda x: np.array(np.asarray(x), subok=False),
    ascontiguousarray=lambda x: np.ascontiguousarray(x).view(TwinArray),
    empty=lambda shape, dtype: np.empty(shape, dtype).view(TwinArray),
    copyto=np.copyto,
    cuda=SimpleNamespace(
        get_current_stream=lambda: _STREAM,
        using_allocator=_using_allocator,
        Event=lambda disable_timing: SimpleNamespace(record=lambda stream: None),
    ),
)


# ---- the launch ---------------------------------------------------------------------------------------------
launched = []
"""The specialisations that ran since the list was last cleared."""


def run(spec, device, stream, blocks, arguments, only=None):
    """Run a kernel as `launch.launch` would; `only` names the blocks to run, of all of them."""
    launched.append(spec)
    assert blocks < 2**31
    _, signature = KERNELS[type(spec)]
    typed, written = [], None
    for kind, value in zip(signature(spec).args, arguments, strict=True):
        if isinstance(kind, types.CPointer):
            array = np.asarray(_by_address[value]).reshape(-1).view(str(kind.dtype))
            if len(typed) == 1:  # the second parameter is the output
                written = np.zeros(array.size, np.uint8)
                array = (array, written)
            typed.append(array)
        else:
            typed.append(np.dtype(str(kind)).type(value))
    chosen = np.arange(blocks) if only is None else np.asarray(only)
    _kernel(spec)(chosen, THREADS, *typed)
    if only is None and not (written == 1).all():
        raise AssertionError(f"{spec}: elements written {sorted(set(written.tolist()))} times")
    return written


@contextmanager
def installed(run=run):
    """Serve backend 'cuda' by the twin."""
    from gpu_upsample import dispatch
    from gpu_upsample.cuda import availability

    saved = launch.launch, memory.cupy, availability.state
    import gpu_upsample.cuda as backend

    require = backend.require
    launch.launch, memory.cupy, backend.require = run, lambda: CUPY, lambda: None
    dispatch.load.cache_clear()
    try:
        yield
    finally:
        launch.launch, memory.cupy, availability.state = saved
        backend.require = require
        dispatch.load.cache_clear()
        _by_address.clear()
