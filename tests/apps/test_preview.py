"""What a preview reads, keeps and says, without a browser."""

from __future__ import annotations

import asyncio
import datetime
import decimal
import io
import pathlib
import threading
import tracemalloc
import uuid
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import panel as pn
import pytest
import zarr
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from PIL import Image
from zarr.storage import LocalStore

from dj_panel.apps.preview import describe, preview
from dj_panel.apps.preview.decimation import BLOCK_SAMPLES, decimate, summarise
from dj_panel.apps.preview.dispatch import make_view, views_of
from dj_panel.apps.preview.image import ImageQuestion, Plane, contrast_limits, draw_image, fitted, tile_counts
from dj_panel.apps.preview.lines import LinesQuestion, LinesView, Signal, draw_lines, signal_of
from dj_panel.apps.preview.refresh import Refresher
from dj_panel.apps.preview.sources import (
    BUDGET_BYTES,
    ArraySource,
    Group,
    ImageFile,
    Listing,
    Raw,
    Rows,
    Text,
    Tree,
    UnreadableValueError,
    array_content,
    open_value,
)
from dj_panel.apps.preview.table import (
    PageQuestion,
    array_page,
    cell,
    frame_page,
    numeric_columns,
    table_html,
)
from dj_panel.apps.preview.text import bytes_html, text_html
from dj_panel.apps.preview.tree import MOST_NODES, tree_html
from dj_panel.apps.preview.view import Context, plain_reason
from dj_panel.apps.preview.window import (
    OverBudgetError,
    moved,
    page_chunks,
    spread_evenly,
    touched_bytes,
    visible_samples,
)
from dj_panel.core.errors import DataJointError
from dj_panel.core.npyref import NpyRef
from dj_panel.core.objects import ObjectRef, object_metadata
from dj_panel.core.store import Store

MARKUP = '<img src=x onerror="alert(1)">'

reals = hnp.arrays(
    st.sampled_from([np.float64, np.float32, np.int16, np.uint8, np.bool_]), st.integers(0, 400)
)


# ------------------------------------------------------------------------------------------- decimation


@given(values=reals, n_buckets=st.integers(1, 60))
def test_decimation_keeps_the_minimum_and_the_maximum_of_every_bucket(values: Any, n_buckets: int) -> None:
    envelope = decimate(values, n_buckets)
    assert len(envelope.values) <= 2 * n_buckets + 1
    assert np.all(np.diff(envelope.positions) >= 0)
    for start in range(0, len(values), envelope.every):
        bucket = values[start : start + envelope.every].astype(np.float64)
        inside = (envelope.positions >= start) & (envelope.positions < start + envelope.every)
        kept = envelope.values[inside]
        finite = bucket[np.isfinite(bucket)]
        if finite.size:
            assert np.nanmin(kept) == finite.min()
            assert np.nanmax(kept) == finite.max()
        else:
            assert np.isnan(kept).all()


@given(
    values=hnp.arrays(np.float64, st.integers(1, 300), elements=st.floats(-1e6, 1e6)),
    first=st.integers(0, 10**9),
)
def test_every_point_drawn_is_a_sample_at_its_own_place(values: Any, first: int) -> None:
    envelope = decimate(values, 10, first=first)
    assert np.array_equal(envelope.values, values[(envelope.positions - first).astype(int)])


def test_a_spike_of_one_sample_in_five_million_survives() -> None:
    values = np.zeros(5_000_000, dtype=np.float32)
    values[3_141_592] = 7.0
    envelope = decimate(values, 1000)
    assert envelope.values.max() == 7.0
    assert envelope.positions[envelope.values.argmax()] == 3_141_592


def test_blocks_change_nothing() -> None:
    values = np.random.default_rng(1).normal(size=BLOCK_SAMPLES * 2 + 12_345)
    envelope = decimate(values, 700)
    whole = values[: len(values) // envelope.every * envelope.every].reshape(-1, envelope.every)
    n_full = 2 * len(whole)
    assert np.array_equal(envelope.values[:n_full].reshape(-1, 2).min(axis=1), whole.min(axis=1))
    assert envelope.summary.n_values == len(values)
    assert envelope.summary.mean == pytest.approx(values.mean())


def test_an_infinity_does_not_hide_the_values_beside_it() -> None:
    values = np.arange(100, dtype=np.float64)
    values[5], values[6] = np.inf, np.nan
    envelope = decimate(values, 10)
    assert envelope.values[:2].tolist() == [0.0, 9.0]
    assert (envelope.summary.n_infinite, envelope.summary.n_nan) == (1, 1)


def test_whole_numbers_of_64_bits_are_summed_up_exactly() -> None:
    summary = summarise(np.array([2**63 - 1, -(2**63)], dtype=np.int64))
    assert (summary.minimum, summary.maximum) == (-(2**63), 2**63 - 1)


def test_the_mean_of_the_largest_floats_does_not_overflow() -> None:
    assert summarise(np.full(4, 1.5e308)).mean == pytest.approx(1.5e308)


# ------------------------------------------------------------------------------------- what is visible


@given(
    length=st.integers(1, 200),
    chunk=st.integers(1, 50),
    start=st.integers(0, 200),
    stop=st.integers(0, 200),
    step=st.integers(1, 70),
)
def test_the_cost_of_a_slice_is_that_of_the_chunks_it_touches(
    length: int, chunk: int, start: int, stop: int, step: int
) -> None:
    index = slice(start, stop, step)
    touched = {position // chunk for position in range(*index.indices(length))}
    assert touched_bytes((length,), (chunk,), 4, (index,)) == len(touched) * chunk * 4


@given(low=st.floats(0, 900), span=st.floats(1, 100), move=st.sampled_from(["in", "out", "back", "forward"]))
def test_buttons_never_leave_the_signal(low: float, span: float, move: Any) -> None:
    new_low, new_high = moved(low, low + span, move, 0.0, 1000.0, 1.0)
    assert -1e-6 <= new_low < new_high <= 1000.0 + 1e-6


def test_the_visible_samples_reach_one_beyond_each_edge() -> None:
    assert visible_samples(10.2, 20.7, 1.0, 1000) == (9, 23)
    assert visible_samples(-50, 2000, 1.0, 1000) == (0, 1000)
    assert visible_samples(5000, 6000, 1.0, 1000) == (1000, 1000)
    assert visible_samples(float("nan"), 1.0, 1.0, 10) == (0, 10)


@given(n_items=st.integers(1, 10_000), n_wanted=st.integers(1, 300))
def test_chunks_to_sample_are_different_and_inside(n_items: int, n_wanted: int) -> None:
    chosen = spread_evenly(n_items, n_wanted)
    assert len(set(chosen)) == len(chosen) == min(n_items, n_wanted)
    assert chosen[0] >= 0
    assert chosen[-1] < n_items


@given(rows=st.integers(1, 5000), columns=st.integers(1, 5000), wanted=st.integers(1, 300))
def test_tiles_never_exceed_what_may_be_read(rows: int, columns: int, wanted: int) -> None:
    n_rows, n_columns = tile_counts(rows, columns, wanted)
    assert 1 <= n_rows <= rows
    assert 1 <= n_columns <= columns
    assert n_rows * n_columns <= wanted


def test_a_fitted_image_has_square_pixels_and_is_all_visible() -> None:
    (left, right), (top, bottom) = fitted((0, 300), (0, 100), (800, 500))
    assert (right - left) / 800 == pytest.approx((bottom - top) / 500)
    assert left <= 0
    assert right >= 300
    assert top <= 0
    assert bottom >= 100


def test_a_mapped_file_is_read_in_blocks_of_its_own_order() -> None:
    assert page_chunks((1000, 1000), 8) == (8, 1000)
    assert page_chunks((1000, 1000), 8, fortran=True) == (1000, 8)
    assert page_chunks((10, 0), 8) == (10, 1)


# ------------------------------------------------------------------------------------ reading, bounded


class CountingStore(LocalStore):
    """A store that remembers which keys were read."""

    read_keys: list[str]

    async def get(self, key: str, *args: Any, **kwargs: Any) -> Any:
        self.read_keys.append(key)
        return await super().get(key, *args, **kwargs)


def counted(path: pathlib.Path) -> tuple[Any, CountingStore]:
    store = CountingStore(path, read_only=True)
    store.read_keys = []
    array = zarr.open_array(store, mode="r")
    store.read_keys.clear()
    return array, store


def chunks_read(store: CountingStore) -> set[str]:
    return {key for key in store.read_keys if "/" in key}


@pytest.fixture
def recording(tmp_path: pathlib.Path) -> pathlib.Path:
    """4 channels of 100,000 samples, in chunks of 1,000 samples of one channel."""
    path = tmp_path / "recording.zarr"
    array = zarr.create_array(path, shape=(100_000, 4), chunks=(1000, 1), dtype="int16")
    array[:] = np.arange(400_000, dtype=np.int64).reshape(100_000, 4).astype(np.int16)
    return path


def test_only_the_chunks_under_the_visible_range_are_read(recording: pathlib.Path) -> None:
    array, store = counted(recording)
    signal = Signal(ArraySource(array, array.chunks))
    drawing = draw_lines(signal, LinesQuestion(5_500, 7_200, (1, 3)), BUDGET_BYTES)
    assert chunks_read(store) == {f"c/{time}/{channel}" for time in (5, 6, 7) for channel in (1, 3)}
    assert np.array_equal(drawing.envelopes[0].values, array[5_500:7_200, 1])
    assert not drawing.approximate


def test_a_signal_over_the_budget_is_sampled_within_it_and_says_so(recording: pathlib.Path) -> None:
    array, store = counted(recording)
    signal = Signal(ArraySource(array, array.chunks))
    budget_bytes = 80_000
    drawing = draw_lines(signal, LinesQuestion(0, 100_000, (0,)), budget_bytes)
    assert drawing.approximate
    assert "of 100 chunks were read" in drawing.note
    assert 1 <= len(chunks_read(store)) * 2000 <= budget_bytes


def test_a_chunk_larger_than_the_budget_is_refused_before_it_is_read(recording: pathlib.Path) -> None:
    array, store = counted(recording)
    with pytest.raises(OverBudgetError, match=r"2\.0 KiB.*at most 100 bytes"):
        draw_lines(Signal(ArraySource(array, array.chunks)), LinesQuestion(0, 100_000, (0,)), 100)
    assert chunks_read(store) == set()


def test_an_image_reads_the_chunks_of_its_window(tmp_path: pathlib.Path) -> None:
    made = zarr.create_array(tmp_path / "image", shape=(1000, 1000), chunks=(100, 100), dtype="uint8")
    made[:] = np.random.default_rng(0).integers(0, 255, (1000, 1000))
    array, store = counted(tmp_path / "image")
    source = ArraySource(array, array.chunks)
    picture = draw_image(source, Plane(0, 1), ImageQuestion((150, 320), (0, 90)), BUDGET_BYTES)
    assert chunks_read(store) == {"c/1/0", "c/2/0", "c/3/0"}
    assert np.array_equal(picture.pixels, made[150:320, :90])
    assert picture.extent == (0, 150, 90, 320)


@pytest.mark.parametrize("kind", ["lines", "image", "stack"])
def test_a_terabyte_is_looked_at_within_the_budget(tmp_path: pathlib.Path, kind: str) -> None:
    shape, chunks = {
        "lines": ((500_000_000_000,), (1_000_000,)),
        "image": ((1_000_000, 1_000_000), (1000, 1000)),
        "stack": ((1_000_000, 1000, 1000), (4, 500, 500)),
    }[kind]
    made = zarr.create_array(tmp_path / "huge", shape=shape, chunks=chunks, dtype="uint16", fill_value=3)
    assert made.nbytes >= 10**12
    array, store = counted(tmp_path / "huge")
    source = ArraySource(array, array.chunks)
    tracemalloc.start()
    if kind == "lines":
        shown: Any = draw_lines(Signal(source), LinesQuestion(0, shape[0], (0,)), BUDGET_BYTES)
        n_points = len(shown.envelopes[0].values)
    elif kind == "image":
        shown = draw_image(source, Plane(0, 1), ImageQuestion((0, shape[0]), (0, shape[1])), BUDGET_BYTES)
        n_points = shown.pixels.size
    else:
        question = ImageQuestion((0, 1000), (0, 1000), (500_000,))
        shown = draw_image(source, Plane(1, 2), question, BUDGET_BYTES)
        n_points = shown.pixels.size
    _, peak_bytes = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert n_points <= 1_000_000
    assert peak_bytes < 1.5 * BUDGET_BYTES
    assert len(chunks_read(store)) * 2 * int(np.prod(chunks)) <= BUDGET_BYTES
    assert shown.approximate is (kind != "stack")


def test_the_budget_holds_for_a_memory_mapped_file(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "long.npy", np.arange(1_000_000.0))
    content = open_value(tmp_path / "long.npy").content
    assert isinstance(content, ArraySource)
    assert isinstance(content.array, np.memmap)
    with pytest.raises(OverBudgetError):
        content.read((slice(None),), 100_000)
    drawing = draw_lines(signal_of(content), LinesQuestion(0, 1_000_000, (0,)), 400_000)
    assert drawing.approximate
    assert drawing.envelopes[0].summary.n_values * 8 <= 400_000


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("time_axis", [0, 1])
def test_channels_are_the_same_whichever_way_an_array_lies(
    time_axis: int, order: Any, tmp_path: pathlib.Path
) -> None:
    samples = np.random.default_rng(2).normal(size=(500, 6))
    lying = np.array(samples if time_axis == 0 else samples.T, order=order)
    np.save(tmp_path / "a.npy", lying)
    stored = zarr.create_array(tmp_path / "a.zarr", shape=lying.shape, chunks=(50, 3), dtype="f8")
    stored[:] = lying
    for array in (lying, np.load(tmp_path / "a.npy", mmap_mode="r"), stored):
        content = array_content(array)
        assert isinstance(content, ArraySource)
        runs = Signal(content, time_axis).read(100, 200, (4, 1), BUDGET_BYTES)
        assert np.array_equal(np.stack(runs, axis=1), samples[100:200][:, [4, 1]])


# ------------------------------------------------------------------------------- kinds and their views


class FakeNpy:
    """A lazy reference to an array in some store."""

    path = "lab/session/trace.npy"
    is_local = True

    def __init__(self, array: Any) -> None:
        self._array = array
        self.n_loads = 0

    @property
    def shape(self) -> tuple[int, ...]:
        shape: tuple[int, ...] = self._array.shape
        return shape

    @property
    def dtype(self) -> np.dtype[Any]:
        dtype: np.dtype[Any] = self._array.dtype
        return dtype

    def load(self, mmap_mode: str | None = None) -> Any:
        self.n_loads += 1
        return self._array


def stored(path: pathlib.Path) -> ObjectRef:
    """Return a reference to a file or folder, in a store that is its parent folder."""
    store = Store({"name": "main", "protocol": "file", "location": str(path.parent)})
    return ObjectRef.from_json(object_metadata(store, path.name, path.suffix or None), store)


def opened_views(value: object) -> tuple[str, ...]:
    return views_of(open_value(value).content, BUDGET_BYTES)


@pytest.mark.parametrize(
    ("value", "views"),
    [
        (np.zeros(100), ("lines", "table")),
        (np.zeros(100, dtype=bool), ("lines", "table")),
        (np.zeros(100, dtype=complex), ("lines", "table")),
        (np.zeros((1000, 4)), ("lines", "image", "table")),
        (np.zeros((384, 30000), dtype="i2"), ("lines", "image", "table")),
        (np.zeros((50, 60)), ("image", "lines", "table")),
        (np.zeros((50, 60, 3), dtype="u1"), ("picture", "stack", "table")),
        (np.zeros((3, 50, 60), dtype="u1"), ("stack", "table")),
        (np.zeros((2, 3, 50, 60)), ("stack", "table")),
        (np.array(3.5), ("value",)),
        (np.zeros((0, 3)), ("empty",)),
        (np.array(["a", "b"]), ("table",)),
        (np.array(["2024-01-01"], dtype="M8[ns]"), ("table",)),
        (np.array([1, "a", None], dtype=object), ("table",)),
        (np.zeros(3, dtype=[("a", "i4"), ("b", "U3")]), ("table", "lines")),
        (np.array([("a",)], dtype=[("x", "U1")]).view(np.recarray), ("table",)),
        (pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}), ("table", "lines")),
        (pd.DataFrame({"b": ["x", "y"]}), ("table",)),
        ({"a": 1}, ("tree",)),
        ([1, {"x": np.zeros(9)}], ("tree", "arrays")),
        ("text", ("text",)),
        (b"\0\1", ("text",)),
        (None, ("value",)),
        (True, ("value",)),
        (10**400, ("value",)),
        (decimal.Decimal("1.50"), ("value",)),
        (uuid.UUID(int=7), ("value",)),
        (datetime.datetime(2024, 1, 2, 3, 4, 5, 678901), ("value",)),
        (datetime.date(2024, 1, 2), ("value",)),
        (datetime.timedelta(seconds=5), ("value",)),
        (np.float32(1.5), ("value",)),
        (FakeNpy(np.zeros(100)), ("lines", "table")),
    ],
)
def test_each_kind_of_value_has_its_views(value: object, views: tuple[str, ...]) -> None:
    assert opened_views(value) == views


@pytest.mark.parametrize(
    "value",
    [
        np.array([], dtype="f8"),
        np.array(np.nan),
        np.full(10, np.nan),
        np.array([np.inf, -np.inf, np.nan, 0.0]),
        np.full((9, 9), np.nan),
        np.array([2**63 - 1, -(2**63)]),
        np.array([2**64 - 1], dtype="u8"),
        np.zeros(50, dtype="f2"),
        np.zeros(50, dtype=">i4"),
        np.zeros((30, 30), dtype=">f4"),
        np.zeros((30, 30), dtype=bool),
        np.zeros((30, 30), dtype=complex),
        np.zeros((30, 30), dtype="i8"),
        np.zeros((30, 30, 3), dtype="u2"),
        np.full((30, 30, 4), np.nan, dtype="f4"),
        np.zeros((2, 2, 2, 9, 9)),
        np.zeros((1, 1, 1)),
        np.zeros(1),
        np.ma.array([1.0, 2.0], mask=[True, False]),
        np.array(["NaT", "2024-01-01"], dtype="M8[s]"),
        np.array([{"a": 1}, None], dtype=object),
        np.zeros(2, dtype=[("a", "f8", (3,)), ("b", [("c", "i4")])]),
        {},
        [],
        {"": {"a": {"b": ()}}},
        "",
        b"",
        memoryview(b"abc"),
        {1, 2},
        float("nan"),
        object(),
        MARKUP,
        10**5000,
        pd.DataFrame(),
        pd.DataFrame({"a": []}),
        pd.DataFrame({("x", 1): [1.0, None], "x": [pd.NaT, pd.NA]}),
    ],
    ids=lambda value: type(value).__name__,
)
def test_every_view_of_an_odd_value_can_be_drawn(value: object) -> None:
    content = open_value(value).content
    for name in views_of(content, BUDGET_BYTES):
        view = make_view(name, content, Context())
        asyncio.run(view.start())
        view.close()
        errors = getattr(view, "_summary", None)
        assert errors is None or "cannot be shown" not in errors.object


def test_a_description_reads_nothing() -> None:
    reference = FakeNpy(np.zeros((20, 30)))
    assert describe(reference).text == "float64 (20, 30)"
    assert describe(reference).n_bytes == 4800
    assert reference.n_loads == 0


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (np.zeros(200_000), "float64 (200000,)"),
        (None, "no value"),
        (pd.DataFrame({"a": [1]}), "table (1, 1)"),
        ({"a": 1}, "dict, 1 entry"),
        ((1, 2), "tuple, 2 entries"),
        (b"abc", "bytes, 3 bytes"),
        ("a\nb", "a b"),
        (10**70, "a whole number of about 71 digits"),
        (True, "True"),
    ],
)
def test_chips_say_what_a_value_is(value: object, text: str) -> None:
    assert describe(value).text == text


def test_the_size_of_a_huge_array_does_not_wrap_around(tmp_path: pathlib.Path) -> None:
    array = zarr.create_array(tmp_path / "z", shape=(2**40, 2**30), chunks=(1000, 1000), dtype="f8")
    assert describe(array).n_bytes == 2**73


# ------------------------------------------------------------------------------------------- objects


def test_a_folder_with_zarr_metadata_opens_as_zarr(tmp_path: pathlib.Path) -> None:
    group = zarr.open_group(tmp_path / "g", mode="w")
    group.create_array("b/deep", shape=(3, 4), chunks=(3, 4), dtype="f4")
    group.create_array("a", shape=(9,), chunks=(3,), dtype="i4")
    opened = open_value(stored(tmp_path / "g"))
    assert isinstance(opened.content, Group)
    assert list(opened.content.arrays) == ["a", "b/deep"]
    assert opened.description.kind == "Zarr group"


def test_another_folder_is_listed(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "raw"
    folder.mkdir()
    (folder / "b.bin").write_bytes(b"1")
    (folder / "a.bin").write_bytes(b"2")
    content = open_value(stored(folder)).content
    assert isinstance(content, Listing)
    assert content.names == ("a.bin", "b.bin")


def test_files_open_by_what_they_are(tmp_path: pathlib.Path) -> None:
    Image.fromarray(np.zeros((20, 30, 3), dtype=np.uint8)).save(tmp_path / "photo.png")
    (tmp_path / "t.csv").write_text("a,b\n1,x\n2,y\n", encoding="utf-8")
    (tmp_path / "t.json").write_text('{"a": [1, 2]}', encoding="utf-8")
    (tmp_path / "notes.txt").write_text("hello µ", encoding="utf-8")
    (tmp_path / "raw.bin").write_bytes(bytes(range(256)))
    np.save(tmp_path / "a.npy", np.arange(5))
    kinds = {name: open_value(stored(tmp_path / name)) for name in sorted(p.name for p in tmp_path.iterdir())}
    assert {name: type(opened.content) for name, opened in kinds.items()} == {
        "a.npy": ArraySource,
        "notes.txt": Text,
        "photo.png": ImageFile,
        "raw.bin": Raw,
        "t.csv": Rows,
        "t.json": Tree,
    }
    assert all(opened.file is not None for opened in kinds.values())
    assert all(
        type(open_value(tmp_path / name).content) is type(opened.content) for name, opened in kinds.items()
    )


def test_of_a_long_csv_the_beginning_is_shown_and_said_to_be_one(tmp_path: pathlib.Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("a,b\n" + "1,2\n" * 1_000_000, encoding="utf-8")
    content = open_value(path).content
    assert isinstance(content, Rows)
    assert content.note.startswith("The first 2.0 MiB of 3.8 MiB")
    assert 500_000 < len(content.frame) < 600_000
    assert content.frame.iloc[-1].tolist() == [1, 2]


def test_a_missing_object_says_so(tmp_path: pathlib.Path) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    (folder / "a").write_bytes(b"1")
    reference = stored(folder)
    (folder / "a").unlink()
    folder.rmdir()
    with pytest.raises(FileNotFoundError, match="is not in its store any more"):
        open_value(reference)


def corrupt_npy(path: pathlib.Path) -> pathlib.Path:
    np.save(path / "a.npy", np.arange(1000))
    whole = (path / "a.npy").read_bytes()
    (path / "a.npy").write_bytes(whole[:500])
    return path / "a.npy"


def corrupt_zarr(path: pathlib.Path) -> pathlib.Path:
    zarr.create_array(path / "a.zarr", shape=(10,), chunks=(5,), dtype="i4")
    (path / "a.zarr" / "zarr.json").write_text("{not json", encoding="utf-8")
    return path / "a.zarr"


def corrupt_png(path: pathlib.Path) -> pathlib.Path:
    buffer = io.BytesIO()
    Image.fromarray(np.random.default_rng(0).integers(0, 255, (50, 50), dtype=np.uint8)).save(buffer, "PNG")
    (path / "a.png").write_bytes(buffer.getvalue()[:300])
    return path / "a.png"


def corrupt_json(path: pathlib.Path) -> pathlib.Path:
    (path / "a.json").write_text('{"a": ', encoding="utf-8")
    return path / "a.json"


@pytest.mark.parametrize("damage", [corrupt_npy, corrupt_zarr, corrupt_png, corrupt_json])
def test_a_corrupt_file_says_what_is_wrong(
    damage: Callable[[pathlib.Path], pathlib.Path], tmp_path: pathlib.Path
) -> None:
    path = damage(tmp_path)
    with pytest.raises(UnreadableValueError, match=path.stem):
        open_value(path)


def test_an_object_file_never_runs_code_of_its_own(tmp_path: pathlib.Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(UnreadableValueError):
        open_value(tmp_path / "a.npy")


def npy_ref(path: pathlib.Path, array: Any, **metadata: Any) -> NpyRef:
    np.save(path / "a.npy", array)
    store = Store({"name": "main", "protocol": "file", "location": str(path)})
    return NpyRef({"path": "a.npy", "dtype": str(array.dtype), "shape": array.shape} | metadata, store)


def test_a_stored_array_is_mapped_and_not_loaded(tmp_path: pathlib.Path) -> None:
    reference = npy_ref(tmp_path, np.arange(10_000.0))
    opened = open_value(reference)
    assert isinstance(opened.content, ArraySource)
    assert isinstance(opened.content.array, np.memmap)
    assert not reference.is_loaded
    assert opened.description.where == "main: a.npy"


def test_damaged_metadata_of_a_stored_array_is_told_in_its_chip(tmp_path: pathlib.Path) -> None:
    reference = npy_ref(tmp_path, np.arange(3.0), dtype="float<b>")
    assert "has no usable type" in describe(reference).text
    with pytest.raises(DataJointError, match="no usable type"):
        open_value(reference)


def test_a_large_array_of_a_remote_store_is_not_fetched_whole() -> None:
    class Remote(FakeNpy):
        is_local = False

    reference = Remote(np.lib.stride_tricks.as_strided(np.zeros(1), (10**9,), (0,)))
    with pytest.raises(UnreadableValueError, match="can only be fetched whole"):
        open_value(reference)
    assert reference.n_loads == 0


# ----------------------------------------------------------------------------------- text and tables


@pytest.mark.parametrize(
    "html_text",
    [
        text_html(Text(MARKUP, MARKUP)),
        bytes_html(Raw(MARKUP.encode(), len(MARKUP))),
        tree_html({MARKUP: [MARKUP, {MARKUP: MARKUP}], "x": np.array([MARKUP])}),
        table_html(frame_page(pd.DataFrame({MARKUP: [MARKUP]}, index=[MARKUP]), PageQuestion()), MARKUP),
    ],
    ids=["text", "bytes", "tree", "table"],
)
def test_markup_in_a_value_is_shown_and_not_run(html_text: str) -> None:
    assert "<img" not in html_text
    assert "&lt;img" in html_text


def test_a_tree_of_a_million_nodes_makes_a_bounded_page() -> None:
    value = {f"k{i}": [{"x": j} for j in range(1000)] for i in range(1000)}
    html_text = tree_html(value)
    assert html_text.count('class="leaf') <= 2 * MOST_NODES
    assert "900 more not shown" in html_text


def test_a_tree_that_holds_itself_ends() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert "deeper levels are not shown" in tree_html(value)


def test_a_page_of_an_array_is_read_alone(recording: pathlib.Path) -> None:
    array, store = counted(recording)
    page = array_page(ArraySource(array, array.chunks), PageQuestion(2_050), BUDGET_BYTES)
    assert chunks_read(store) == {f"c/2/{channel}" for channel in range(4)}
    assert (page.index[0], page.n_rows, len(page.cells)) == ("2,050", 100_000, 100)


def test_cells_keep_what_is_easily_lost() -> None:
    assert cell(2**60 + 1)[0] == str(2**60 + 1)
    assert cell(datetime.datetime(2024, 1, 1, 0, 0, 0, 5))[0].endswith(".000005")
    assert cell(decimal.Decimal("1.10"))[0] == "1.10"
    assert cell(None) == ("NULL", "none")
    assert cell(np.float32("nan")) == ("NaN", "none")


def test_columns_of_the_same_name_stay_apart() -> None:
    frame = pd.DataFrame([[1, 2.0, "x"], [3, 4.0, "y"]], columns=["a", "a", "b"])
    source = numeric_columns(frame, BUDGET_BYTES)
    assert source is not None
    assert source.labels == ("a", "a (2)")


def test_contrast_does_not_see_nan_or_one_hot_pixel() -> None:
    pixels = np.arange(10_000, dtype=np.float64).reshape(100, 100)
    pixels[0, 0], pixels[0, 1] = np.nan, 1e12
    low, high = contrast_limits(pixels, (1, 99))
    assert 0 < low < 200
    assert 9_800 < high < 10_000


def test_a_reason_is_in_words() -> None:
    assert plain_reason(UnreadableValueError("The file is short.")) == "The file is short."
    assert plain_reason(RuntimeError()) == "Reading stopped with RuntimeError, which gives no reason."


# ------------------------------------------------------------------------------------------ refreshing


def html_of(shown: Any) -> str:
    """Return all HTML on a page, as it is sent."""
    return "".join(part.object for part in shown.select(pn.pane.HTML))


def test_the_latest_question_wins_and_reads_never_overlap() -> None:
    running = threading.Semaphore(1)
    answered: list[int] = []
    release = threading.Event()

    def work(question: int) -> int:
        assert running.acquire(blocking=False), "two reads at once"
        release.wait(5)
        running.release()
        return question

    async def ask_many() -> Refresher[int, int]:
        refresher: Refresher[int, int] = Refresher(
            work,
            answered.append,
            lambda error: pytest.fail(str(error)),
            run=asyncio.to_thread,
            document=None,
            delay_s=0,
        )
        refresher.ask(0)
        while running._value:
            await asyncio.sleep(0)
        for question in range(1, 50):
            refresher.ask(question)
        release.set()
        await refresher.settled()
        return refresher

    refresher = asyncio.run(ask_many())
    assert answered == [49]
    assert (refresher.n_answered, refresher.n_superseded) == (1, 49)


def test_a_failed_read_is_shown_and_the_next_one_works() -> None:
    shown: list[Any] = []

    def work(question: int) -> int:
        return 10 // question

    async def ask() -> None:
        refresher: Refresher[int, int] = Refresher(
            work,
            shown.append,
            lambda error: shown.append(str(error)),
            run=asyncio.to_thread,
            document=None,
            delay_s=0,
        )
        refresher.ask(0)
        await refresher.settled()
        refresher.ask(5)
        await refresher.settled()

    asyncio.run(ask())
    assert shown == ["integer division or modulo by zero", 2]


def test_reading_never_happens_on_the_event_loop() -> None:
    threads: list[int] = []

    class Spied(FakeNpy):
        def load(self, mmap_mode: str | None = None) -> Any:
            threads.append(threading.get_ident())
            return super().load(mmap_mode)

    async def show() -> int:
        shown = preview(Spied(np.arange(100.0)), title="x")
        await shown.loaded()
        shown.close()
        return threading.get_ident()

    loop_thread = asyncio.run(show())
    assert threads
    assert loop_thread not in threads


def test_zooming_with_the_buttons_draws_fewer_samples_and_in_the_end_every_one() -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)

    async def zoom() -> list[tuple[int, int]]:
        view = LinesView(Context(), signal_of(ArraySource(values, None)))
        await view.start()
        seen = []
        for _ in range(10):
            view.press("in")
            await view.settled()
            assert view.drawing is not None
            seen.append(
                (view.drawing.question.stop - view.drawing.question.start, view.drawing.envelopes[0].every)
            )
        view.press("reset")
        await view.settled()
        assert view.drawing is not None
        assert view.drawing.question.stop == 1_000_000
        view.close()
        return seen

    seen = asyncio.run(zoom())
    lengths, every = [n for n, _ in seen], [step for _, step in seen]
    assert lengths == sorted(lengths, reverse=True)
    assert every[0] > 100
    assert every[-1] == 1


def test_a_value_that_cannot_be_read_shows_the_reason(tmp_path: pathlib.Path) -> None:
    async def show() -> str:
        shown = preview(tmp_path / "gone<b>.npy")
        await shown.loaded()
        return html_of(shown)

    html_text = asyncio.run(show())
    assert "does not exist" in html_text
    assert "Traceback" not in html_text
    assert "<b>" not in html_text


def test_a_preview_made_in_a_plain_script_is_complete() -> None:
    shown = preview({"a": 1}, code="value = 1", title="parameters")
    assert "dict, 1 entry" in html_of(shown)
