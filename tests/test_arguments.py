"""What a CPU kernel takes, in words of memory and taken apart again."""

from __future__ import annotations

import ctypes
import re
from typing import Any

import numpy as np
import pytest

from gpu_upsample.cpu.arguments import Given, Room, Tables, Words, type_of, unpack
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.record import ARGUMENTS, COST, FUNCTION, MOST_GIVEN, ROOM
from gpu_upsample.cpu.work import work

INTEGERS = [np.int8, np.uint8, np.int16, np.uint16, np.int32, np.uint32, np.int64, np.uint64]
SCALARS = [*INTEGERS, np.float32, np.float64]


@Kernel
def scalar_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    out, value, number, flag = unpack(arguments, scratch)
    for row in range(first, last):
        out[row] = value
    if flag and number == -7:
        out[first] = 0


@pytest.mark.parametrize("scalar", SCALARS)
@pytest.mark.parametrize("flag", [True, False, np.True_, np.False_])
def test_a_scalar_keeps_its_type_and_its_bits(scalar: Any, flag: Any) -> None:
    limits = np.iinfo(scalar) if issubclass(scalar, np.integer) else np.finfo(scalar)
    for value in (limits.min, limits.max, 3):
        expected = np.full(4, value, scalar)
        if flag:
            expected[0] = 0
        out = np.zeros(4, scalar)
        work(scalar_kernel, out, scalar(value), -7, flag, rows=4).run()
        np.testing.assert_array_equal(out, expected)


@Kernel
def array_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    out, (cube, (scale, record)), line, room = unpack(arguments, scratch)
    for row in range(first, last):
        room[:] = 0
        line[:] = 0
        for i in range(cube.shape[1]):
            for j in range(cube.shape[2]):
                room[i, j] += cube[row, i, j]
                line[j] += room[i, j]
        for j in range(line.size):
            out[row, j] = line[j] * scale + record[1].offset[0] + room.shape[0]


def test_arrays_keep_their_shape_and_each_room_is_its_own() -> None:
    cube = np.arange(5 * 3 * 7.0).reshape(5, 3, 7)
    record = np.array([((1, 2), 3.0), ((40, 50), 6.0)], [("offset", np.int64, 2), ("other", np.float64)])
    out = np.zeros((5, 7))
    with pytest.raises(AttributeError):  # a float of Python's own: whoever packs says which it is
        work(array_kernel, out, (cube, (2.0, record)), rows=5)
    rooms = Room(np.float64, (7,)), Room("float64", (3, 7))
    expected = cube.sum(axis=1) * 2 + 40 + 3
    work(array_kernel, out, (cube, (np.float64(2.0), record)), *rooms, rows=5).run()
    np.testing.assert_array_equal(out, expected)


@Kernel
def stride_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    out, cube = unpack(arguments, scratch)
    for axis in range(3):
        out[axis] = cube.strides[axis]


def test_arrays_keep_their_strides() -> None:
    out, cube = np.zeros(3, np.int64), np.zeros((5, 3, 7), np.int16)
    work(stride_kernel, out, cube, rows=1).run()
    assert tuple(out) == cube.strides


@Kernel
def sum_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    (a, b), three, c, d, e = unpack(arguments, scratch)
    for row in range(first, last):
        e[row, 0] = three * (a[row] + b[0, row, 1] + c[row] + d[row])


def test_every_call_gives_its_arrays_as_a_kernel_takes_them() -> None:
    """Whatever they are, they are so many bytes."""
    shapes = (4,), (1, 4, 2), (4,), (4,), (4, 1)
    a, b, c, d, e = (Given(np.int64, shape) for shape in shapes)
    done = work(sum_kernel, (a, b), 3, c, d, e, rows=4)
    for number in (1, 2):
        arrays = [np.full(shape, number << (8 * i), np.int64).ravel() for i, shape in enumerate(shapes)]
        for array in arrays[:-1]:
            array.flags.writeable = False
        done.run(*[array.view(np.uint16) for array in arrays])
        np.testing.assert_array_equal(arrays[-1], np.full(4, 3 * number * 0x01010101))


@pytest.mark.parametrize("sizes", [(), (8,), (4, 8), (8, 3), (8, 4, 1), (8, 4, 0, 0, 1)])
def test_arrays_of_other_sizes_are_refused(sizes: tuple[int, ...]) -> None:
    """A kernel reads and writes as much as it was told."""
    done = work(scalar_kernel, Given(np.float64, (1,)), np.float64(1), Given(np.int8, (4,)), False, rows=1)
    arrays = [np.zeros(size, np.uint8) for size in sizes]
    given = [*sizes, *[0] * (MOST_GIVEN - len(sizes))]
    with pytest.raises(ValueError, match=re.escape(f"a work on arrays of [8, 4, 0, 0, 0] bytes got {given}")):
        done.run(*arrays)
    assert not any(array.any() for array in arrays)


def test_a_work_costs_the_bytes_of_its_arrays_unless_it_is_told_and_its_rows() -> None:
    arrays = Given(np.float64, (3, 5)), np.float64(1), Given(np.int8, (7,)), False
    for rows in (1, 20):
        assert work(scalar_kernel, *arrays, rows=rows).record[COST] == 127 + 256 * rows
        assert work(scalar_kernel, *arrays, rows=rows, cost=1000).record[COST] == 1000 + 256 * rows
    assert work(scalar_kernel, *arrays, rows=1, cost=1 << 80).record[COST] == 1 << 62


def test_a_call_gives_only_so_many_arrays() -> None:
    with pytest.raises(ValueError, match=f"a call gives at most {MOST_GIVEN} arrays, not {MOST_GIVEN + 1}"):
        work(scalar_kernel, (Given(np.int8, (1,)),) * (MOST_GIVEN + 1), rows=1)


def test_rooms_begin_at_cache_lines_and_do_not_overlap() -> None:
    packed = Words()
    for room in Room(np.uint8, (65,)), Room(np.float32, (3, 5)), Room(np.int64, (0,)), Room(np.int16, (1,)):
        packed.add(room)
    assert [packed.words[place] for place in (0, 2, 5, 7)] == [0, 128, 192, 192]
    assert packed.room == 256


def test_what_does_not_follow_one_another_is_refused() -> None:
    with pytest.raises(TypeError, match="do not follow one another"):
        Words().add(np.zeros((4, 4))[:, ::2])


def test_one_kernel_serves_all_arguments_of_the_same_types() -> None:
    def type_of_arguments(*values: Any) -> Any:
        packed = Words()
        return type_of(tuple(map(packed.add, values)))

    first = type_of_arguments(np.zeros(3), 1, (2, True), Room(np.int8, (4,)))
    locked = np.zeros(5)
    locked.flags.writeable = False
    assert type_of_arguments(locked, 7, (8, False), Room(np.int8, (9,))) is first
    pair, tables = (np.zeros(3), np.zeros(2, np.int8)), Tables(np.ones(3), np.ones(2, np.int8))
    assert type_of_arguments(1, pair) is type_of_arguments(1, tables)
    others = [
        (np.zeros(3, np.float32), 1, (2, True), Room(np.int8, (4,))),
        (np.zeros((3, 1)), 1, (2, True), Room(np.int8, (4,))),
        (np.zeros(3), np.int32(1), (2, True), Room(np.int8, (4,))),
        (np.zeros(3), 1, (2, 1), Room(np.int8, (4,))),
        (np.zeros(3), 1, 2, True, Room(np.int8, (4,))),
        (np.zeros(3), 1, (2, True), Room(np.int8, (4, 1))),
        (np.zeros(3), 1, (2, True), np.zeros(4, np.int8)),
    ]
    kinds = {type_of_arguments(*other) for other in others}
    assert len(kinds | {first}) == len(others) + 1


def test_a_kernel_is_a_function_of_c() -> None:
    """Whatever calls it by its address need not be Python."""
    out = np.zeros(3)
    record = work(scalar_kernel, out, np.float64(2.5), 0, False, rows=3).record
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    kind(int(record[FUNCTION]))(1, 3, record[ARGUMENTS:].ctypes.data, None)
    assert record[ROOM] == 0
    np.testing.assert_array_equal(out, [0, 2.5, 2.5])
