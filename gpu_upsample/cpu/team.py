"""How threads share a work without the GIL: what they tell each other in memory that all of them see.

A caller opens its work with places for those that help, and wakes some if too few look for work. Who has none to do
looks at the places, takes one, and then parts of that work, as the caller does. In the end the caller closes the work
to whoever has not come, and waits for those that have. All of that is one call of native code: nothing interrupts it.
"""

from __future__ import annotations

import ctypes
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

_LINE = BYTES // 8

WORKS = _LINE
"""How many works can be open at a time: their places share the first cache line."""

# In the second one it stands how many threads look for work, how many there are, whether they are to end, and a lock
# that nobody releases: to wait for it for a moment is to sleep.
_LOOKING, _THREADS, _DISMISSED, _PILLOW = range(_LINE, _LINE + 4)

# For each work, three cache lines: what it is and whether somebody owns it, how many of its parts are taken, and how
# many of those that help are done.
_FIRST_WORK, _WORK = 2 * _LINE, 3 * _LINE
_OWNED, _TAKEN, _DONE = 6, _LINE, 2 * _LINE
_FROM_END = 1 << 32
"""What one more part counts that is taken from the end."""

# For each thread, one: whether it is asleep, and the lock that it waits for then.
_FIRST_THREAD, _THREAD = _FIRST_WORK + WORKS * _WORK, _LINE
_LOCK = 1

_NAP = 50
"""Microseconds between two looks of a caller that has waited for long."""


# ---- words that several threads change ------------------------------------------------------------------------
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


# ---- locks ----------------------------------------------------------------------------------------------------
# Python's own, which every system has, and which are waited for and released without the GIL. They are never given
# back: a caller may still wait when the program ends.
def _calling(name: str, returned: Any, *taken: Any) -> Any:
    """Return the code of a call of a function of Python's, of whose arguments the first is an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        lock = builder.inttoptr(args[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(returned, [lock.type, *(value.type for value in taken)])
        builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [lock, *taken])
        return context.get_dummy_value()

    return types.void(types.int64), codegen


@primitive
def _sleep_until_released(typingctx: Any, lock: Any) -> Any:
    """Wait for a lock."""
    return _calling("PyThread_acquire_lock", ir.IntType(32), ir.Constant(ir.IntType(32), 1))


@primitive
def _release(typingctx: Any, lock: Any) -> Any:
    """Wake who waits for a lock."""
    return _calling("PyThread_release_lock", ir.VoidType())


@primitive
def _nap(typingctx: Any, lock: Any) -> Any:
    """Wait for a moment for a lock that nobody releases."""
    moment, uninterrupted = ir.Constant(ir.IntType(64), _NAP), ir.Constant(ir.IntType(32), 0)
    return _calling("PyThread_acquire_lock_timed", ir.IntType(32), moment, uninterrupted)


_allocate = ctypes.PYFUNCTYPE(ctypes.c_void_p)(("PyThread_allocate_lock", ctypes.pythonapi))
_acquire = ctypes.PYFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int)(("PyThread_acquire_lock", ctypes.pythonapi))
_let_go = ctypes.PYFUNCTYPE(None, ctypes.c_void_p)(("PyThread_release_lock", ctypes.pythonapi))


def _held_lock() -> int:
    """Return the address of a lock that somebody holds."""
    lock = _allocate()
    if not lock:
        raise MemoryError("no memory for a lock")
    _acquire(lock, 1)
    return int(lock)


def new_memory(threads: int) -> Any:
    """Return what so many threads share with their callers."""
    memory = aligned(_FIRST_THREAD + threads * _THREAD, np.int64)
    memory[:] = 0
    memory[_THREADS], memory[_PILLOW] = threads, _held_lock()
    for asleep in range(_FIRST_THREAD, len(memory), _THREAD):
        memory[asleep + _LOCK] = _held_lock()
    return memory


def dismiss(memory: Any) -> None:
    """Let all threads end, those that are asleep, too."""
    memory[_DISMISSED] = 1
    for asleep in range(_FIRST_THREAD, len(memory), _THREAD):
        if memory[asleep]:
            memory[asleep] = 0
            _let_go(int(memory[asleep + _LOCK]))


# ---- works ----------------------------------------------------------------------------------------------------
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
    one = _FROM_END if place > 0 else 1
    while True:
        taken = _add(pointer(work, _TAKEN), one)
        first, last = taken % _FROM_END, parts - 1 - taken // _FROM_END
        if first > last:
            return
        part = last if place > 0 else first
        call(function, bounds[part], bounds[part + 1], words, scratch)


@inlined
def _is_open(team):
    """Return whether a work has a place left, or threads are dismissed."""
    found = _seen(pointer(team, _DISMISSED))
    for number in range(WORKS):
        found += _seen(pointer(team, number))
    return found != 0


@compiled
def help_out(memory, thread, looks):
    """Help with the works that are open, until threads are dismissed.

    Parameters
    ----------
    memory : ndarray of int64
        What all threads see.
    thread : int
        Which of the threads it is; -1 for one that ends instead of falling asleep.
    looks : int
        How often the thread looks for work before it falls asleep.
    """
    team = pointer(memory, 0)
    asleep = pointer(team, _FIRST_THREAD + max(thread, 0) * _THREAD)
    while _seen(pointer(team, _DISMISSED)) == 0:
        _add(pointer(team, _LOOKING), 1)
        left = looks
        while left > 0 and _seen(pointer(team, _DISMISSED)) == 0:
            left -= 1
            for number in range(WORKS):
                place = _seen(pointer(team, number))
                if place > 0 and _replace(pointer(team, number), place, place - 1):
                    _add(pointer(team, _LOOKING), -1)
                    work = pointer(team, _FIRST_WORK + number * _WORK)
                    _take_parts(work, place)
                    _add(pointer(work, _DONE), 1)
                    _add(pointer(team, _LOOKING), 1)
                    left = looks
            _pause()
        _add(pointer(team, _LOOKING), -1)
        if thread < 0:
            return
        # Whoever opens a work from now on wakes the sleeper; what is open already is found in a last look.
        _exchange(asleep, 1)
        if not (_is_open(team) and _replace(asleep, 1, 0)):
            _sleep_until_released(asleep[_LOCK])


@inlined
def _wake(team, missing):
    """Wake so many threads, if so many are asleep: each of them once."""
    for thread in range(team[_THREADS]):
        asleep = pointer(team, _FIRST_THREAD + thread * _THREAD)
        if missing > 0 and _seen(asleep) != 0 and _replace(asleep, 1, 0):
            missing -= 1
            _release(asleep[_LOCK])


@compiled
def lead(memory, helpers, function, words, bounds, scratch, pitch, looks):
    """Do a work with the help of other threads, and return whether there was room for one more work.

    Parameters
    ----------
    memory : ndarray of int64
        What all threads see.
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
        How often to look without a nap whether those that help are done.
    """
    team = pointer(memory, 0)
    for number in range(WORKS):
        work, places = pointer(team, _FIRST_WORK + number * _WORK), pointer(team, number)
        if _seen(pointer(work, _OWNED)) == 0 and _replace(pointer(work, _OWNED), 0, 1):
            work[0], work[1], work[2], work[3] = function, address(words), address(bounds), bounds.size - 1
            work[4], work[5], work[_TAKEN], work[_DONE] = _line_in(scratch), pitch, 0, 0
            _exchange(places, helpers)
            _wake(team, helpers - _seen(pointer(team, _LOOKING)))
            _take_parts(work, 0)
            came = helpers - _exchange(places, 0)
            while _seen(pointer(work, _DONE)) != came:
                if looks > 0:
                    looks -= 1
                    _pause()
                else:
                    _nap(team[_PILLOW])
            _exchange(pointer(work, _OWNED), 0)
            return True
    return False


@compiled
def alone(function, words, rows, scratch):
    """Do all rows of a work."""
    call(function, 0, rows, address(words), _line_in(scratch))


@cache
def looks_per_second() -> float:
    """Return how often a thread looks for work in a second: processors differ much in how long they pause."""
    memory = new_memory(0)

    def seconds(looks: int) -> float:
        began = perf_counter()
        help_out(memory, -1, looks)
        return perf_counter() - began

    return 1000 / min(seconds(1000) for _ in range(4))  # the first time, it is compiled
