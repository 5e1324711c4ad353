"""From the arguments of the gradients of a transposed convolution to a plan."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from math import prod
from typing import Any

from gpu_upsample.plan.cache import kept, plain
from gpu_upsample.plan.conv_transpose import LONG_SUM, ConvTransposeStep, conv_transpose_step
from gpu_upsample.plan.dtypes import STORAGE, Storage, words
from gpu_upsample.plan.rearrange import FoldStep, UnfoldStep, Windows, fold_axes, unfolded_rows
from gpu_upsample.plan.shapes import as_flag
from gpu_upsample.plan.steps import Output, Plan
from gpu_upsample.plan.windows import Spans, Triple, reach, spans

_LANES, _TURNS = 32, 1024


@dataclass(frozen=True, eq=False)
class ReductionStep:
    """Long sums, over all arrays and windows, of what each tap of a kernel sees, times the factor of the window.

    Results have the layout of a weight: (groups, channels of the factors, channels of the samples, taps). A complex
    factor is conjugated; without factors, they are 1.

    Every row of windows is cut into turns of `lanes` neighbours, and all turns, in order, into blocks of `turns`. Each
    lane of a block adds up its own terms from 0 on, one fused multiply-add each, in ascending order; then all lanes of
    all blocks are added up, again from 0 on and in ascending order. All in the accumulator. So the sign of a lane's
    zero reaches no result, and a term of 0 changes none.

    Attributes
    ----------
    batch, groups : int
        Number of arrays, and of groups of channels.
    channels, factors : int
        Channels of one group of the samples; of the factors, 0 where there are none.
    size, windows, kernel : tuple of 3 int
        Lengths of the spatial axes.
    axes : tuple of 3 Spans
        In which windows each tap of an axis sees a sample.
    strides, factor_strides : tuple of 3 int
        Distance of arrays, channels and samples, in elements.
    source, result : Storage
        Scalars of what is summed and of the sums, with one accumulator.
    parts : int
        Scalars of an element, 2 for complex numbers.
    lanes, turns : int
        The order of the sums.
    """

    batch: int
    groups: int
    channels: int
    factors: int
    size: Triple
    windows: Triple
    kernel: Triple
    axes: tuple[Spans, Spans, Spans]
    strides: Triple
    factor_strides: Triple
    source: Storage
    result: Storage
    parts: int
    lanes: int
    turns: int

    @property
    def elements(self) -> int:
        """Number of results."""
        return self.groups * max(self.factors, 1) * self.channels * prod(self.kernel)

    @property
    def segments(self) -> int:
        """Number of turns of a row."""
        return -(-self.windows[2] // self.lanes)

    @property
    def all_turns(self) -> int:
        """Number of turns of all rows of all arrays."""
        return self.batch * prod(self.windows[:2]) * self.segments

    @property
    def blocks(self) -> int:
        """Number of blocks."""
        return -(-self.all_turns // self.turns)

    @cached_property
    def unrounded(self) -> ReductionStep:
        """The same sums, left in the accumulator."""
        return replace(self, result=STORAGE[self.source.accumulator])

    def adding(self, elements: int) -> ReductionStep:
        """Return the step that adds up the lanes of all blocks of some results, from an array (lanes, results)."""
        lanes = self.blocks * self.lanes
        one, every = spans(1, 1, 1, 1, 0, 1), spans(lanes, lanes, 1, 1, 0, 1)
        return ReductionStep(
            1, 1, elements, 0, (1, 1, lanes), (1, 1, lanes), (1, 1, 1), (one, one, every), (0, 1, elements), (0, 0, 0),
            STORAGE[self.source.accumulator], self.result, self.parts, 1, lanes,
        )  # fmt: skip


@dataclass(frozen=True, eq=False)
class ConvTransposeBackwardStep:
    """The gradients of a transposed convolution.

    Directly, that for the input is the adjoint and that for the weight a reduction; so does a CPU always. By way of a
    matrix product, on a GPU, the gradient given is unfolded into columns, one per input sample: the weight times the
    columns are the one gradient, and the input times the columns, added up over the arrays in ascending order, the
    other. That for the bias is always a reduction.

    Attributes
    ----------
    forward : ConvTransposeStep
        The transposed convolution.
    needs : tuple of 3 bool
        Whether the gradients for the input, the weight and the bias are wanted.
    direct : bool
        The route of a GPU.
    """

    forward: ConvTransposeStep
    needs: tuple[bool, bool, bool]
    direct: bool

    @cached_property
    def adjoint(self) -> ConvTransposeStep:
        """The gradient for the input, formed directly."""
        conv = self.forward
        return replace(
            conv,
            channels_in=conv.channels_out,
            channels_out=conv.channels_in,
            size_in=conv.size_out,
            size_out=conv.size_in,
            bias=False,
            direct=True,
            adjoint=True,
        )

    @cached_property
    def weight(self) -> ReductionStep:
        """The gradient for the weight, formed directly."""
        conv = self.forward
        first, second, third = (axis.spans for axis in conv.axes)
        return self._reduction(
            channels=conv.channels_out,
            factors=conv.channels_in,
            windows=conv.size_in,
            kernel=conv.kernel,
            axes=(first, second, third),
        )

    @cached_property
    def bias(self) -> ReductionStep:
        """The gradient for the bias."""
        size = self.forward.size_out
        first, second, third = (spans(n, n, 1, 1, 0, 1) for n in size)
        return self._reduction(
            channels=self.forward.channels_out,
            factors=0,
            windows=size,
            kernel=(1, 1, 1),
            axes=(first, second, third),
        )

    def _reduction(
        self, *, channels: int, factors: int, windows: Triple, kernel: Triple, axes: tuple[Spans, Spans, Spans]
    ) -> ReductionStep:
        conv = self.forward
        strides = conv.strides(conv.size_out, channels), conv.strides(windows, factors)
        return ReductionStep(
            conv.batch, conv.groups, channels, factors, conv.size_out, windows, kernel, axes, *strides,
            conv.storage, conv.storage, conv.parts, min(_LANES, windows[2]), _TURNS,
        )  # fmt: skip

    def unfolding(self, images: int) -> UnfoldStep:
        """Return the step that makes columns of one group of some arrays, those of one array after another's."""
        conv = self.forward
        stride, padding, dilation = (
            tuple(getattr(axis, name) for axis in conv.axes) for name in ("stride", "padding", "dilation")
        )
        rows, shift = unfolded_rows(Windows(conv.size_out, conv.kernel, stride, padding, dilation, conv.size_in))
        return UnfoldStep(
            images * conv.channels_out, prod(conv.size_out[:2]), conv.size_out[2], rows.ravel(), shift.ravel(),
            conv.size_in[2], conv.axes[2].stride, *words(STORAGE[conv.storage.accumulator], conv.parts),
        )  # fmt: skip


@kept
def rounding(step: ConvTransposeStep, rows: int, width: int) -> FoldStep:
    """Return the step that rounds rows of numbers from the accumulator to the storage: a fold with nothing to add."""
    axes = fold_axes([reach(width, width, 1, 1, 0, 1)])
    return FoldStep(rows, 1, axes, STORAGE[step.storage.accumulator], step.storage)


def as_needs(value: Any) -> tuple[bool, bool, bool]:
    """Return `value` as three booleans, or say why it is none."""
    given = plain(value)
    if not isinstance(given, tuple) or len(given) != 3:
        raise ValueError(f"needs must be three booleans, for x, weight and bias; got {value!r}")
    x, weight, bias = (as_flag("needs", need) for need in given)
    return x, weight, bias


def gradients_take_direct_route(channels_in: int, channels_out: int, kernel: Triple) -> bool:
    """Return whether matrix products would not outweigh the pass over their columns.

    Examples
    --------
    >>> gradients_take_direct_route(1, 1, (1, 16, 16))      # depthwise
    True
    >>> gradients_take_direct_route(512, 256, (1, 4, 4))
    False
    """
    return channels_in == 1 or channels_out * prod(kernel) < LONG_SUM


def plan_conv_transpose_backward(
    shape: tuple[int, ...],
    dtype: str,
    x_shape: tuple[int, ...],
    x_dtype: str,
    weight_shape: tuple[int, ...],
    weight_dtype: str,
    needs: tuple[bool, bool, bool],
    *arguments: Any,
) -> Plan:
    """Plan the gradients that are needed; `arguments` are those of `conv_transpose_step`, from `rank` on."""
    output, forward = conv_transpose_step(x_shape, x_dtype, weight_shape, weight_dtype, None, None, *arguments)
    if dtype != x_dtype:
        raise TypeError(f"grad_output must have the dtype of x, {x_dtype}; got {dtype}")
    if shape != output.shape:
        raise ValueError(f"grad_output must have the shape of the output, {output.shape}; got {shape}")
    # Without a batch there is nothing to multiply: the direct sums are zeros.
    direct = (
        bool(arguments[-1])
        or forward.batch == 0
        or gradients_take_direct_route(forward.channels_in, forward.channels_out, forward.kernel)
    )
    shapes = (x_shape, weight_shape, (forward.groups * forward.channels_out,))
    outputs = tuple(Output(wanted, dtype) for wanted, need in zip(shapes, needs, strict=True) if need)
    return Plan(outputs, (ConvTransposeBackwardStep(forward, needs, direct),))
