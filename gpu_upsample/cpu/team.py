"""How threads share a work without the GIL: what they tell each other in memory that all of them see.

A caller opens its work with places for those that help. Who has none to do looks at the places, takes one, and then
parts of that work, as the caller does. In the end the caller closes the work to whoever has not come, and waits for
those that have.
"""

from __future__ import annotations

from functools import cache
from time import perf_counter
from typing import Any

import numpy as np
from llvmlite import ir
from numba import types
from numba.core import cgutils

from gpu_upsample.cpu.arguments import address, call
from gpu_upsample.cpu.compiled import compiled, inlined
from gpu_upsample.cpu.vectors import BYTES, X86, aligned, pointer, primitive

WORKS = BYTES // 8
"""How many works can be open at a time: their places share a cache line."""

LOOKING, ASLEEP, DISMISSED = range(WORKS, WORKS + 3)
"""Where it stands how many threads look for work, how many are asleep, and whether they are to end."""

# For each work, three cache lines: what it is, how many of its parts are taken, how many of those that help are done.
_LINE = BYTES // 8
_FIRST, _ROOM = 2 * _LINE, 3 * _LINE
_HELPERS, _TAKEN, _DONE = 6, _LINE, 2 * _LINE
_HALF = 1 << 32
"""What one more part counts that is taken from the end."""


@primitive
def _seen(typingctx: Any, place: Any) -> Any:
    """Return what a word holds by now."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.load_atomic(args[0], "seq_cst", 8)

    return types.int64(place), codegen


@primitive
def _add(typingctx: Any, place: Any, value: Any) -> Any:
    """Add to a word, and return what it was before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("add", *args, "seq_cst")

    return types.int64(place, types.int64), codegen


@primitive
def _exchange(typingctx: Any, place: Any, value: Any) -> Any:
    """Set a word, and return what it was before."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.atomic_rmw("xchg", *args, "seq_cst")

    return types.int64(place, types.int64), codegen


@primitive
def _replace(typingctx: Any, place: Any, before: Any, after: Any) -> Any:
    """Set a word if it still is what it was before, and return whether it was."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.extract_value(builder.cmpxchg(*args, "seq_cst"), 1)

    return types.boolean(place, types.int64, types.int64), codegen


@primitive
def _pause(typingctx: Any) -> Any:
    """Let the processor serve others for a moment."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        if X86:
            kind = ir.FunctionType(ir.VoidType(), [])
            builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.x86.sse2.pause"), [])
        return context.get_dummy_value()

    return types.void(), codegen


@inlined
def _line_in(scratch):
    """Return the address of the first cache line that begins in an array."""
    return (address(scratch) + BYTES - 1) & -BYTES


@primitive
def _words_at(typingctx: Any, address: Any) -> Any:
    """Return the words at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


@inlined
def _take_parts(work, place):
    """Do parts of a work as long as there are any: whoever is held up leaves them to the others.

    The caller takes the first ones, and those that help the last ones: what this call leaves in the caches of a thread
    is what it reads in the next one.
    """
    function, words, bounds, parts, scratch = work[0], work[1], _words_at(work[2]), work[3], work[4] + place * work[5]
    one = _HALF if place > 0 else 1
    while True:
        taken = _add(pointer(work, _TAKEN), one)
        first, last = taken % _HALF, parts - 1 - taken // _HALF
        if first > last:
            return
        part = last if place > 0 else first
        call(function, bounds[part], bounds[part + 1], words, scratch)


@compiled
def help_out(memory, looks, was_asleep):
    """Help with the works that are open, until none has been for a number of looks, or nobody is to help any more.

    Parameters
    ----------
    memory : ndarray of int64
        What all threads see.
    looks : int
        How often the thread looks for work before it falls asleep.
    was_asleep : int
        1 if it is counted as a sleeper, 0 if it is new.
    """
    team = pointer(memory, 0)
    _add(pointer(team, ASLEEP), -was_asleep)
    _add(pointer(team, LOOKING), 1)
    left = looks
    while left >= 0 and _seen(pointer(team, DISMISSED)) == 0:
        if left == 0:  # whoever opens a work from now on wakes a sleeper; what is open already is found in a last look
            _add(pointer(team, LOOKING), -1)
            _add(pointer(team, ASLEEP), 1)
        for number in range(WORKS):
            place = _seen(pointer(team, number))
            if place > 0 and _replace(pointer(team, number), place, place - 1):
                _add(pointer(team, LOOKING if left > 0 else ASLEEP), -1)
                work = pointer(team, _FIRST + number * _ROOM)
                _take_parts(work, place)
                _add(pointer(work, _DONE), 1)
                _add(pointer(team, LOOKING), 1)
                left = looks + 1
        left -= 1
        _pause()


@compiled
def lead(memory, number, helpers, function, words, bounds, scratch, pitch, looks, is_new):
    """Do a work with the help of other threads, and return whether it is over.

    If fewer threads look for work than there are places, a new one is only opened: some must be woken before.

    Parameters
    ----------
    memory : ndarray of int64
        What all threads see.
    number : int
        Which of the works it is; no other caller may have that number.
    helpers : int
        How many places there are for other threads.
    function : int
        Address of the kernel.
    words : ndarray of int64
        Its arguments.
    bounds : ndarray of int64
        Where the parts begin, and where the last one ends.
    scratch : ndarray of uint8
        Memory of the threads, that of the caller first.
    pitch : int
        Bytes of each one's.
    looks : int
        How often to look whether those that help are done.
    is_new : bool
        Whether to open it.
    """
    team = pointer(memory, 0)
    work = pointer(team, _FIRST + number * _ROOM)
    if is_new:
        work[0], work[1], work[2], work[3] = function, address(words), address(bounds), bounds.size - 1
        work[4], work[5], work[_HELPERS], work[_TAKEN], work[_DONE] = _line_in(scratch), pitch, helpers, 0, 0
        _exchange(pointer(team, number), helpers)
        if _seen(pointer(team, LOOKING)) < helpers:
            return False
    _take_parts(work, 0)
    work[_HELPERS] -= _exchange(pointer(team, number), 0)  # closed to those that have not come yet
    while looks > 0 and _seen(pointer(work, _DONE)) != work[_HELPERS]:
        looks -= 1
        _pause()
    return _seen(pointer(work, _DONE)) == work[_HELPERS]


@compiled
def alone(function, words, rows, scratch):
    """Do all rows of a work."""
    call(function, 0, rows, address(words), _line_in(scratch))


def memory() -> Any:
    """Return what the threads of a pool share."""
    shared = aligned(_FIRST + WORKS * _ROOM, np.int64)
    shared[:] = 0
    return shared


@cache
def looks_per_second() -> float:
    """Return how often a thread looks for work in a second: processors differ much in how long they pause."""
    shared = memory()

    def seconds(looks: int) -> float:
        began = perf_counter()
        help_out(shared, looks, 0)
        return perf_counter() - began

    return 1000 / min(seconds(1000) for _ in range(4))  # the first time, it is compiled
