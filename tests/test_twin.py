"""Every CUDA kernel through the whole path of a call, on the host twin and on a device: the CPU backend's bits."""

from __future__ import annotations

from contextlib import contextmanager
from types import SimpleNamespace

import numpy as np
import pytest

import gpu_upsample as gu

pytest.importorskip("numba_cuda", reason="the kernels need numba-cuda")
from gpu_upsample.cuda import grid, memory
from gpu_upsample.cuda.filter_choice import columns_of, filter_lanes, filter_spec
from gpu_upsample.cuda.filter_spec import FilterSpec
from gpu_upsample.cuda.kernels import THREADS
from gpu_upsample.cuda.select_kernels import SelectSpec
from gpu_upsample.plan.resample import plan_resize
from tests import references, twin, twin_memory
from tests.cases import CASES, seldom
from tests.devices import Twin

DTYPES = ["bool", "uint8", "int8", "uint16", "int16", "uint32", "int32", "uint64", "int64"]
DTYPES += ["float16", "bfloat16", "float32", "float64", "complex64", "complex128"]


def sample(shape, dtype, seed=0):
    """Return noise that fills the range of an integer dtype, and some special values of a floating one."""
    rng = np.random.default_rng(seed)
    if dtype == "bfloat16":
        dtype = pytest.importorskip("ml_dtypes").bfloat16
    kind = np.dtype(dtype).kind
    if kind in "iu":
        info = np.iinfo(dtype)
        return rng.integers(info.min, info.max, shape, dtype, endpoint=True)
    if kind == "b":
        return rng.random(shape) < 0.5
    x = rng.standard_normal(shape) * 10
    if kind == "c":
        return (x + 1j * rng.standard_normal(shape)).astype(dtype)
    x.flat[rng.integers(0, x.size, 3)] = np.inf, -0.0, np.nan
    return x.astype(dtype)


def bits(x):
    """Return the bits of an array, every NaN the same: a GPU has one of its own."""
    words = np.asarray(x)
    if words.dtype.kind not in "biu":
        words = np.where(np.isnan(words), np.array(np.nan, words.dtype), words)
    return np.ascontiguousarray(words).view(np.uint8)


def assert_equals_cpu(device, operator, x, **options):
    expected = operator(x, backend="cpu", **options)
    got = device(operator, x, **options)
    assert got.shape == expected.shape
    assert got.dtype == expected.dtype
    np.testing.assert_array_equal(bits(got), bits(expected))


@pytest.mark.parametrize(
    "size", [pytest.param((12, 15, 8), id="enlarge"), pytest.param((3, 2, 3), id="shrink", marks=pytest.mark.thorough)]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_mode(device, case, size):
    rank = 2 if 2 in case.ranks else case.ranks[0]
    x = sample(case.shape((6, 11, 7)[:rank]), "float32")
    assert_equals_cpu(device, getattr(gu, case.operator), x, **case.arguments(size[:rank]))


@pytest.mark.parametrize(
    "size", [pytest.param((12, 22, 14), id="double", marks=pytest.mark.thorough), pytest.param((3, 2, 3), id="shrink")]
)
@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_every_gradient(device, case, size):
    rank = 2 if 2 in case.ranks else case.ranks[0]
    shape = case.shape((6, 11, 7)[:rank])
    operator = getattr(gu, f"{case.operator}_backward")
    grad = sample(case.shape(size[:rank]), "float32")
    assert_equals_cpu(device, operator, grad, input_size=shape, **case.arguments(size[:rank]))


@pytest.mark.parametrize("size", [(8000, 40), (3, 9000)])
def test_long_windows_of_gradients(device, size):
    grad = sample((1, 3, *size), "float32")
    assert_equals_cpu(device, gu.interpolate_backward, grad, input_size=(1, 3, 2, 5), size=size, mode="bilinear")


@pytest.mark.parametrize("dtype", ["float16", "bfloat16", "float64", "complex64", "complex128"])
def test_dtypes_of_gradients(device, dtype):
    grad = sample((2, 3, 22, 24), dtype)
    assert_equals_cpu(device, gu.interpolate_backward, grad, input_size=(2, 3, 11, 12), size=(22, 24), mode="bicubic")


# Others have the same kernels but for how a sample is read and a sum stored, which tests of the dtypes hold to.
OFTEN = {"uint8", "int16", "uint32", "int64", "float16", "bfloat16", "float64", "complex64"}


@pytest.mark.parametrize("dtype", seldom(DTYPES, OFTEN))
@pytest.mark.parametrize(
    "options",
    [
        {"scale": 2.0, "method": "cubic"},
        {"size": (5, 6), "method": "linear", "antialias": True},
        {"scale": 1.5, "method": "nearest"},
    ],
    ids=["enlarge", "shrink", "select"],
)
def test_dtypes(device, dtype, options):
    assert_equals_cpu(device, gu.resize, sample((11, 12, 4), dtype), axes=(0, 1), **options)


# ---- long rows ----------------------------------------------------------------------------------------------
# Rows of fewer than 32 pixels are walked along. In long rows the windows of all threads may lie alike.
def _calls(dtypes, shape, size, **options):
    return [pytest.param(dtype, shape, size, options, id=_name(dtype, shape, size, options)) for dtype in dtypes]


def _name(dtype, shape, size, options):
    return "-".join(map(str, (dtype, *shape, "to", *size, *options.values())))


TWICE = ((3, 6, 200), (12, 400))
DEFAULTS = (False, "half_pixel", "round_prefer_floor", -0.5, None)
LONG_ROWS = [
    *_calls(["float32", "uint8", "float64"], *TWICE, method="linear"),
    *_calls(["float16", "uint8"], *TWICE, method="cubic"),
    *_calls(["float16", "uint8", "complex64"], *TWICE, method="nearest"),
    *_calls(["float32"], *TWICE, method="linear", border="constant", fill_value=np.nan),
    *_calls(["float32"], (2, 6, 280), (12, 560), method="cubic", border="extrapolate"),
    *_calls(["float32", "uint8"], (2, 12, 1120), (6, 560), method="linear", antialias=True),
    *_calls(["float32"], (3, 20, 96), (10, 48), method="linear", antialias=True),
    *_calls(["float32"], (3, 10, 48), (20, 96), method="linear", border="constant", fill_value=np.nan),
    *_calls(["float32"], (3, 10, 48), (20, 96), method="cubic", border="extrapolate"),
    *_calls(["float32"], (3, 11, 47), (15, 64), method="linear"),
    *_calls(["uint8"], (3, 11, 47), (15, 64), method="cubic", border="constant", fill_value=1.0),
    *_calls(["float16", "uint8"], (3, 11, 104), (7, 64), method="linear"),
    *_calls(["float32", "uint8"], (3, 11, 104), (7, 64), method="linear", antialias=True),
    *_calls(["float32", "int16"], (3, 11, 104), (7, 64), method="cubic"),
    *_calls(["float32"], (3, 11, 104), (7, 64), method="cubic", antialias=True),
    *_calls(["float32"], (2, 11, 104), (7, 64), method="nearest"),
    *_calls(["float32", "uint8"], (5, 36, 3), (10, 72), method="linear", axes=(0, 1)),
    *_calls(["float32", "uint8"], (5, 36, 3), (10, 72), method="nearest", axes=(0, 1)),
    *_calls(["float32"], (5, 36, 3), (10, 72), method="cubic", axes=(0, 1)),
    *_calls(["float32"], (5, 36, 16), (10, 72), method="linear", axes=(0, 1)),
    *_calls(["float16"], (5, 37, 8), (7, 50), method="cubic", axes=(0, 1)),
]


def test_the_forms_of_the_column_sums_are_all_covered():
    calls = [
        ("float32", *TWICE, (1, 2), "span"),
        ("float32", (3, 11, 47), (15, 64), (1, 2), "apart"),
        ("float32", (5, 36, 16), (10, 72), (0, 1), "joint"),
        ("float32", (3, 10, 12), (20, 24), (1, 2), "walk"),
    ]
    for dtype, shape, size, axes, form in calls:
        (step,) = plan_resize(shape, dtype, 0, "clamp", size, None, axes, "linear", *DEFAULTS).steps
        assert filter_spec(step, 4, False).columns == form


@pytest.mark.parametrize(("dtype", "shape", "size", "options"), LONG_ROWS)
def test_long_rows(device, dtype, shape, size, options):
    assert_equals_cpu(device, gu.resize, sample(shape, dtype), size=size, **{"axes": (1, 2), **options})


@pytest.mark.parametrize(("dtype", "antialias"), [("float32", True), ("float32", False), ("uint8", True)])
def test_strips_of_many_rows(device, monkeypatch, dtype, antialias):
    monkeypatch.setattr(grid, "_BUSY", 1e-3)  # else a strip of so small an array is one row
    x = sample((2, 150, 104), dtype)
    assert_equals_cpu(device, gu.resize, x, size=(91, 64), axes=(1, 2), method="linear", antialias=antialias)


@pytest.mark.parametrize(("dtype", "method"), [("float32", "lanczos3"), ("uint16", "mitchell")])
def test_as_many_rows_from_a_box_that_holds_more(device, dtype, method):
    # Rows are summed as when shrinking, but there are no fewer: a strip must not store those of the one above.
    x = sample((9, 40), dtype)
    assert_equals_cpu(device, gu.resize, x, size=9, axes=0, method=method, box=[(-2.0, 10.5)])


def test_samples_beyond_a_window_do_not_count(device):
    x = sample((2, 11, 104), "float32")
    x[..., ::7] = np.inf  # a weight of 0 would make NaN of it
    assert_equals_cpu(device, gu.resize, x, size=(7, 64), axes=(1, 2), method="linear", antialias=True)


def test_negative_zeros_at_the_ends_of_a_row(device):
    # What stands for a sample that is not there, in a window that is cut off, must not change the sign of a sum.
    x = np.full((3, 300), -0.0, np.float32)
    assert np.signbit(device(gu.resize, x, size=(6, 600), method="linear")).all()


@pytest.mark.parametrize(("method", "dtype"), [("nearest", "float32"), ("linear", "float32"), ("cubic", "float16")])
def test_gradients_of_long_rows(device, method, dtype):
    grad = sample((3, 12, 1120), dtype)
    assert_equals_cpu(
        device, gu.resize_backward, grad, input_size=(3, 6, 560), size=(12, 1120), axes=(1, 2), method=method
    )


BORDERS = [("constant", 3.0), *((border, 0) for border in references.BORDERS)]


@pytest.mark.parametrize(("border", "fill"), BORDERS)
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_borders_and_boxes(device, border, fill, method):
    x = sample((9, 11), "float32")
    box = ((-3.5, 12.0), (-2.0, 11.25))
    options = {"size": (21, 19), "box": box, "border": border, "fill_value": fill, "method": method}
    assert_equals_cpu(device, gu.resize, x, **options)


def test_a_box_far_outside_takes_the_direct_form():
    x = sample((60, 20), "float32")
    twin.launched.clear()
    assert_equals_cpu(Twin(), gu.resize, x, size=(40, 24), box=((-900, 55), (0, 20)), method="linear", antialias=True)
    assert [spec.rows for spec in twin.launched] == ["direct"]


LAYOUTS = {
    "odd": lambda x: x,
    "sliced": lambda x: x[1:, 1:],
    "flipped": lambda x: x[::-1, ::-1],
    "transposed": lambda x: x.T,
    "broadcast": lambda x: np.broadcast_to(x[:1], x.shape),
    "channels": lambda x: np.repeat(x[:, :, None], 3, axis=2),
    "many channels": lambda x: np.repeat(x[:, :, None], 40, axis=2),
}


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_layouts(device, layout, method):
    x = LAYOUTS[layout](sample((13, 16), "float32"))
    assert_equals_cpu(device, gu.resize, x, scale=(2.0, 2.0), axes=(0, 1), method=method)


@pytest.mark.parametrize("axes", [(0,), (1,), (3,), (0, 2), (1, 3), (0, 1, 2, 3)])
@pytest.mark.parametrize("methods", ["linear", "nearest", "mixed"])
def test_axes(device, axes, methods):
    names = {"linear": ["linear"] * 4, "nearest": ["nearest"] * 4, "mixed": ["linear", "nearest"] * 2}[methods]
    x = sample((4, 5, 3, 6), "float32")
    size = tuple(x.shape[axis] * 2 - 1 for axis in axes)
    assert_equals_cpu(device, gu.resize, x, size=size, axes=axes, method=[names[axis] for axis in axes])


def test_out_is_used_in_place_and_misaligned_rows_narrow_the_access():
    x = sample((6, 400), "float32")
    whole = np.zeros(1 + 12 * 800, np.float32)
    with twin.installed():
        out = whole[1:].view(twin.TwinArray).reshape(12, 800)
        twin.launched.clear()
        assert gu.resize(twin.to_twin(x), scale=2.0, out=out) is out
        assert [(spec.lanes, spec.pieces) for spec in twin.launched] == [(4, 4)]
        twin.launched.clear()
        aligned = gu.resize(twin.to_twin(x), scale=2.0)
        assert [(spec.lanes, spec.pieces) for spec in twin.launched] == [(4, 1)]
    np.testing.assert_array_equal(np.asarray(out), np.asarray(aligned))
    np.testing.assert_array_equal(np.asarray(out), gu.resize(x, scale=2.0))


DEALT = {
    "any ratio": ((7, 93), (9, 128), {}),
    "the last threads have a lane less": ((5, 33), (7, 46), {"method": "cubic"}),
    "shrinking": ((11, 70), (7, 44), {"method": "cubic"}),
    "antialias": ((11, 70), (7, 44), {"antialias": True}),
    "columns alone": ((3, 90), (3, 124), {}),
    "channels": ((6, 50, 3), (8, 68), {}),
    "cubic, channels": ((6, 40, 3), (12, 60), {"method": "cubic"}),
    "a constant around": ((7, 93), (9, 128), {"border": "constant", "box": ((-2, 8), (-5, 99))}),
    "three axes": ((5, 6, 70), (7, 8, 96), {}),
}


@pytest.mark.parametrize("dtype", seldom(["float32", "float64", "complex64"], {"float32", "complex64"}))
@pytest.mark.parametrize("name", DEALT)
def test_lines_that_are_dealt_to_threads(dtype, name):
    shape, size, options = DEALT[name]
    twin.launched.clear()
    assert_equals_cpu(Twin(), gu.resize, sample(shape, dtype), size=size, **options)
    assert any(spec.pieces > 1 for spec in twin.launched)
    if name == "three axes" and dtype == "float32":
        assert any(spec.lines and spec.pieces > 1 for spec in twin.launched)


PIECES = [
    ("float16", (7, 93), (9, 127), {"method": "cubic"}, (4, 4)),
    ("float16", (7, 93), (14, 186), {}, (4, 2)),
    ("uint8", (7, 93), (9, 127), {}, (4, 4)),
    ("uint8", (7, 150), (9, 402), {}, (4, 2)),
    ("uint8", (6, 50, 3), (8, 67), {}, (4, 4)),
    ("uint8", (7, 93), (14, 93), {}, (8, 8)),  # rows alone
    ("float16", (7, 94), (14, 94), {}, (8, 4)),
    ("float32", (7, 93), (14, 93), {"method": "nearest"}, (4, 4)),
    ("float32", (7, 93), (14, 186), {"method": "nearest"}, (4, 2)),
    ("uint8", (7, 93), (14, 186), {"method": "nearest"}, (16, 8)),
    ("uint8", (7, 93), (9, 127), {"method": "nearest"}, (8, 8)),
    ("uint8", (6, 51, 3), (8, 67), {"method": "nearest"}, (8, 8)),
    ("float16", (7, 93), (9, 127), {"method": "nearest", "border": "constant", "box": ((-2, 8), (-5, 99))}, (8, 8)),
]


@pytest.mark.parametrize(("dtype", "shape", "size", "options", "dealt"), PIECES)
def test_lines_whose_ends_do_not_fit_are_dealt_piece_by_piece(device, dtype, shape, size, options, dealt):
    twin.launched.clear()
    assert_equals_cpu(device, gu.resize, sample(shape, dtype), size=size, **options)
    assert device.name == "device" or [(spec.lanes, spec.pieces) for spec in twin.launched] == [dealt]


@pytest.mark.parametrize(
    ("dtype", "shape", "size", "across", "inside"),
    [
        ("uint8", (6, 64), (3, 32), 2, (0, 2)),
        ("uint8", (5, 24), (10, 48), 3, (1, 1)),
        ("float32", (5, 24), (10, 48), 12, (1, 10)),
    ],
)
def test_threads_at_the_ends_of_rows_come_first(device, dtype, shape, size, across, inside):
    x = sample(shape, dtype)
    (step,) = plan_resize(shape, dtype, 0, "clamp", size, None, None, "linear", *DEFAULTS).steps
    lanes, pieces = filter_lanes(step, 0, 0)
    assert -(-size[1] // lanes) == across
    assert columns_of(step, lanes, pieces).span.threads(lanes) == inside
    assert_equals_cpu(device, gu.resize, x, size=size)


@pytest.mark.parametrize("dtype", seldom(["float32", "float16", "uint8", "float64"], {"float32", "uint8"}))
@pytest.mark.parametrize(
    ("size", "method", "vector"), [((5, 100), "cubic", 4), ((5, 200), "lanczos3", 1), ((5, 133), "cubic", 1)]
)
def test_long_windows_that_are_alike_in_every_thread(dtype, size, method, vector):
    x = sample((11, 400 if size[1] != 133 else 399), dtype)
    twin.launched.clear()
    assert_equals_cpu(Twin(), gu.resize, x, size=size, method=method, antialias=True)
    (spec,) = (spec for spec in twin.launched if spec.columns == "span")
    assert spec.width > 8
    assert spec.lanes == 1
    assert spec.vector == vector or dtype == "float64"


def test_lines_are_dealt_where_samples_lie_apart():
    def dealt(dtype, n, m, method="linear", channels=1):
        step = plan_resize((64, n, channels), dtype, 0, "clamp", (128, m), None, (0, 1), method, *DEFAULTS).steps[-1]
        lanes, pieces = filter_lanes(step, 0, 0)
        return lanes == pieces > 1

    assert dealt("float32", 700, 960)
    assert not dealt("uint8", 700, 960)
    assert not dealt("float16", 700, 960)
    assert not dealt("float32", 400, 800)  # a span
    assert not dealt("float32", 400, 800, channels=3)
    assert dealt("float32", 400, 800, "cubic", channels=3)
    assert dealt("float32", 30, 44)
    assert not dealt("float32", 1, 2, channels=5)  # more than the last lane would lie beyond the end
    for width, box in ((100, None), (1000, ((0, 64), (300, 400)))):  # what a box leaves out is not read
        step = plan_resize((64, width), "float32", 0, "clamp", (128, 324), None, (0, 1), "linear", *DEFAULTS[:-1], box)
        assert filter_lanes(step.steps[0], 0, 0) == (4, 1)


@pytest.mark.parametrize("size", [(5, 96), (6, 140)])
def test_arrays_between_the_places_of_their_items_are_refused(size):
    def beside(shape):
        return np.zeros(4 * np.prod(shape) + 2, np.uint8)[2:].view(np.float32).reshape(shape).view(twin.TwinArray)

    x = twin.to_twin(sample((3, 70), "float32"))
    fields = np.zeros((3, 70), np.dtype({"names": ["x"], "formats": ["f4"], "offsets": [0], "itemsize": 5}))["x"]
    with twin.installed():
        twin.launched.clear()
        for given, out in ((beside((3, 70)), None), (x, beside(size)), (fields.view(twin.TwinArray), None)):
            with pytest.raises(ValueError, match="items of an array must lie at multiples of their size"):
                gu.resize(given, size, out=out)
        assert not twin.launched


UNALIGNED = {
    "rows as they are": (lambda x: gu.resize(x, 18, axes=0), (9, 64)),
    "channels of a pixel": (lambda x: gu.resize(x, (10, 72), axes=(0, 1)), (5, 36, 16)),
    "a span in vectors": (lambda x: gu.resize(x, (6, 560), axes=(1, 2), antialias=True), (2, 12, 1120)),
    "rows that are copied": (lambda x: gu.resize(x, 18, axes=0, method="nearest"), (9, 64)),
}


@pytest.mark.parametrize(("call", "shape"), UNALIGNED.values(), ids=UNALIGNED)
def test_inputs_may_begin_between_the_places_of_vectors(call, shape):
    x = sample(shape, "float32")
    with twin.installed():
        for items in (1, 2, 3):
            np.testing.assert_array_equal(np.asarray(call(twin_memory.at_offset(x, items))), call(x))


def test_device_out_is_checked():
    x = twin.to_twin(sample((6, 8), "float32"))
    with twin.installed():
        with pytest.raises(ValueError, match="overlap"):
            gu.resize(x, size=(6, 8), out=x)
        with pytest.raises(TypeError, match="one kind"):
            gu.resize(x, size=(6, 8), out=np.zeros((6, 8), np.float32))


def test_host_data_on_the_device_and_back():
    x = sample((6, 8), "float32")
    expected = gu.resize(x, scale=2.0)
    with twin.installed():
        twin.launched.clear()
        got = gu.resize(x, scale=2.0, backend="cuda")
        assert type(got) is np.ndarray
        assert len(twin.launched) == 1
        out = np.zeros_like(expected)
        assert gu.resize(x, scale=2.0, backend="cuda", out=out) is out
        back = gu.resize(twin.to_twin(x), scale=2.0, backend="cpu")
        assert type(back) is twin.TwinArray
        assert len(twin.launched) == 2
    for result in (got, out, back):
        np.testing.assert_array_equal(np.asarray(result), expected)


@pytest.mark.parametrize("shape", [(0, 3, 5, 5), (2, 0, 5, 5)])
def test_empty_batches(shape):
    with twin.installed():
        twin.launched.clear()
        result = gu.interpolate(twin.to_twin(np.zeros(shape, np.float32)), scale_factor=2)
    assert result.shape == (*shape[:2], 10, 10)
    assert twin.launched == []


# ---- large arrays -------------------------------------------------------------------------------------------
# Only some blocks run, and untouched memory is never backed by pages, so an array of gigabytes costs little.
LARGE = [
    pytest.param("uint8", 2**31 + 2**20, False, id="beyond 2**31"),
    pytest.param("uint8", 2**32 + 2**20, True, id="beyond 2**32"),
]


@pytest.mark.parametrize(("dtype", "size", "wide"), LARGE)
@pytest.mark.parametrize("method", ["linear", "nearest"])
def test_flat_indices_beyond_32_bits(dtype, size, wide, method):
    width = 1 << 12
    rows = -(-size // (2 * width))
    x = np.zeros((rows, width), dtype).view(twin.TwinArray)
    tail = sample((40, width), dtype)
    np.asarray(x)[-40:] = tail
    seen = []

    def some_blocks(spec, device, stream, blocks, arguments):
        across, _, strip = arguments[3:6]
        last = -(-across * (20 // strip + 2) // THREADS)  # the blocks of the last rows
        written = twin.run(spec, device, stream, blocks, arguments, only=range(blocks - last, blocks))
        seen.append((spec, int(written[-width:].min())))

    with twin.installed(some_blocks):
        got = gu.resize(x, size=2 * rows, axes=0, method=method)
    assert [spec.wide for spec, _ in seen] == [wide]
    assert seen[0][1] == 1
    expected = gu.resize(tail, size=80, axes=0, method=method)
    np.testing.assert_array_equal(np.asarray(got[-20:]), expected[-20:])


def test_a_call_runs_on_the_device_of_its_arrays(monkeypatch):
    entered = []

    @contextmanager
    def device(number):
        entered.append(number)
        yield

    monkeypatch.setattr(memory, "device_count", lambda: 2)
    monkeypatch.setattr(twin_memory.CUPY.cuda, "Device", device)
    x = sample((6, 8), "float32")
    with twin.installed():
        on_second, out = twin.to_twin(x), twin.to_twin(np.zeros((12, 16), np.float32))
        on_second.device = SimpleNamespace(id=1)
        with pytest.raises(ValueError, match=r"one CUDA device; got \[0, 1\]"):
            gu.resize(on_second, scale=2.0, out=out)
        assert not np.asarray(out).any()
        np.testing.assert_array_equal(np.asarray(gu.resize(on_second, scale=2.0)), gu.resize(x, scale=2.0))
    assert entered == [1]


def test_arrays_of_other_libraries_are_taken_where_they_lie(monkeypatch):
    current = [0]

    @contextmanager
    def device(number):
        before, current[0] = current[0], number
        yield
        current[0] = before

    def asarray(x):  # as CuPy does it: what lies on another device is copied
        taken = np.asarray(x).view(twin.TwinArray)
        taken = taken if current[0] == 1 or not isinstance(x, twin_memory.Foreign) else twin.to_twin(np.asarray(x))
        taken.device = SimpleNamespace(id=current[0])
        return taken

    monkeypatch.setattr(memory, "device_count", lambda: 2)
    monkeypatch.setattr(twin_memory.CUPY.cuda, "Device", device)
    monkeypatch.setattr(twin_memory.CUPY.cuda.runtime, "pointerGetAttributes", lambda at: SimpleNamespace(device=1))
    monkeypatch.setattr(twin_memory.CUPY, "asarray", asarray)
    monkeypatch.setattr(memory, "empty", lambda shape, dtype: asarray(np.empty(shape, dtype)))
    x, goal = sample((6, 8), "float32"), twin.to_twin(np.zeros((12, 16), np.float32))
    with twin.installed():
        given, out = twin_memory.Foreign(twin.to_twin(x)), twin_memory.Foreign(goal)
        assert gu.resize(given, scale=2.0, out=out) is out
        handed = []
        given.__array_namespace__ = lambda: SimpleNamespace(from_dlpack=lambda x: handed.append(current[0]) or x)
        gu.resize(given, scale=2.0)
        gu.resize(given, scale=2.0, backend="cpu")
    np.testing.assert_array_equal(np.asarray(goal), gu.resize(x, scale=2.0))
    assert handed == [1, 1]  # results are given back where the array lies, too


def test_memory_of_views_that_are_not_whole():
    with twin.installed():
        room = twin.to_twin(np.arange(40, dtype=np.float32))
        before = np.array(room)
        # An input that is read backwards from behind the output, and an output whose last items lie in the input.
        for x, out in ((room[19:9:-1], room[10:20]), (room[19:9:-1], room[5:15]), (room[30:40], room[14:33:2])):
            with pytest.raises(ValueError, match="out must not overlap x in memory"):
                gu.resize(x, 10, out=out, method="nearest")
        np.testing.assert_array_equal(np.asarray(room), before)
        assert gu.resize(room[19:9:-1], 10, out=room[20:30], method="nearest") is not None
        np.testing.assert_array_equal(np.asarray(room[20:30]), before[19:9:-1])


class Mine(twin.TwinArray):
    """A class of a user, derived from that of a device array."""

    __module__ = "mine"


def test_subclasses_of_device_arrays_stay_on_the_device():
    x = sample((6, 8), "float32")
    with twin.installed():
        given, out = (twin.to_twin(array).view(Mine) for array in (x, np.zeros((12, 16), np.float32)))
        twin.launched.clear()
        assert gu.resize(given, scale=2.0, out=out) is out
        np.testing.assert_array_equal(np.asarray(gu.resize(given, scale=2.0)), np.asarray(out))
        assert len(twin.launched) == 2
    np.testing.assert_array_equal(np.asarray(out), gu.resize(x, scale=2.0))


@pytest.mark.parametrize("backend", ["auto", "cpu"])
@pytest.mark.parametrize("kind", [lambda x: x, twin_memory.Foreign], ids=["own", "foreign"])
def test_device_arrays_in_another_byte_order_are_refused(kind, backend):
    swapped = np.dtype(np.float32).newbyteorder("S")
    x, out = (np.ones(n, swapped).view(twin.TwinArray) for n in (4, 8))
    right, goal = (np.ones(n, np.float32).view(twin.TwinArray) for n in (4, 8))
    with twin.installed():
        for given, target in ((x, None), (x, goal), (right, out)):
            with pytest.raises(TypeError, match="must have the byte order of the machine, got dtype"):
                gu.resize(kind(given), 8, out=target if target is None else kind(target), backend=backend)
    assert (np.asarray(goal) == 1).all()
    np.testing.assert_array_equal(np.asarray(out), np.ones(8, swapped))


class CudaTensor(twin_memory.Foreign):
    """What a call asks of a torch tensor on a GPU, over a device array."""

    __module__ = "torch"
    requires_grad, is_nested, is_cuda, device = False, False, True, SimpleNamespace(type="cuda")

    def __init__(self, array):
        super().__init__(array)
        torch = pytest.importorskip("torch")
        self.shape, self.dtype, self.layout = array.shape, getattr(torch, array.dtype.name), torch.strided
        self.array, self.made = array, []

    detach = is_conj = is_neg = lambda self: None

    def new_empty(self, shape, dtype):
        """Return a new one, and remember it."""
        self.made.append(CudaTensor(twin.to_twin(np.empty(shape, str(dtype).removeprefix("torch.")))))
        return self.made[-1]


def test_results_are_in_the_memory_of_torch():
    image = sample((1, 3, 8, 8), "float32")
    with twin.installed():
        x = CudaTensor(twin.to_twin(image))
        results = (gu.resize(x, 4, axes=2), *gu.max_pool2d(x, 2, return_indices=True))
        assert all(result is made for result, made in zip(results, x.made, strict=True))
    expected = (gu.resize(image, 4, axes=2), *gu.max_pool2d(image, 2, return_indices=True))
    for result, right in zip(results, expected, strict=True):
        np.testing.assert_array_equal(np.asarray(result.array), right)


def test_a_read_only_array_of_another_library_is_no_output():
    x, goal = twin.to_twin(sample((6, 8), "float32")), twin.to_twin(np.zeros((12, 16), np.float32))
    with twin.installed(), pytest.raises(ValueError, match="out must be writable"):
        gu.resize(twin_memory.Foreign(x), scale=2.0, out=twin_memory.Foreign(goal, read_only=True))
    assert not np.asarray(goal).any()


def test_what_a_cuda_graph_uses_stays(monkeypatch):
    monkeypatch.setattr(twin_memory._STREAM, "is_capturing", lambda: True)
    monkeypatch.setattr(memory, "_captured", {})
    with twin.installed():
        x = twin.to_twin(sample((64, 90), "float32"))
        gu.resize(x[:, ::2], size=(4, 5), antialias=True, method="lanczos3")  # a copy of the input, and two steps
        kept = [held for held in memory._captured.values() if not isinstance(held, memory.Tables)]
        assert [held.size for held in kept] == [4 * 5, 64 * 45, 4 * 45]  # the result, too
        assert sum(isinstance(held, memory.Tables) for held in memory._captured.values()) == 2
        memory._captured.clear()
        gu.max_unpool1d(twin.to_twin(sample((3, 8), "float32")), twin.to_twin(np.arange(24).reshape(3, 8) * 2 % 16), 2)
        assert [held.dtype.name for held in memory._captured.values()] == ["float32", "uint32"]  # the votes


# ---- the twin itself ----------------------------------------------------------------------------------------


def run_select(x, out, rows, lanes=1, width=None):
    width = out.size // len(rows) if width is None else width
    table = np.asarray(rows, np.uint32).view(twin.TwinArray)
    nothing = np.zeros(1, np.uint32).view(twin.TwinArray)
    x, out = x.view(twin.TwinArray), out.view(twin.TwinArray)
    spec = SelectSpec(4, True, False, 0, 0, 0, 0, lanes, False, False)
    sizes = (1, width // lanes, 1, len(rows), x.size // width, len(rows), width, width, 1)
    twin.run(spec, 0, 1, 1, (x.data.ptr, out.data.ptr, *sizes, table.data.ptr, nothing.data.ptr, 0, 0, lanes, 0))


def test_the_twin_finds_a_read_out_of_bounds():
    with pytest.raises(IndexError):
        run_select(np.zeros(8, np.uint32), np.zeros(12, np.uint32), [0, 1, 2])


def test_the_twin_finds_a_missing_write():
    with pytest.raises(AssertionError, match="written"):
        run_select(np.zeros(8, np.uint32), np.zeros(12, np.uint32), [0, 1], width=4)


def test_the_twin_finds_a_misaligned_access():
    with pytest.raises(ValueError, match="misaligned"):
        run_select(np.zeros(9, np.uint32)[1:], np.zeros(8, np.uint32), [0, 1], lanes=4)


def test_the_forms_of_the_row_sums_are_all_covered():
    x = twin.to_twin(sample((40, 64), "float32"))
    with twin.installed():
        twin.launched.clear()
        gu.resize(x, size=5, axes=0, antialias=True)
        gu.resize(x, size=80, axes=0)
        gu.resize(x, size=128, axes=1)
    assert [spec.rows for spec in twin.launched if isinstance(spec, FilterSpec)] == ["sums", "ring", "none"]
