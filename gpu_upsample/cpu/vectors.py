"""Vector registers for Numba: scalars side by side, as LLVM's vectors are, on which the arithmetic works lane by lane.

LLVM's own vectoriser gives up where samples are gathered, where more than a few arrays could overlap, and on stores
that pass the caches by. These few functions say what is meant; LLVM splits a vector that the machine does not have
into what it has.

All arrays are flat and contiguous, and nothing is checked: the caller keeps within them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
from llvmlite import binding, ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, lower_cast, models, register_model

from gpu_upsample.arithmetic import Vector

primitive: Any = intrinsic(prefer_literal=True)  # what it decorates is called without the first parameter

BYTES = 64
"""Bytes of a vector of accumulators: a cache line."""

_PAGE = 1 << 12

X86 = binding.get_process_triple().startswith(("x86_64", "i386", "i686"))
"""Whether this machine is one of those that have LLVM's functions for x86."""


def aligned(size: int, dtype: Any) -> Any:
    """Return an uninitialised flat array that begins at the start of a cache line."""
    length = size * np.dtype(dtype).itemsize
    held = np.empty(length + BYTES, np.uint8)
    begin = -held.ctypes.data % BYTES
    return held[begin : begin + length].view(dtype)


def aligned_copy(table: Any) -> Any:
    """Return a copy of a flat array that begins at the start of a cache line."""
    copied = aligned(table.size, table.dtype)
    copied[:] = table
    return copied


@register_model(Vector)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        scalar = dmm.lookup(fe_type.scalar).get_value_type()
        super().__init__(dmm, fe_type, ir.VectorType(scalar, fe_type.lanes))


@lower_cast(Vector, Vector)
def _cast(context: Any, builder: Any, given: Any, wanted: Any, value: Any) -> Any:
    """Let what was widened to one floating-point type be added up in another, as it may be on scalars."""
    convert = builder.fpext if wanted.scalar.bitwidth > given.scalar.bitwidth else builder.fptrunc
    return convert(value, context.get_value_type(wanted))


def place_of(context: Any, builder: Any, array_type: Any, array: Any, at: Any) -> Any:
    """Return the pointer to one element of an array, or behind another pointer."""
    if isinstance(array_type, types.CPointer):
        return builder.gep(array, [at])
    if array_type.layout != "C":
        raise TypeError(f"the elements of {array_type} do not follow one another")
    return builder.gep(context.make_array(array_type)(context, builder, array).data, [at])


def vector_place_of(context: Any, builder: Any, array_type: Any, array: Any, at: Any, lanes: int) -> Any:
    """Return the pointer to a vector that begins with one element of an array."""
    place = place_of(context, builder, array_type, array, at)
    return builder.bitcast(place, ir.VectorType(place.type.pointee, lanes).as_pointer())


def shuffled(builder: Any, a: Any, b: Any, lanes: Iterable[int]) -> Any:
    """Emit a vector of lanes of two vectors, which are numbered as if `b` followed `a`."""
    numbers = list(lanes)
    return builder.shuffle_vector(a, b, ir.Constant(ir.VectorType(ir.IntType(32), len(numbers)), numbers))


def splat_value(builder: Any, value: Any, lanes: int) -> Any:
    """Emit a vector of one LLVM value."""
    none = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
    single = builder.insert_element(none, value, ir.Constant(ir.IntType(32), 0))
    return shuffled(builder, single, none, [0] * lanes)


@primitive
def pointer(typingctx: Any, array: Any, at: Any) -> Any:
    """Return where an element lies, as what the other functions take for an array.

    To choose between arrays, Numba would count references, each time waiting until all stores have arrived.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return place_of(context, builder, array, args[0], args[1])

    return types.CPointer(array.dtype)(array, types.intp), codegen


@primitive
def aligned_pointer(typingctx: Any, array: Any, place: Any) -> Any:
    """Return where an array may begin for its element `place` to be at the start of a cache line."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        size, number = array.dtype.bitwidth // 8, args[1].type
        zero, least = ir.Constant(number, 0), ir.Constant(number, BYTES - 1)
        address = builder.ptrtoint(place_of(context, builder, array, args[0], args[1]), number)
        astray = builder.and_(builder.sub(zero, address), least)
        return place_of(context, builder, array, args[0], builder.udiv(astray, ir.Constant(number, size)))

    return types.CPointer(array.dtype)(array, types.intp), codegen


def _invariant(builder: Any, value: Any) -> Any:
    """Mark a load of what nobody writes to."""
    value.set_metadata("invariant.load", builder.module.add_metadata([]))
    return value


def _loading(lanes: Any, array: Any, finished: Callable[[Any, Any], Any]) -> Any:
    """Return the signature and the code of a load, of which `finished` makes its value."""
    number = lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = vector_place_of(context, builder, array, args[1], args[2], number)
        return finished(builder, builder.load(place, align=array.dtype.bitwidth // 8))

    return Vector(array.dtype, number)(lanes, array, types.intp), codegen


@primitive
def load(typingctx: Any, lanes: Any, array: Any, at: Any) -> Any:
    """Return as many elements of an array, from one on; they need not be aligned."""
    return _loading(lanes, array, lambda builder, value: value)


def strided(builder: Any, place: Any, lanes: int, step: int) -> Any:
    """Emit a vector of elements, each `step` behind the one before; those between and behind the last are read, too."""
    size = ir.IntType(64)
    whole = builder.bitcast(place, ir.VectorType(place.type.pointee, lanes).as_pointer())
    parts = [builder.gep(whole, [ir.Constant(size, part)]) for part in range(step)]
    picked, *others = (builder.load(part, align=1) for part in parts)
    if others:
        picked = shuffled(builder, picked, picked, [min(lane * step, lanes - 1) for lane in range(lanes)])
    for part, value in enumerate(others, 1):
        own = (lane * step - part * lanes for lane in range(lanes))
        chosen = [lanes + at if 0 <= at < lanes else lane for lane, at in enumerate(own)]
        picked = shuffled(builder, picked, value, chosen)
    return picked


@primitive
def load_apart(typingctx: Any, lanes: Any, step: Any, array: Any, at: Any) -> Any:
    """Return as many elements of an array, each `step` behind the one before, as `strided` reads them."""
    number, apart = lanes.literal_value, step.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return strided(builder, place_of(context, builder, array, *args[2:]), number, apart)

    return Vector(array.dtype, number)(lanes, step, array, types.intp), codegen


@primitive
def load_within(typingctx: Any, lanes: Any, array: Any, at: Any, step: Any, size: Any, other: Any) -> Any:
    """Return as many elements of an array, each `step` behind the one before, and `other` beyond the `size` it has."""
    number = lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, held, at, step, size, other = args
        value = ir.Constant(ir.VectorType(context.get_data_type(array.dtype), number), ir.Undefined)
        for lane in range(number):
            inside = builder.icmp_unsigned("<", at, size)
            place = builder.select(inside, at, ir.Constant(at.type, 0))
            element = builder.load(place_of(context, builder, array, held, place))
            element = builder.select(inside, element, other)
            value = builder.insert_element(value, element, ir.Constant(ir.IntType(32), lane))
            at = builder.add(at, step)
        return value

    whole = types.intp
    return Vector(array.dtype, number)(lanes, array, whole, whole, whole, array.dtype), codegen


@primitive
def table(typingctx: Any, lanes: Any, array: Any, at: Any) -> Any:
    """Return as many elements of an array that nobody writes to: the load may move out of a loop."""
    return _loading(lanes, array, _invariant)


@primitive
def store(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector; it need not be aligned."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = vector_place_of(context, builder, array, args[0], args[1], vector.lanes)
        value = args[2]
        if vector.scalar != array.dtype:
            value = context.cast(builder, value, vector, Vector(array.dtype, vector.lanes))
        builder.store(value, place, align=array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@primitive
def copy(typingctx: Any, array: Any, at: Any, source: Any, start: Any, count: Any) -> Any:
    """Copy `count` elements from one array to another of the same type."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        to = place_of(context, builder, array, args[0], args[1])
        given = place_of(context, builder, source, args[2], args[3])
        cgutils.raw_memcpy(builder, to, given, args[4], array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp, types.intp), codegen


def _store_past(builder: Any, value: Any, place: Any, align: int) -> None:
    """Emit a store past the caches."""
    written = builder.store(value, place, align=align)
    written.set_metadata("nontemporal", builder.module.add_metadata([ir.Constant(ir.IntType(32), 1)]))


@primitive
def stream(typingctx: Any, array: Any, at: Any, vector: Any) -> Any:
    """Write a vector of whole cache lines, or an aligned part of one, past the caches."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = vector_place_of(context, builder, array, args[0], args[1], vector.lanes)
        _store_past(builder, args[2], place, min(BYTES, vector.lanes * array.dtype.bitwidth // 8))
        return context.get_dummy_value()

    return types.void(array, types.intp, vector), codegen


@primitive
def stream_line(typingctx: Any, array: Any, at: Any, source: Any, start: Any) -> Any:
    """Copy a cache line from one array to another of the same type, past the caches."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes = BYTES * 8 // array.dtype.bitwidth
        value = builder.load(vector_place_of(context, builder, source, args[2], args[3], lanes), align=BYTES)
        _store_past(builder, value, vector_place_of(context, builder, array, args[0], args[1], lanes), BYTES)
        return context.get_dummy_value()

    return types.void(array, types.intp, source, types.intp), codegen


def _fetching(array: Any, writes: int, ahead: int = 0) -> Any:
    """Return the signature and the code of a fetch of the cache line so many bytes behind an element.

    There may be no such line.
    """

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer, number = ir.IntType(8).as_pointer(), ir.IntType(32)
        place = builder.bitcast(place_of(context, builder, array, args[0], args[1]), pointer)
        place = builder.gep(place, [ir.Constant(number, ahead)])
        kind = ir.FunctionType(ir.VoidType(), [pointer, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
        write, near, data = (ir.Constant(number, value) for value in (writes, 3, 1))
        builder.call(function, [place, write, near, data])
        return context.get_dummy_value()

    return types.void(array, types.intp), codegen


@primitive
def fetch(typingctx: Any, array: Any, at: Any) -> Any:
    """Fetch the cache line of an element that will be read soon, without waiting; there may be no such element."""
    return _fetching(array, 0)


@primitive
def fetch_a_page_ahead(typingctx: Any, array: Any, at: Any) -> Any:
    """Fetch the cache line a page behind an element, as `fetch`: by itself, a processor fetches none beyond a page."""
    return _fetching(array, 0, _PAGE)


@primitive
def fetch_to_write(typingctx: Any, array: Any, at: Any) -> Any:
    """Fetch the cache line of an element that will be written soon, for this processor alone; as `fetch`."""
    return _fetching(array, 1)


@primitive
def fence(typingctx: Any) -> Any:
    """Wait until all that was streamed can be seen by other threads."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        builder.fence("seq_cst")
        return context.get_dummy_value()

    return types.void(), codegen


@primitive
def store_first(typingctx: Any, array: Any, at: Any, vector: Any, count: Any) -> Any:
    """Write the first `count` elements of a vector."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(context, builder, array, args[0], args[1])
        whole = cgutils.alloca_once_value(builder, args[2])
        cgutils.raw_memcpy(builder, place, builder.bitcast(whole, place.type), args[3], array.dtype.bitwidth // 8)
        return context.get_dummy_value()

    return types.void(array, types.intp, vector, types.intp), codegen


@primitive
def store_apart(typingctx: Any, run: Any, apart: Any, array: Any, at: Any, vector: Any, begin: Any, end: Any) -> Any:
    """Write the elements of a vector from `begin` up to `end`: each `run` of them lies `apart` behind the one before.

    Nothing else is touched. Without masks in registers, LLVM does this one element after another.
    """
    length, step = run.literal_value, apart.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lanes, index = vector.lanes // length * step, ir.IntType(32)
        written = [lane // step * length + lane % step if lane % step < length else -1 for lane in range(lanes)]
        value = shuffled(builder, args[4], args[4], [max(0, element) for element in written])
        kind = ir.VectorType(index, lanes)
        element = ir.Constant(kind, [of_lane if of_lane >= 0 else 2**31 - 1 for of_lane in written])
        low, high = (splat_value(builder, builder.trunc(bound, index), lanes) for bound in args[5:])
        chosen = builder.and_(builder.icmp_signed(">=", element, low), builder.icmp_signed("<", element, high))
        place = builder.bitcast(place_of(context, builder, array, args[2], args[3]), value.type.as_pointer())
        takes = ir.FunctionType(ir.VoidType(), [value.type, place.type, index, chosen.type])
        name = f"llvm.masked.store.v{lanes}{value.type.element.intrinsic_name}.p0"
        masked = cgutils.get_or_insert_function(builder.module, takes, name)
        builder.call(masked, [value, place, ir.Constant(index, array.dtype.bitwidth // 8), chosen])
        return context.get_dummy_value()

    return types.void(run, apart, array, types.intp, vector, types.intp, types.intp), codegen


@primitive
def load_first(typingctx: Any, lanes: Any, array: Any, at: Any, count: Any) -> Any:
    """Return a vector of `count` elements of an array; what follows them in the vector means nothing."""
    number = lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        place = place_of(context, builder, array, args[1], args[2])
        kind = ir.VectorType(place.type.pointee, number)
        whole = cgutils.alloca_once_value(builder, ir.Constant(kind, None))
        cgutils.raw_memcpy(builder, builder.bitcast(whole, place.type), place, args[3], array.dtype.bitwidth // 8)
        return builder.load(whole)

    return Vector(array.dtype, number)(lanes, array, types.intp, types.intp), codegen


@primitive
def splat(typingctx: Any, lanes: Any, value: Any) -> Any:
    """Return a vector of one value."""
    scalar, number = types.unliteral(value), lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return splat_value(builder, args[1], number)

    return Vector(scalar, number)(lanes, scalar), codegen


@primitive
def entry(typingctx: Any, table: Any, at: Any) -> Any:
    """Return one element of an array that nobody writes to: the load may move out of a loop."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return _invariant(builder, builder.load(place_of(context, builder, table, *args)))

    return table.dtype(table, types.intp), codegen


@primitive
def entries(typingctx: Any, number: Any, table: Any, at: Any) -> Any:
    """Return `number` elements of an array that nobody writes to, from one on, as a tuple."""
    count = number.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        places = (builder.add(args[2], ir.Constant(args[2].type, i)) for i in range(count))
        values = [_invariant(builder, builder.load(place_of(context, builder, table, args[1], at))) for at in places]
        return context.make_tuple(builder, signature.return_type, values)

    return types.UniTuple(table.dtype, count)(number, table, types.intp), codegen


@primitive
def where_below(typingctx: Any, k: Any, count: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` where `k` lies below `count`, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = builder.trunc(args[0], args[1].type.element)
        counted = builder.icmp_signed("<", splat_value(builder, number, new.lanes), args[1])
        return builder.select(counted, args[2], args[3])

    return new(types.intp, count, new, new), codegen


@primitive
def where_nonzero(typingctx: Any, factor: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` where `factor` is not zero, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        zero = ir.Constant(args[0].type, None)
        integer = isinstance(args[0].type.element, ir.IntType)
        differs = builder.icmp_unsigned if integer else builder.fcmp_unordered
        return builder.select(differs("!=", args[0], zero), args[1], args[2])

    return new(new, new, new), codegen


@primitive
def where_bits(typingctx: Any, bits: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` whose bit is set, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        number = builder.trunc(args[0], ir.IntType(new.lanes)) if bits.bitwidth > new.lanes else args[0]
        chosen = builder.bitcast(number, ir.VectorType(ir.IntType(1), new.lanes))
        return builder.select(chosen, *args[1:])

    return new(bits, new, new), codegen


@primitive
def exceeds(typingctx: Any, new: Any, old: Any) -> Any:
    """Return for each lane whether `new` lies above `old`, or is a NaN."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if isinstance(new.scalar, types.Float):
            return builder.or_(builder.fcmp_ordered(">", *args), builder.fcmp_unordered("uno", args[0], args[0]))
        return (builder.icmp_signed if new.scalar.signed else builder.icmp_unsigned)(">", *args)

    return Vector(types.boolean, new.lanes)(new, new), codegen


@primitive
def where(typingctx: Any, chosen: Any, new: Any, old: Any) -> Any:
    """Return the lanes of `new` that are chosen, and of `old` elsewhere."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.select(*args)

    return new(chosen, new, new), codegen


@primitive
def count_within(typingctx: Any, lanes: Any, array: Any, at: Any, low: Any, span: Any, of: Any, shift: Any) -> Any:
    """Return how many of so many elements lie from a lowest number on, and less than a span behind it.

    `low` and `span` have a number for each of the elements, from `of` on; `shift` is added to the lowest.
    """
    number = lanes.literal_value

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        _, elements, at, lows, spans, of, shift = args
        value, least, length = (
            builder.load(vector_place_of(context, builder, kind, held, at, number), align=kind.dtype.bitwidth // 8)
            for kind, held, at in ((array, elements, at), (low, lows, of), (span, spans, of))
        )
        if array.dtype.bitwidth < 64:
            value = builder.sext(value, least.type)
        offset = builder.sub(builder.sub(value, least), splat_value(builder, shift, number))
        hits = builder.bitcast(builder.icmp_unsigned("<", offset, length), ir.IntType(number))
        return builder.zext(builder.ctpop(hits), shift.type)

    return types.intp(lanes, array, types.intp, low, span, types.intp, types.intp), codegen
