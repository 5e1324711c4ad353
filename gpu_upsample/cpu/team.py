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

from gpu_upsample.cpu.arguments import call
from gpu_upsample.cpu.compiled import compiled, inlined
from gpu_upsample.cpu.vectors import BYTES, X86, aligned, pointer, primitive

_LINE = BYTES // 8

WORKS = _LINE
"""How many works can be open at a time: their places share the first cache line."""

# In the second one it stands how many threads look for work, and whether they are to end.
_LOOKING, _DISMISSED = range(_LINE, _LINE + 2)

# In the third one, what seldom changes: how many threads there are; how often one looks for work before it sleeps; how
# many bytes of work make one worth its while; a lock that nobody releases: to wait for it for a moment is to sleep;
# what tells on which processor its caller runs, if anything does; and the one that the threads keep off.
_THREADS, _LOOKS, _EACH, _PILLOW, _ASK, _APART = range(2 * _LINE, 2 * _LINE + 6)
_NOWHERE = -2  # a system that cannot tell says -1

# For each work, three cache lines: what it is and whether somebody owns it, how many of its parts are taken, and how
# many of those that help are done.
_FIRST_WORK, _WORK = 3 * _LINE, 3 * _LINE
_FUNCTION, _WORDS, _ROWS, _PARTS, _LONG, _SCRATCH, _PITCH, _OWNED = range(_LINE)
_TAKEN, _DONE = _LINE, 2 * _LINE
_FROM_END = 1 << 32
"""What one more part counts that is taken from the end."""

# For each thread, one: whether it is asleep, and the lock that it waits for then.
_FIRST_THREAD, _THREAD = _FIRST_WORK + WORKS * _WORK, _LINE
_LOCK = 1

# There is one long part for each thread, up to so many times as long as a short one: the caller's at the beginning,
# those of the others at the end. Two short ones for each lie between, so that all end at about the same time.
_LONGEST = 6

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


# ---- functions of others --------------------------------------------------------------------------------------
# Python's own locks and memory, which every system has, and which need no GIL. The locks are never given back: a
# caller may still wait when the program ends.
_INT = ir.IntType(32)


def _calling(name: str, returned: Any, *taken: Any) -> Any:
    """Return the code of a call of a function of Python's, of whose arguments the first is a word."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        kind = ir.FunctionType(returned, [ir.IntType(64), *(value.type for value in taken)])
        result = builder.call(cgutils.get_or_insert_function(builder.module, kind, name), [args[0], *taken])
        return result if signature.return_type == types.int64 else context.get_dummy_value()

    return (types.int64 if returned == ir.IntType(64) else types.void)(types.int64), codegen


@primitive
def _sleep_until_released(typingctx: Any, lock: Any) -> Any:
    """Wait for a lock."""
    return _calling("PyThread_acquire_lock", _INT, ir.Constant(_INT, 1))


@primitive
def _release(typingctx: Any, lock: Any) -> Any:
    """Wake who waits for a lock."""
    return _calling("PyThread_release_lock", ir.VoidType())


@primitive
def _nap(typingctx: Any, lock: Any) -> Any:
    """Wait for a moment for a lock that nobody releases."""
    return _calling("PyThread_acquire_lock_timed", _INT, ir.Constant(ir.IntType(64), _NAP), ir.Constant(_INT, 0))


@primitive
def new_bytes(typingctx: Any, size: Any) -> Any:
    """Return the address of so many new bytes, or 0 if there are none left."""
    return _calling("PyMem_RawMalloc", ir.IntType(64))


@primitive
def release_bytes(typingctx: Any, address: Any) -> Any:
    """Give bytes back."""
    return _calling("PyMem_RawFree", ir.VoidType())


@primitive
def _asked(typingctx: Any, function: Any) -> Any:
    """Return what a function without arguments says, given its address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        said = builder.call(builder.inttoptr(args[0], ir.FunctionType(_INT, []).as_pointer()), [])
        return builder.sext(said, ir.IntType(64))

    return types.int64(types.int64), codegen


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


def new_memory(threads: int, each: int, ask: int) -> Any:
    """Return what so many threads share with their callers.

    Parameters
    ----------
    threads : int
        How many there are beside the caller's.
    each : int
        Bytes of work that make a thread worth its while.
    ask : int
        Address of a function that tells on which processor its caller runs, or 0.
    """
    memory = aligned(_FIRST_THREAD + threads * _THREAD, np.int64)
    memory[:] = 0
    memory[_THREADS : _APART + 1] = threads, 0, each, _held_lock(), ask, _NOWHERE
    for asleep in range(_FIRST_THREAD, len(memory), _THREAD):
        memory[asleep + _LOCK] = _held_lock()
    return memory


def look_for(memory: Any, looks: int) -> None:
    """Set how often a thread looks for work, or a caller for others to be done, before it sleeps."""
    memory[_LOOKS] = looks


def keep_off(memory: Any, processor: int) -> None:
    """Note which processor the threads keep off."""
    memory[_APART] = processor


def dismiss(memory: Any) -> None:
    """Let all threads end, those that are asleep, too."""
    memory[_DISMISSED] = 1
    for asleep in range(_FIRST_THREAD, len(memory), _THREAD):
        if memory[asleep]:
            memory[asleep] = 0
            _let_go(int(memory[asleep + _LOCK]))


# ---- works ----------------------------------------------------------------------------------------------------
@primitive
def words_at(typingctx: Any, address: Any) -> Any:
    """Return the words at an address."""

    def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
        return builder.inttoptr(args[0], ir.IntType(64).as_pointer())

    return types.CPointer(types.int64)(types.int64), codegen


@inlined
def helpers_for(team, cost, most):
    """Return how many threads should help with a work that costs so many bytes, and which so many threads can share."""
    each = team[_EACH]
    return max(min(team[_THREADS], cost // each - 1, most - 1), 0) if cost >= 2 * each else 0


@inlined
def is_apart(team):
    """Return whether the threads keep off the processor that the caller runs on."""
    return team[_APART] == (_asked(team[_ASK]) if team[_ASK] != 0 else 0)


@inlined
def _begin(rows, parts, long, part):
    """Return where a part of some rows begins: of three for each thread, the first and the last are long."""
    threads = parts // 3
    before = part + (long - 1) * (min(part, 1) + max(0, part - 2 * threads - 1))
    return rows * before // (parts + (long - 1) * threads)


@inlined
def _take_parts(work, place):
    """Do parts of a work as long as there are any: whoever is held up leaves them to the others.

    The caller takes the first ones, and those that help the last ones: what this call leaves in the caches of a thread
    is what it reads in the next one.
    """
    rows, parts, long, scratch = work[_ROWS], work[_PARTS], work[_LONG], work[_SCRATCH] + place * work[_PITCH]
    one = _FROM_END if place > 0 else 1
    while True:
        taken = _add(pointer(work, _TAKEN), one)
        first, last = taken % _FROM_END, parts - 1 - taken // _FROM_END
        if first > last:
            return
        part = last if place > 0 else first
        begin, end = _begin(rows, parts, long, part), _begin(rows, parts, long, part + 1)
        call(work[_FUNCTION], begin, end, work[_WORDS], scratch)


@inlined
def _is_open(team):
    """Return whether a work has a place left, or threads are dismissed."""
    found = _seen(pointer(team, _DISMISSED))
    for number in range(WORKS):
        found += _seen(pointer(team, number))
    return found != 0


@compiled
def help_out(memory, thread):
    """Help with the works that are open, until threads are dismissed.

    Parameters
    ----------
    memory : ndarray of int64
        What all threads see.
    thread : int
        Which of the threads it is; -1 for one that ends instead of falling asleep.
    """
    team = pointer(memory, 0)
    asleep = pointer(team, _FIRST_THREAD + max(thread, 0) * _THREAD)
    while _seen(pointer(team, _DISMISSED)) == 0:
        _add(pointer(team, _LOOKING), 1)
        left = team[_LOOKS]
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
                    left = team[_LOOKS]
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


@inlined
def lead(team, helpers, function, words, rows, least, scratch, pitch):
    """Do a work with the help of other threads, and return whether there was room for one more work.

    Parameters
    ----------
    team : pointer
        What all threads see.
    helpers : int
        How many places there are for other threads.
    function, words : int
        Addresses of the kernel and of its arguments.
    rows : int
        Number of rows.
    least : int
        Rows that a part should have at least.
    scratch : int
        Address of the memory of the threads, that of the caller first.
    pitch : int
        Bytes of each one's.
    """
    threads, most = helpers + 1, max(1, rows // least)
    long = min(_LONGEST, most // threads - 2)
    parts = 3 * threads
    if long < 1:
        long, parts = 1, (most // threads * threads if most >= threads else most)
    for number in range(WORKS):
        work, places = pointer(team, _FIRST_WORK + number * _WORK), pointer(team, number)
        if _seen(pointer(work, _OWNED)) == 0 and _replace(pointer(work, _OWNED), 0, 1):
            work[_FUNCTION], work[_WORDS], work[_ROWS], work[_PARTS], work[_LONG] = function, words, rows, parts, long
            work[_SCRATCH], work[_PITCH], work[_TAKEN], work[_DONE] = scratch, pitch, 0, 0
            _exchange(places, helpers)
            _wake(team, helpers - _seen(pointer(team, _LOOKING)))
            _take_parts(work, 0)
            came = helpers - _exchange(places, 0)
            looks = team[_LOOKS]
            while _seen(pointer(work, _DONE)) != came:
                if looks > 0:
                    looks -= 1
                    _pause()
                else:
                    _nap(team[_PILLOW])
            _exchange(pointer(work, _OWNED), 0)
            return True
    return False


@cache
def looks_per_second() -> float:
    """Return how often a thread looks for work in a second: processors differ much in how long they pause."""

    def seconds(looks: int) -> float:
        memory = new_memory(0, 0, 0)
        look_for(memory, looks)
        began = perf_counter()
        help_out(memory, -1)
        return perf_counter() - began

    return 1000 / min(seconds(1000) for _ in range(4))  # the first time, it is compiled
