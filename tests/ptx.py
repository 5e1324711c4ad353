"""An interpreter of PTX: kernels as the compiler for GPUs has left them, run on the host, all threads at a time.

The host twin compiles the kernels' source for the host. What is run here is the text that the assembler for GPUs gets:
what NVVM made of the loops, the accesses of several bytes, the instructions that only a GPU has. Registers are NumPy
arrays with an element for each thread. Of the threads, those run that are furthest behind, so that paths meet again
where they join. An access beyond an array or at no multiple of its size raises, and so does an instruction whose
meaning is not known here; each means what NVIDIA's "PTX ISA" says, version 9.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cache

import numpy as np
from numba import types, vectorize
from numba.extending import intrinsic

from gpu_upsample import arithmetic
from gpu_upsample.cuda.compile import ptx_of
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.registry import KERNELS
from tests import twin_memory

CAPABILITY = (9, 0)
DTYPES = {f"{kind}{bits}": np.dtype(f"{letter}{bits // 8}") for bits in (8, 16, 32, 64)
          for kind, letter in (("b", "u"), ("u", "u"), ("s", "i"))}  # fmt: skip
DTYPES |= {f"f{bits}": np.dtype(f"f{bits // 8}") for bits in (16, 32, 64)} | {"pred": np.dtype(bool)}
_fma = arithmetic.build(intrinsic).fma


@vectorize(["float32(float32, float32, float32)", "float64(float64, float64, float64)"])
def fused(a, b, c):
    """Return a * b + c, rounded once."""
    return _fma(a, b, c)


# ---- the text -----------------------------------------------------------------------------------------------
@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes
    ----------
    guard : str
        The predicate without which it does nothing, or "".
    negated : bool
        Whether that has to be false.
    name : str
        What it does.
    marks : tuple of str
        What stands between the name and the type.
    kind : str
        Its type, the last part of its opcode.
    operands : tuple
        Registers, numbers, labels; [...] for memory, and tuples for vectors.
    """

    guard: str
    negated: bool
    name: str
    marks: tuple[str, ...]
    kind: str
    operands: tuple


@dataclass(frozen=True)
class Program:
    """A kernel: its parameters' names, the types of its registers by their prefix, and its blocks."""

    parameters: dict[str, int]
    registers: dict[str, str]
    blocks: list[list[Instruction]]
    labels: dict[str, int]


def _operands(text):
    found = re.findall(r"\{[^}]*\}|\[[^]]*\]|[^,\s]+", text)
    return tuple(tuple(re.split(r"\s*,\s*", one[1:-1].strip())) if one[0] == "{" else one for one in found)


def parsed(text):
    """Return the program of a kernel's PTX."""
    head, _, body = text[text.index(".entry") :].partition("\n{\n")
    parameters = {name: place for place, name in enumerate(re.findall(r"\.param \.\w+ (\w+)", head))}
    registers, blocks, labels = {}, [[]], {}
    for line in re.sub(r"//.*", "", body).splitlines():
        line = line.strip()
        if declared := re.fullmatch(r"\.reg \.(\w+)\s+(%\w+)<\d+>;", line):
            registers[declared[2]] = declared[1]
        elif label := re.fullmatch(r"(\$\w+):", line):
            blocks.append([])
            labels[label[1]] = len(blocks) - 1
        elif found := re.fullmatch(r"\{?\s*(?:@(!?)(%\w+)\s+)?([a-z][\w.]*)\s*(.*?);\s*\}?", line):
            negated, guard, opcode, operands = found.groups()
            name, *marks = opcode.split(".")
            kind = marks.pop() if marks and marks[-1] in DTYPES else ""
            blocks[-1].append(Instruction(guard or "", negated == "!", name, tuple(marks), kind, _operands(operands)))
            if name in ("bra", "ret"):
                blocks.append([])
        elif line not in ("", "}", '.pragma "nounroll";'):
            raise NotImplementedError(line)
    return Program(parameters, registers, blocks, labels)


@cache
def program_of(spec):
    """Return the program of a specialisation."""
    return parsed(ptx_of(spec, CAPABILITY))


# ---- memory -------------------------------------------------------------------------------------------------
class Memory:
    """The arrays that a kernel is given, by their addresses."""

    def __init__(self, arrays):
        flat = [array.reshape(-1).view(np.uint8) for array in arrays if array.size]
        held = {array.__array_interface__["data"][0]: array for array in flat}
        self._begins = np.array(sorted(held), np.uint64)
        self._arrays = [held[int(begin)] for begin in self._begins]
        self._ends = self._begins + np.array([len(array) for array in self._arrays], np.uint64)
        self._stored = {number: [] for number in range(len(self._arrays))}
        self._maxima, self._constant = set(), set()

    def _places(self, address, size):
        """Yield each array that is accessed, which of the accesses are to it, and the offsets of their bytes."""
        if (address % np.uint64(size)).any():
            raise ValueError(f"an access of {size} bytes at no multiple of them")
        which = np.searchsorted(self._begins, address, side="right") - 1
        inside = (which >= 0) & (address + np.uint64(size) <= self._ends[which])
        if not inside.all():
            raise IndexError(f"{(~inside).sum()} accesses outside of all arrays")
        for number in np.unique(which):
            chosen = np.flatnonzero(which == number)
            offset = (address[chosen] - self._begins[number]).astype(np.int64)
            yield number, chosen, offset[:, None] + np.arange(size)

    def load(self, address, dtype, count, constant):
        """Return `count` neighbours at each address; `constant` memory may not be written by the same kernel."""
        size = dtype.itemsize * count
        values = np.empty((len(address), size), np.uint8)
        for number, chosen, place in self._places(address, size):
            values[chosen] = self._arrays[number][place]
            if constant:
                self._constant.add(number)
        return values.view(dtype).T

    def store(self, address, values, threads):
        """Put neighbours, an array of each, at each address."""
        rows = np.ascontiguousarray(np.stack(values, axis=1)).view(np.uint8)
        for number, chosen, place in self._places(address, rows.shape[1]):
            self._arrays[number][place] = rows[chosen]
            self._stored[number].append((place.ravel(), threads[chosen].repeat(rows.shape[1])))

    def largest(self, address, value):
        """Put values in the place of smaller ones."""
        for number, chosen, place in self._places(address, value.itemsize):
            words = self._arrays[number].view(value.dtype)
            np.maximum.at(words, place[:, 0] // value.itemsize, value[chosen])
            self._maxima.add(number)

    def check(self):
        """Raise if the order of threads mattered: if two stored at one place, or one what others read as constant."""
        for number, stores in self._stored.items():
            if not stores:
                continue
            if number in self._constant:
                raise AssertionError("memory that was read as constant was written, too")
            place, thread = (np.concatenate(parts) for parts in zip(*stores, strict=True))
            order = np.argsort(place, kind="stable")
            place, thread = place[order], thread[order]
            if ((place[1:] == place[:-1]) & (thread[1:] != thread[:-1])).any():
                raise AssertionError("two threads stored at one place")
        if self._maxima & self._constant:
            raise AssertionError("memory that was read as constant was written, too")


# ---- the threads --------------------------------------------------------------------------------------------
_COMPARED = {
    "eq": np.equal, "ne": np.not_equal, "lt": np.less, "le": np.less_equal, "gt": np.greater, "ge": np.greater_equal,
    "lo": np.less, "ls": np.less_equal, "hi": np.greater, "hs": np.greater_equal,
}  # fmt: skip
_LOGIC = {"and": np.logical_and, "or": np.logical_or, "xor": np.logical_xor}
_ROUNDED = {"rni": np.rint, "rzi": np.trunc, "rmi": np.floor, "rpi": np.ceil}
# Roundings to nearest are what NumPy does; the others say how memory is cached or that no thread takes another way.
_MEANT = {"rn", "lo", "nc", "global", "uni", "wide", "hi", "sat", "pack", "param", "to", "v2", "v4", *_ROUNDED}


# What a register holds before anything is put there.
_UNSET = np.uint8(1)


def _wide(dtype):
    return np.dtype(f"{dtype.kind}{2 * dtype.itemsize}")


def _saturated(value, dtype):
    """Return real numbers as the integers that they are, or the nearest that there are; of NaN, what the ISA says."""
    limits, real = np.iinfo(dtype), value.astype(np.float64)
    whole = np.where(real < 0, dtype.type(limits.min), dtype.type(limits.max))
    inside = (real >= float(limits.min)) & (real < float(limits.max) + 1)
    whole[inside] = real[inside].astype(dtype)
    high_bit = np.array([1 << 8 * dtype.itemsize - 1], f"u{dtype.itemsize}").view(dtype)[0]
    whole[np.isnan(real)] = 0 if value.itemsize < 8 and dtype.itemsize < 8 else high_bit
    return whole


class Threads:
    """All threads of a launch.

    Methods that are named after an instruction do what it does: they take the instruction and the threads that are
    meant, as an index.
    """

    def __init__(self, program, blocks, parameters, memory):
        self._program, self._parameters, self._memory = program, parameters, memory
        self._count = len(blocks) * THREADS
        thread, block = np.arange(THREADS, dtype=np.uint32), np.array(blocks, np.uint32)
        self._special = {"%tid.x": np.tile(thread, len(blocks)), "%ctaid.x": block.repeat(THREADS)}
        self._registers = {}
        self._place = np.zeros(self._count, np.int64)

    def run(self):
        """Run all threads to their end."""
        blocks = self._program.blocks
        while (place := int(self._place.min(initial=len(blocks)))) < len(blocks):
            active = np.flatnonzero(self._place == place)
            self._place[active] = place + 1
            for instruction in blocks[place]:
                self._step(instruction, active)

    def _step(self, instruction, active):
        if instruction.guard:
            active = active[self._register(instruction.guard)[active] != instruction.negated]
            if not len(active):
                return
        carry_out = getattr(self, f"_{instruction.name}", None)
        if carry_out is None:
            raise NotImplementedError(str(instruction))
        carry_out(instruction, active)

    # ---- operands ----
    def _register(self, name):
        if name not in self._registers:
            prefix = name.rstrip("0123456789")
            dtype = DTYPES[self._program.registers[prefix]]
            self._registers[name] = np.full(self._count * dtype.itemsize, _UNSET).view(dtype)
        return self._registers[name]

    def _read(self, operand, kind, active):
        """Return an operand of some threads as an array of that type."""
        dtype = DTYPES[kind]
        if operand in self._special:
            return self._special[operand][active]
        if operand.startswith("%"):
            held = self._register(operand)[active]
            if held.dtype.itemsize != dtype.itemsize:
                held = held.astype(f"u{dtype.itemsize}")
            return held.view(dtype)
        number = int(operand[2:], 16) if re.match("0[fd]", operand) else int(operand, 0)
        bits = np.array([number % 2 ** (8 * dtype.itemsize)], f"u{dtype.itemsize}")
        return np.broadcast_to(bits != 0 if kind == "pred" else bits.view(dtype), len(active))

    def _write(self, operand, value, active):
        """Put values into a register, of which they may be the lower part."""
        if operand == "_":
            return
        register = self._register(operand)
        if register.dtype.itemsize != value.dtype.itemsize:
            value = value.astype(f"{'i' if value.dtype.kind == 'i' else 'u'}{register.dtype.itemsize}")
        register[active] = value.view(register.dtype)

    def _sources(self, instruction, active, number=2):
        unknown = {*instruction.marks} - _MEANT
        if unknown:
            raise NotImplementedError(f"{instruction}: {unknown}")
        return [self._read(operand, instruction.kind, active) for operand in instruction.operands[1 : number + 1]]

    def _address(self, operand, active):
        base, _, offset = operand[1:-1].partition("+")
        return self._read(base, "u64", active) + np.array(int(offset or 0) % 2**64, np.uint64)

    def _accessed(self, way, active, address, size):
        """Take notice of an access of some threads."""

    # ---- control ----
    def _bra(self, instruction, active):
        self._place[active] = self._program.labels[instruction.operands[0]]

    def _ret(self, instruction, active):
        self._place[active] = len(self._program.blocks)

    # ---- moves ----
    def _mov(self, instruction, active):
        target, source = instruction.operands
        if isinstance(source, tuple):  # parts of a register become one, the first the lowest
            part = f"b{8 * DTYPES[instruction.kind].itemsize // len(source)}"
            parts = np.stack([self._read(one, part, active) for one in source], axis=1)
            self._write(target, parts.view(DTYPES[instruction.kind])[:, 0], active)
            return
        value = self._read(source, instruction.kind, active)
        if isinstance(target, tuple):
            parts = value.reshape(-1, 1).view(f"u{value.itemsize // len(target)}")
            for one, part in zip(target, parts.T, strict=True):
                self._write(one, np.ascontiguousarray(part), active)
        else:
            self._write(target, value, active)

    def _cvta(self, instruction, active):
        self._mov(instruction, active)

    def _ld(self, instruction, active):
        target, source = instruction.operands
        dtype = DTYPES[instruction.kind]
        if instruction.marks == ("param",):
            packed = self._parameters[self._program.parameters[source[1:-1]]]
            self._write(target, np.full(len(active), packed[: dtype.itemsize].view(dtype)[0]), active)
            return
        targets = target if isinstance(target, tuple) else (target,)
        address, constant = self._address(source, active), "nc" in instruction.marks
        self._accessed("load", active, address, dtype.itemsize * len(targets))
        values = self._memory.load(address, dtype, len(targets), constant)
        for one, value in zip(targets, values, strict=True):
            self._write(one, np.ascontiguousarray(value), active)

    def _st(self, instruction, active):
        target, source = instruction.operands
        sources = source if isinstance(source, tuple) else (source,)
        values = [self._read(one, instruction.kind, active) for one in sources]
        address = self._address(target, active)
        self._accessed("store", active, address, sum(value.itemsize for value in values))
        self._memory.store(address, values, active)

    def _atom(self, instruction, active):
        target, place, value = instruction.operands
        assert instruction.marks == ("global", "max"), instruction
        assert target not in self._read_anywhere(), "the order of threads would matter"
        self._memory.largest(self._address(place, active), self._read(value, instruction.kind, active))

    def _read_anywhere(self):
        every = (one.operands[1:] for block in self._program.blocks for one in block)
        return {name for operands in every for operand in operands for name in re.findall(r"%\w+", str(operand))}

    # ---- numbers ----
    def _binary(self, function, instruction, active):
        a, b = self._sources(instruction, active)
        self._write(instruction.operands[0], function(a, b), active)

    def _add(self, instruction, active):
        self._binary(np.add, instruction, active)

    def _sub(self, instruction, active):
        self._binary(np.subtract, instruction, active)

    def _min(self, instruction, active):
        self._binary(np.fmin, instruction, active)

    def _max(self, instruction, active):
        self._binary(np.fmax, instruction, active)

    def _product(self, instruction, active):
        a, b = self._sources(instruction, active)
        if "wide" in instruction.marks:
            return a.astype(_wide(a.dtype)) * b.astype(_wide(a.dtype))
        if "hi" in instruction.marks:
            whole = a.astype(object) * b.astype(object)
            return (whole >> 8 * a.itemsize).astype(a.dtype)
        return a * b

    def _mul(self, instruction, active):
        self._write(instruction.operands[0], self._product(instruction, active), active)

    def _mad(self, instruction, active):
        product = self._product(instruction, active)
        kind = f"{product.dtype.kind.replace('i', 's')}{8 * product.itemsize}"
        self._write(instruction.operands[0], product + self._read(instruction.operands[3], kind, active), active)

    def _fma(self, instruction, active):
        self._write(instruction.operands[0], fused(*self._sources(instruction, active, 3)), active)

    def _neg(self, instruction, active):
        self._write(instruction.operands[0], -self._sources(instruction, active, 1)[0], active)

    def _div(self, instruction, active):
        a, b = self._sources(instruction, active)
        assert a.dtype.kind == "u", instruction
        self._write(instruction.operands[0], a // b, active)

    def _rem(self, instruction, active):
        a, b = self._sources(instruction, active)
        assert a.dtype.kind == "u", instruction
        self._write(instruction.operands[0], a % b, active)

    # ---- bits ----
    def _and(self, instruction, active):
        self._binary(np.bitwise_and, instruction, active)

    def _or(self, instruction, active):
        self._binary(np.bitwise_or, instruction, active)

    def _xor(self, instruction, active):
        self._binary(np.bitwise_xor, instruction, active)

    def _not(self, instruction, active):
        self._write(instruction.operands[0], np.invert(self._sources(instruction, active, 1)[0]), active)

    def _shift(self, instruction, active, function, most):
        target, value, places = instruction.operands
        value, places = self._read(value, instruction.kind, active), self._read(places, "u32", active)
        bits = np.uint32(8 * value.itemsize)
        shifted = function(value, np.minimum(places, bits - 1).astype(value.dtype))
        beyond = most(value) if value.dtype.kind == "i" else np.zeros_like(value)
        self._write(target, np.where(places < bits, shifted, beyond), active)

    def _shl(self, instruction, active):
        self._shift(instruction, active, np.left_shift, np.zeros_like)

    def _shr(self, instruction, active):
        self._shift(instruction, active, np.right_shift, lambda value: value >> (8 * value.itemsize - 1))

    def _bfe(self, instruction, active):
        target, value, start, length = instruction.operands
        assert instruction.kind in ("u32", "u64"), instruction
        value = self._read(value, instruction.kind, active)
        start, length = (self._read(one, "u32", active).astype(object) & 255 for one in (start, length))
        self._write(target, (value.astype(object) >> start & (1 << length) - 1).astype(value.dtype), active)

    def _prmt(self, instruction, active):
        low, high, choice = (self._read(one, "u32", active) for one in instruction.operands[1:])
        assert not instruction.marks, instruction
        every = np.stack([low, high], axis=1).view(np.uint8)
        parts = []
        for place in range(4):
            picked = choice >> np.uint32(4 * place)
            part = every[np.arange(len(active)), picked & np.uint32(7)]
            parts.append(np.where(picked & np.uint32(8), (part >> 7) * np.uint8(255), part))  # or its sign, 8 times
        self._write(instruction.operands[0], np.stack(parts, axis=1).view(np.uint32)[:, 0], active)

    # ---- choices ----
    def _setp(self, instruction, active):
        target, first, second, *rest = instruction.operands
        compared, *logic = instruction.marks
        a, b = self._read(first, instruction.kind, active), self._read(second, instruction.kind, active)
        unordered = np.isnan(a) | np.isnan(b) if a.dtype.kind == "f" else np.zeros(len(active), bool)
        if compared in ("num", "nan"):
            result = unordered if compared == "nan" else ~unordered
        elif a.dtype.kind == "f" and compared.endswith("u"):
            result = _COMPARED[compared[:-1]](a, b) | unordered
        else:
            result = _COMPARED[compared](a, b) & ~unordered
        if logic:
            result = _LOGIC[logic[0]](result, self._read(rest[0], "pred", active))
        self._write(target, result, active)

    def _selp(self, instruction, active):
        target, first, second, choice = instruction.operands
        a, b = self._read(first, instruction.kind, active), self._read(second, instruction.kind, active)
        self._write(target, np.where(self._read(choice, "pred", active), a, b), active)

    # ---- conversions ----
    def _cvt(self, instruction, active):
        if instruction.marks[:1] == ("pack",):
            self._pack(instruction, active)
            return
        *marks, goal = instruction.marks
        value, dtype = self._read(instruction.operands[1], instruction.kind, active), DTYPES[goal]
        assert {*marks} <= _MEANT, instruction
        rounding = [_ROUNDED[mark] for mark in marks if mark in _ROUNDED]
        if rounding:
            value = rounding[0](value)
        if value.dtype.kind == "f" and dtype.kind != "f":
            value = _saturated(value, dtype)
        elif "sat" in marks:
            value = np.clip(value, np.iinfo(dtype).min, np.iinfo(dtype).max)
        self._write(instruction.operands[0], value.astype(dtype), active)

    def _pack(self, instruction, active):
        assert (instruction.marks, instruction.kind) == (("pack", "sat", "u8", "s32"), "b32"), instruction
        sources = (self._read(one, "s32", active) for one in instruction.operands[1:3])
        high, low = (np.clip(source, 0, 255).astype(np.uint32) for source in sources)
        rest = self._read(instruction.operands[3], "u32", active)
        self._write(instruction.operands[0], rest << np.uint32(16) | high << np.uint32(8) | low, active)


# ---- the launch ---------------------------------------------------------------------------------------------
def run(spec, device, stream, blocks, arguments, only=None, threads=Threads):
    """Run a kernel as `launch.launch` would, as PTX; `only` names the blocks to run, of all of them."""
    twin_memory.launched.append(spec)
    _, signature = KERNELS[type(spec)]
    declared = signature(spec).args
    arrays, parameters = [], []
    for kind, value in zip(declared, arguments, strict=True):
        if pointer := isinstance(kind, types.CPointer):
            arrays.append(twin_memory.array_at(value))
        dtype = np.dtype(np.uint64 if pointer else str(kind))
        value = np.array([value % 2**64], np.uint64).astype(dtype) if dtype.kind == "u" else np.array([value], dtype)
        parameters.append(value.view(np.uint8))
    memory = Memory(arrays)
    crowd = threads(program_of(spec), range(blocks) if only is None else only, parameters, memory)
    with np.errstate(all="ignore"):
        crowd.run()
    memory.check()
    return crowd


def installed():
    """Serve backend 'cuda' by kernels as PTX, in a ``with`` block."""
    return twin_memory.installed(run)
