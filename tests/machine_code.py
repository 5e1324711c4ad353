"""Reads what the compiler made of a kernel, on a machine without a GPU."""

from __future__ import annotations

import re
import subprocess
import tempfile
from functools import cache
from itertools import pairwise
from pathlib import Path

from gpu_upsample.cuda.compile import assembled, ptx_of


@cache
def ptx(spec, capability=(9, 0)):
    """Return the PTX of a kernel."""
    return ptx_of(spec, capability)


def _cuobjdump(spec, capability, option):
    import nvidia.cu13

    tool = Path(next(iter(nvidia.cu13.__path__))) / "bin" / "cuobjdump"
    with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
        file.write(assembled(ptx(spec, capability), capability))
        file.flush()
        done = subprocess.run([tool, option, file.name], capture_output=True, text=True, check=True)
    return done.stdout + done.stderr


@cache
def resources(spec, capability=(9, 0)):
    """Return registers, stack bytes and local-memory bytes of a thread: the most of any function in the cubin.

    A kernel that calls a routine of the compiler's own, like the 64-bit division, is not alone in its cubin, and
    what a routine uses is reported as 0.
    """
    text = _cuobjdump(spec, capability, "--dump-resource-usage")
    return {name: max(map(int, re.findall(rf"{name}:(\d+)", text))) for name in ("REG", "STACK", "LOCAL")}


@cache
def instructions(spec, capability=(9, 0)):
    """Return the SASS instructions as (address, text)."""
    text = _cuobjdump(spec, capability, "--dump-sass")
    return [(int(a, 16), t) for a, t in re.findall(r"/\*([0-9a-f]{4,})\*/\s+(\S.*?);", text)]


def _target(text):
    """Return where a branch goes, or None."""
    branch = re.search(r"\bBRA\S*\s.*?(0x[0-9a-f]+)", text)
    return int(branch.group(1), 16) if branch else None


def _loops(listing):
    """Return the first and the last address of each loop with a store inside, the longest loop first."""
    found = set()
    for address, text in listing:
        target = _target(text)
        backward = target is not None and target < address
        if backward and any("STG" in t for a, t in listing if target <= a <= address):
            found.add((target, address))
    return sorted(found, key=lambda loop: loop[0] - loop[1])


_PRODUCT = re.compile(r"\b(FFMA|FMUL|DFMA|DMUL)\b")


def _turns(listing, head, end):
    """Return what the turns of a loop cost, as {(multiply-adds, stores, loads): instructions}.

    A turn is a path through the control flow from the loop's first instruction back to it, no instruction twice (a
    loop within is left after its first turn). Of all turns with as many of each, the one with the
    fewest instructions counts: every test of what is rare (a border, a short window) is passed, and its answer is
    the common one. An instruction under a predicate counts in full.
    """
    loop = [(a, t) for a, t in listing if head <= a <= end]
    after = {a: b for (a, _), (b, _) in pairwise(loop)}
    done: dict[tuple[int, int, int], int] = {}
    states: dict[int, dict[tuple[int, int, int], int]] = {head: {(0, 0, 0): 0}}
    for address, text in loop:
        moved = {}
        for (products, stores, loads), count in states.pop(address, {}).items():
            moved[products + bool(_PRODUCT.search(text)), stores + ("STG" in text), loads + ("LDG" in text)] = count + 1
        target, falls = _target(text), text.startswith("@") or not re.search(r"\b(BRA|EXIT)\b", text)
        for way in (target, after.get(address) if falls else None):
            if way is None or (way <= address and way != head):
                continue
            into = done if way == head else states.setdefault(way, {})
            for key, count in moved.items():
                into[key] = min(count, into.get(key, count))
    return done


def row_costs(spec, capability=(9, 0)):
    """Return what the turns of the loop over all rows cost, and those of the loops over output and source rows within.

    A loop within that stores nothing is one over source rows, or over taps; of alike turns, the cheapest counts.
    """
    listing = instructions(spec, capability)
    loops = _loops(listing)
    head, end = loops[0]
    sources: dict[tuple[int, int, int], int] = {}
    for address, text in listing:
        target = _target(text)
        if target is not None and head < target < address < end and (target, address) not in loops:
            for key, count in _turns(listing, target, address).items():
                sources[key] = min(count, sources.get(key, count))
    return _turns(listing, head, end), _turns(listing, *loops[-1]), sources


def cheapest(turns, products, stores, loads=0):
    """Return the instructions of the cheapest turn with so many multiply-adds and stores, and at least so many loads.

    Raises ValueError if there is none: the kernel has another form than the caller believes.
    """
    return min(cost for (p, s, n), cost in turns.items() if (p, s) == (products, stores) and n >= loads)


def shortest_loop(spec, products, capability=(9, 0)):
    """Return the instructions of the shortest loop with so many multiply-adds."""
    listing = instructions(spec, capability)
    found = []
    for address, text in listing:
        target = _target(text)
        body = [t for a, t in listing if target is not None and target <= a <= address]
        if sum(bool(_PRODUCT.search(t)) for t in body) == products:
            found.append(len(body))
    return min(found)
