"""What a kernel takes, packed into words of memory once, as those of a launch on a GPU are.

A call of a compiled function looks at each of its arguments, which for two dozen of them takes longer than a small
array does, and only a thread that has the GIL can make one. A kernel reads words instead, wherever it runs.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import cache
from math import prod
from typing import Any, NamedTuple

import numpy as np
from llvmlite import ir
from numba import from_dtype, typeof, types
from numba.extending import models, register_model

from gpu_upsample.cpu.compiled import compiled
from gpu_upsample.cpu.vectors import BYTES, primitive

_WORD, _BYTE = ir.IntType(64), ir.IntType(8)
_UINT8 = np.dtype(np.uint8)


class Room(NamedTuple):
    """An uninitialised array that every thread needs for itself; it begins at the start of a cache line.

    Attributes
    ----------
    dtype : dtype
        What its elements are.
    shape : tuple of int
        How many there are along each axis.
    """

    dtype: Any
    shape: tuple[int, ...]


class Given(NamedTuple):
    """An array that each call gives anew: flat bytes, which a kernel takes for what is told here.

    Attributes
    ----------
    dtype : dtype
        What its elements are.
    shape : tuple of int
        How many there are along each axis.
    """

    dtype: Any
    shape: tuple[int, ...]

    @property
    def nbytes(self) -> int:
        """Bytes of all of them."""
        return prod(self.shape) * int(np.dtype(self.dtype).itemsize)


def record_of_fields(dtype: Any, **fields: Any) -> Any:
    """Return an array of one record, with a value for each of its fields.

    Examples
    --------
    >>> record_of_fields(np.dtype([("step", np.int64), ("size", np.int64, 2)]), step=3, size=(4, 5))
    array([(3, [4, 5])], dtype=[('step', '<i8'), ('size', '<i8', (2,))])
    """
    record = np.zeros(1, dtype)
    for name in dtype.names:
        record[name] = fields[name]
    return record


class _RoomType(types.Type):
    """The Numba type of a `Room`."""

    def __init__(self, array: Any) -> None:
        self.array = array
        super().__init__(name=f"Room({array})")


class Arguments(types.Type):
    """The Numba type of packed arguments.

    Parameters
    ----------
    kinds : tuple of numba.types.Type
        The type of each argument.
    """

    def __init__(self, kinds: tuple[Any, ...]) -> None:
        self.kinds = kinds
        super().__init__(name=f"Arguments({kinds})")


@register_model(Arguments)
class _ArgumentsModel(models.PrimitiveModel):
    def __init__(self, dmm: Any, fe_type: Any) -> None:
        super().__init__(dmm, fe_type, _WORD.as_pointer())


# ---- addresses ----------------------------------------------------------------------------------------------
@primitive
def address(typingctx: Any, array: Any) -> Any:
    """Return the address of an array's first element."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.ptrtoint(context.make_array(array)(context, builder, args[0]).data, _WORD)

    return types.int64(array), codegen


@compiled
def _address(array):
    return address(array)


class _Unlocked:
    """The memory of an array, to which nothing is to be written all the same."""

    def __init__(self, array: Any) -> None:
        self._held, (address, _) = array, array.__array_interface__["data"]
        self.__array_interface__ = array.__array_interface__ | {"data": (address, False)}


def bytes_of(flat: Any) -> Any:
    """Return the bytes of a flat contiguous array, as an array that may be written to.

    To Numba, an array that must not be has another type, which it would compile another function for.
    """
    view = flat.view(_UINT8)
    return view if view.flags.writeable else np.asarray(_Unlocked(view))


def address_of(array: Any) -> int:
    """Return the address of the first element of a contiguous array, sooner than NumPy does."""
    found: int = _address(bytes_of(array.reshape(-1)))
    return found


# ---- to words -------------------------------------------------------------------------------------------------
class Words:
    """Arguments that are packed one after another.

    An array is the address of its first element and its lengths; a `Room` is how many bytes it lies behind the
    beginning of a thread's own memory, and its lengths; a scalar is its bits. Whoever packs an array keeps it.

    Attributes
    ----------
    words : list of int
        What was packed.
    given : list of (int, int)
        For each `Given`, which word its address becomes, and its bytes.
    room : int
        Bytes of memory that a thread needs.
    """

    def __init__(self) -> None:
        self.words: list[int] = []
        self.given: list[tuple[int, int]] = []
        self.room = 0

    def add(self, value: Any) -> Any:
        """Add an argument, and return what it is: its Python type, and that of its elements if it has any."""
        return _ADD.get(type(value), _add_scalar)(self, value)


class Tables:
    """Arrays that are packed once for many kernels, which take them as a tuple.

    Parameters
    ----------
    arrays : tuple of ndarray
        The arrays.
    """

    def __init__(self, *arrays: Any) -> None:
        packed = Words()
        self.arrays = arrays
        self.kind = packed.add(arrays)
        self.words = packed.words


def _in_whole_lines(size: int) -> int:
    """Return the bytes of the cache lines that hold so many."""
    return -(-size // BYTES) * BYTES


def _add_integer(packed: Words, value: int) -> Any:
    packed.words.append(value)
    return type(value)


def _add_scalar(packed: Words, value: Any) -> Any:
    packed.words.append(int.from_bytes(value.tobytes(), sys.byteorder, signed=True))
    return type(value)


def _add_array(packed: Words, value: Any) -> Any:
    if not value.flags.c_contiguous:
        raise TypeError(f"the elements of an array of shape {value.shape} do not follow one another")
    packed.words += (address_of(value), *value.shape)
    return np.ndarray, value.dtype, value.ndim


def _add_given(packed: Words, value: Given) -> Any:
    packed.given.append((len(packed.words), value.nbytes))
    packed.words += (0, *value.shape)
    return np.ndarray, np.dtype(value.dtype), len(value.shape)


def _add_room(packed: Words, value: Room) -> Any:
    dtype = np.dtype(value.dtype)
    packed.words += (packed.room, *value.shape)
    packed.room += _in_whole_lines(prod(value.shape) * dtype.itemsize)
    return Room, dtype, len(value.shape)


def _add_tables(packed: Words, value: Tables) -> Any:
    packed.words += value.words
    return value.kind


def _add_tuple(packed: Words, value: tuple[Any, ...]) -> Any:
    return tuple, *map(packed.add, value)


_ADD: dict[type, Callable[[Words, Any], Any]] = {
    bool: _add_integer,
    int: _add_integer,
    np.ndarray: _add_array,
    Given: _add_given,
    Room: _add_room,
    Tables: _add_tables,
    tuple: _add_tuple,
}
"""How the arguments of a type are packed; those of others are scalars of NumPy's."""


@cache
def type_of(kinds: tuple[Any, ...]) -> Arguments:
    """Return the Numba type of arguments, given what `Words.add` returned."""
    return Arguments(tuple(map(_type_of, kinds)))


def _type_of(kind: Any) -> Any:
    """Return the Numba type of one argument."""
    if not isinstance(kind, tuple):
        return typeof(kind())
    container, *elements = kind
    if container is tuple:
        return types.BaseTuple.from_types(tuple(map(_type_of, elements)))
    dtype, axes = elements
    array = types.Array(from_dtype(dtype), axes, "C")
    return _RoomType(array) if container is Room else array


# ---- from words -----------------------------------------------------------------------------------------------
class _Reader:
    """Emits the code that takes words apart, one after another."""

    def __init__(self, context: Any, builder: Any, words: Any, scratch: Any) -> None:
        self._context, self._builder, self._words, self._scratch = context, builder, words, scratch
        self._next = 0

    def _word(self) -> Any:
        place = self._builder.gep(self._words, [ir.Constant(_WORD, self._next)])
        self._next += 1
        return self._builder.load(place)

    def value(self, kind: Any) -> Any:
        """Emit the value of a type that comes next."""
        builder, context = self._builder, self._context
        if isinstance(kind, _RoomType):
            return self._array(kind.array, builder.ptrtoint(builder.gep(self._scratch, [self._word()]), _WORD))
        if isinstance(kind, types.Array):
            return self._array(kind, self._word())
        if isinstance(kind, types.BaseTuple):
            items: Any = kind
            return context.make_tuple(builder, kind, [self.value(item) for item in items])
        wanted = context.get_value_type(kind)
        bits = builder.trunc(self._word(), ir.IntType(getattr(kind, "bitwidth", 1)))  # a flag has no width
        return builder.bitcast(bits, wanted)

    def _array(self, kind: Any, address: Any) -> Any:
        from numba.np.arrayobj import populate_array  # of the compiler, which kernels on disk do without

        builder, context = self._builder, self._context
        size = context.get_abi_sizeof(context.get_data_type(kind.dtype))
        item = ir.Constant(_WORD, size)
        shape = [self._word() for _ in range(kind.ndim)]
        strides = [item]
        for length in shape[:0:-1]:
            strides.insert(0, builder.mul(strides[0], length))
        array = context.make_array(kind)(context, builder)
        data = builder.inttoptr(address, context.get_data_type(kind.dtype).as_pointer())
        populate_array(array, data=data, shape=shape, strides=strides, itemsize=item, meminfo=None)
        return array._getvalue()


@primitive
def unpack(typingctx: Any, arguments: Any, scratch: Any) -> Any:
    """Return packed arguments as a tuple; `scratch` is the memory of the thread."""
    values = [kind.array if isinstance(kind, _RoomType) else kind for kind in arguments.kinds]

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        reader = _Reader(context, builder, *args)
        return context.make_tuple(builder, signature.return_type, [reader.value(kind) for kind in arguments.kinds])

    return types.BaseTuple.from_types(values)(arguments, scratch), codegen


@primitive
def call(typingctx: Any, function: Any, first: Any, last: Any, words: Any, scratch: Any) -> Any:
    """Call a kernel by its address, for the rows from first up to last; words and scratch are addresses, too."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        pointer = _BYTE.as_pointer()
        kind = ir.FunctionType(pointer, [_WORD, _WORD, pointer, pointer])  # as Numba returns nothing
        function, first, last, words, scratch = args
        builder.call(
            builder.inttoptr(function, kind.as_pointer()),
            [first, last, builder.inttoptr(words, pointer), builder.inttoptr(scratch, pointer)],
        )
        return context.get_dummy_value()

    return types.void(*[types.int64] * 5), codegen
