"""What a call costs whose input has a shape of its own, as photos have that become a network's input one by one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial
from importlib.util import find_spec
from itertools import cycle, product
from math import prod
from random import Random
from typing import Any

from benchmarks.cases import Call, Case
from benchmarks.compare import make_inputs
from benchmarks.figures import Figure, Measured
from benchmarks.peers import OURS, PEERS, Peer
from benchmarks.timing import EFFORTS, QUICK, host_seconds, interleaved

Sizes = list[tuple[int, int]]

_LARGEST = 1400
_DTYPES = {"cpu": "uint8", "cuda": "float32"}  # on a GPU, torch does not antialias bytes
_CASE = Case("", (1, _LARGEST, _LARGEST, 3), "", "NHWC", Call("linear", (224, 224), True))


def _mixed(sizes: Iterable[tuple[int, int]]) -> Sizes:
    mixed = list(sizes)
    Random(0).shuffle(mixed)
    return mixed


# More shapes than plans are remembered. Of the first, the lengths are; of the second, these are too many, too.
_SHAPES = _mixed(product(range(200, 520, 8), repeat=2))
_LENGTHS = _mixed(zip(range(200, 800), range(800, _LARGEST), strict=True))


def _next_call(peer: Peer, case: Case, x: Any, sizes: Sizes) -> Callable[[], Any]:
    """Return a function that resizes a photo of the next size each time, one after the other."""
    flat, build = x.reshape(-1), peer.builders[Call]
    shapes = [(1, *size, 3) for size in sizes]
    jobs = [build(replace(case, shape=shape), flat[: prod(shape)].reshape(shape)) for shape in shapes]
    calls = cycle([job.run for job in jobs if job is not None])
    return lambda: next(calls)()


def _against(peer: Peer, place: str, sizes: Sizes, quick: bool) -> Measured:
    """Return a peer's time in parts of ours, and both in microseconds."""
    case = replace(_CASE, dtype=_DTYPES[place])
    (x,) = make_inputs(case, place)
    sizes = sizes[:2] if quick else sizes
    calls = {contestant.name: _next_call(contestant, case, x, sizes) for contestant in (OURS, peer)}
    for call in calls.values():
        for _ in sizes:
            call()
    times = interleaved(calls, host_seconds, QUICK if quick else EFFORTS[place])
    micro = {f"{name}, µs": 1e6 * timing.median for name, timing in times.items()}
    return times[peer.name].median / times[OURS.name].median, micro


def _figures(place: str) -> tuple[Figure, ...]:
    name = f"interpolate(): linear antialias to 224x224 {_DTYPES[place]} NHWC of ever new"
    return tuple(
        Figure(f"{name} {kind}", f"times as fast as {peer.name}", partial(_against, peer, place, sizes), least=least)
        for peer in PEERS
        if peer.name == "torch" and find_spec(peer.module) is not None
        for kind, sizes, least in (("shapes", _SHAPES, 0.5), ("lengths", _LENGTHS, 0.25))
    )


FIGURES: Mapping[str, tuple[Figure, ...]] = {place: _figures(place) for place in ("cpu", "cuda")}
"""Backend -> how many times as fast as torch a call is; on a GPU, what the host does for it."""
