"""What a call costs whose input has a shape of its own, as photos have that become a network's input one by one."""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from benchmarks.timing import FULL, QUICK, host_seconds, interleaved

_CASE = Case(
    "interpolate(): linear antialias to {size}", (1, 1000, 1000, 3), "uint8", "NHWC", Call("linear", (224, 224), True)
)
_LENGTHS = range(200, 520, 8)
"""More shapes than plans are remembered, but fewer lengths than tables."""


def _next_call(peer: Peer, x: Any, shapes: list[tuple[int, ...]]) -> Callable[[], Any]:
    """Return a function that resizes a photo of the next shape each time, one after the other."""
    flat, build = x.reshape(-1), peer.builders[Call]
    jobs = [build(replace(_CASE, shape=shape), flat[: prod(shape)].reshape(shape)) for shape in shapes]
    calls = cycle([job.run for job in jobs if job is not None])
    return lambda: next(calls)()


def _against(peer: Peer, place: str, quick: bool) -> Measured:
    """Return a peer's time in parts of ours, and both in microseconds."""
    (x,) = make_inputs(_CASE, place)
    lengths = _LENGTHS[:2] if quick else _LENGTHS
    shapes = [(1, *both, 3) for both in product(lengths, lengths)]
    Random(0).shuffle(shapes)
    calls = {contestant.name: _next_call(contestant, x, shapes) for contestant in (OURS, peer)}
    for call in calls.values():
        for _ in shapes:
            call()
    times = interleaved(calls, host_seconds, QUICK if quick else FULL)
    micro = {f"{name}, µs": 1e6 * timing.median for name, timing in times.items()}
    return times[peer.name].median / times[OURS.name].median, micro


def _figures(place: str) -> tuple[Figure, ...]:
    name = f"{_CASE.name.removesuffix(' 1x1000x1000x3')} of ever new shapes"
    return tuple(
        Figure(name, f"times as fast as {peer.name}", partial(_against, peer, place), least=0.5)
        for peer in PEERS
        if peer.name == "torch" and find_spec(peer.module) is not None
    )


FIGURES: Mapping[str, tuple[Figure, ...]] = {place: _figures(place) for place in ("cpu", "cuda")}
"""Backend -> how many times as fast as torch a call is; on a GPU, what the host does for it."""
