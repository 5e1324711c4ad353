"""What a CPU kernel takes, in words of memory and taken apart again."""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
import pytest

from gpu_upsample.cpu.arguments import Room, Tables, Words, type_of, unpack
from gpu_upsample.cpu.compiled import Kernel
from gpu_upsample.cpu.launch import Launch
from gpu_upsample.cpu.record import ARGUMENTS, FUNCTION, ROOM

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
        Launch(scalar_kernel, scalar(value), -7, flag).run((out,), 4, 0, 1)
        np.testing.assert_array_equal(out, expected)
        out[:] = 1
        Launch(scalar_kernel).run((out, scalar(value), -7, flag), 4, 0, 1)
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
        Launch(array_kernel, (cube, (2.0, record)))
    rooms = Room(np.float64, (7,)), Room("float64", (3, 7))
    expected = cube.sum(axis=1) * 2 + 40 + 3
    Launch(array_kernel, (cube, (np.float64(2.0), record)), *rooms).run((out,), 5, 0, 1)
    np.testing.assert_array_equal(out, expected)
    out[:] = 0
    Launch(array_kernel, rooms[1]).run((out, (cube, (np.float64(2.0), record)), rooms[0]), 5, 0, 1)
    np.testing.assert_array_equal(out, expected)


@Kernel
def stride_kernel(first, last, arguments, scratch):  # type: ignore[no-untyped-def]
    out, cube = unpack(arguments, scratch)
    for axis in range(3):
        out[axis] = cube.strides[axis]


def test_arrays_keep_their_strides() -> None:
    out, cube = np.zeros(3, np.int64), np.zeros((5, 3, 7), np.int16)
    Launch(stride_kernel, cube).run((out,), 1, 0, 1)
    assert tuple(out) == cube.strides


def test_two_calls_may_be_packed_at_a_time() -> None:
    launch, first, second = Launch(scalar_kernel, np.float64(1), 0, False), np.zeros(2), np.zeros(3)
    record = launch.record((first,), 2, 0, 1)
    assert launch.record((second,), 3, 0, 1)[ARGUMENTS] == second.ctypes.data
    assert record[ARGUMENTS] == first.ctypes.data


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
    record = Launch(scalar_kernel, np.float64(2.5), 0, False).record((out,), 3, 0, 1)
    kind = ctypes.CFUNCTYPE(None, ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p)
    kind(int(record[FUNCTION]))(1, 3, record[ARGUMENTS:].ctypes.data, None)
    assert record[ROOM] == 0
    np.testing.assert_array_equal(out, [0, 2.5, 2.5])
