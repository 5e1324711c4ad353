"""The host twin: every CUDA kernel, run on the host through the whole path of a call.

Only the device is missing. The kernels' own source is compiled for the host against a machine of checked
primitives, with the same types and the same 32-bit arithmetic, and run for every thread; arrays that offer
`__cuda_array_interface__` over host memory stand for device arrays; and the lowest function, `launch.launch`, is
replaced by one that runs the twin. An access out of bounds or misaligned, and an element written twice or never,
raises.
"""

from __future__ import annotations

from functools import cache, partial
from types import ModuleType, SimpleNamespace

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic
from numba.np import arrayobj

from gpu_upsample import arithmetic
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.pooling_backward_kernels import WindowsSpec
from gpu_upsample.cuda.pooling_kernels import PoolSpec
from gpu_upsample.cuda.registry import KERNELS
from gpu_upsample.cuda.unpooling_kernels import FillSpec, PlaceSpec, VoteSpec
from tests import twin_memory
from tests.twin_memory import TwinArray, launched, to_twin

__all__ = ["TwinArray", "installed", "launched", "run", "to_twin"]


# Only compiled code calls these, and no array of theirs is counted: without what other functions need, LLVM has
# less to do.
_compiled = partial(njit, boundscheck=True, no_cpython_wrapper=True, no_cfunc_wrapper=True, _nrt=False)


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


@_compiled
def _load(array, index):
    return array[index]


@_compiled
def _load_near(array, index, offset):
    return array[np.uint64(index) + np.uint64(offset)]


@_compiled
def _together(array, count):
    """Return the bytes of one access to `count` neighbours."""
    lanes = 16 // array.itemsize
    while count % lanes:
        lanes //= 2
    return lanes * array.itemsize


@_compiled
def _require_aligned(array, index, count):
    width = _together(array, count)
    if (array.ctypes.data + index * array.itemsize) % width:
        raise ValueError("misaligned vector access")


@_compiled
def _load_lanes(array, index, lanes, count):
    _require_aligned(array, index, count)
    for lane in range(count):
        lanes[lane] = array[index + np.uint64(lane)]


@_compiled
def _store_lanes(target, index, lanes, count):
    array, writes = target
    _require_aligned(array, index, count)
    for lane in range(count):
        array[index + np.uint64(lane)] = lanes[lane]
        writes[index + np.uint64(lane)] += 1


_ARITHMETIC = arithmetic.build(intrinsic)
_narrow, _BYTE = _ARITHMETIC.narrow, arithmetic.kind_of("uint8")


@_compiled
def _store_bytes(target, index, sums, count):
    array, writes = target
    _require_aligned(array, index, count)
    for lane in range(count):
        array[index + np.uint64(lane)] = _narrow(_BYTE, sums[lane])
        writes[index + np.uint64(lane)] += 1


@_compiled
def _atomic_max(array, index, value):
    array[index] = max(array[index], value)


@intrinsic
def _local_array(typingctx, count, scalar):
    """Return an array on the stack."""
    if not isinstance(count, types.IntegerLiteral):
        return None  # typed again with the literal
    number, array_type = count.literal_value, types.Array(scalar.dtype, 1, "C")

    def codegen(context, builder, signature, args):
        kind = context.get_data_type(array_type.dtype)
        shape, step = (context.get_constant(types.intp, n) for n in (number, context.get_abi_sizeof(kind)))
        array = arrayobj.make_array(array_type)(context, builder)
        data = cgutils.alloca_once(builder, kind, size=number)
        arrayobj.populate_array(array, data=data, shape=[shape], strides=[step], itemsize=step, meminfo=None)
        return array._getvalue()

    return array_type(count, scalar), codegen


def _memory():
    """Return a module whose `local.array` Numba finds as it finds `numba.cuda`'s."""
    module, local = ModuleType("twin_memory"), ModuleType("twin_memory_local")
    local.array, module.local = _local_array, local
    return module


HOST = SimpleNamespace(
    **vars(_ARITHMETIC),
    block=_block,
    thread=_thread,
    memory=_memory(),
    inline=njit(inline="always"),
    load=_load,
    load_near=_load_near,
    load_lanes=_load_lanes,
    store_lanes=_store_lanes,
    store_bytes=_store_bytes,
    atomic_max=_atomic_max,
)


@cache
def _kernel(spec):
    builder, _ = KERNELS[type(spec)]
    kernel = _compiled(builder(HOST, spec))

    @njit(no_cfunc_wrapper=True, _nrt=False)
    def run(blocks, threads, *arguments):
        for block in blocks:
            _set_block(np.uint32(block))
            for thread in range(threads):
                _set_thread(np.uint32(thread))
                kernel(*arguments)

    return run


# ---- the launch ---------------------------------------------------------------------------------------------
def _outputs(spec):
    """Return which parameters are written, and how many of them, from the first on, in each element once."""
    if isinstance(spec, FillSpec):
        return (1, 3), 1
    if isinstance(spec, PlaceSpec):
        return (1,), 0
    if isinstance(spec, VoteSpec | WindowsSpec):
        return (), 0
    places = (1, 2) if isinstance(spec, PoolSpec) and spec.indices else (1,)
    return places, len(places)


def run(spec, device, stream, blocks, arguments, only=None):
    """Run a kernel as `launch.launch` would; `only` names the blocks to run, of all of them."""
    launched.append(spec)
    assert blocks < 2**31
    _, signature = KERNELS[type(spec)]
    typed = twin_memory.typed_arguments(signature(spec), arguments)
    places, whole = _outputs(spec)
    writes = [np.zeros(typed[place].size, np.uint8) for place in places]
    for place, written in zip(places, writes, strict=True):
        typed[place] = (typed[place], written)
    chosen = np.arange(blocks) if only is None else np.asarray(only)
    _kernel(spec)(chosen, THREADS, *typed)
    for written in writes[:whole]:
        if only is None and not (written == 1).all():
            raise AssertionError(f"{spec}: elements written {sorted(set(written.tolist()))} times")
    return writes[0] if writes else None


def installed(run=run):
    """Serve backend 'cuda' by the twin, in a ``with`` block."""
    return twin_memory.installed(run)
