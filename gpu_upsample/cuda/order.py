"""In which order the threads of the filter kernel are numbered."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.kernels import build_number, build_split


def build_order(machine: Any, spec: FilterSpec, index: Any) -> Callable[..., Any]:
    """Return the function that says which line a thread is of, its number along the line, and whether that is inside.

    Threads are numbered along a line, then line by line. But those at the ends of lines, which do more for a row than
    the ones inside, come first: they share their warps with each other, and no other thread waits for them.
    """
    plus, number_of, split = machine.plus, build_number(machine, index), build_split(machine, index)

    @machine.inline
    def along(lines, threads, span_first, span_threads):
        line, number = split(number_of(), index(threads))
        return line, number, True

    @machine.inline
    def ends_first(lines, threads, span_first, span_threads):
        number = number_of()
        first, within = index(span_first), index(span_threads)
        ends = index(index(threads) - within)
        before = index(index(lines) * ends)
        inside = number >= before
        line, number = split(index(number - before) if inside else number, within if inside else ends)
        if inside:
            return line, plus(number, first), True
        return line, number if number < first else plus(number, within), False

    return ends_first if spec.columns == "span" else along
