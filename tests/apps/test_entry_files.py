"""Files and folders of a form: into their stores with the row, and out of them without it."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import dj_panel as dj
from dj_panel.apps.formmessages import BadMessageError, SentFiles
from dj_panel.apps.services import Services, unsaved
from dj_panel.apps.services.receipts import Receipt, Refused
from dj_panel.apps.services.revisions import Review
from dj_panel.apps.services.unpacking import MAX_FILES, unpack
from dj_panel.apps.services.uploads import Uploads
from dj_panel.core.errors import DataJointError, IntegrityError, UnknownOutcomeError
from dj_panel.core.store import open_store
from tests.entry_tables import Lab, pipeline_of

PIECE = 1 << 19


class Files(Lab):
    """The lab, its store, and what these tests ask of them, without await."""

    def __init__(self, services: Services, store: Path) -> None:
        super().__init__(services)
        self.store = store
        self.entering = services.entering
        self.uploads: Uploads = services.entering.uploads

    def stored(self) -> set[str]:
        """Return the paths of all files in the store."""
        return {str(path.relative_to(self.store)) for path in self.store.rglob("*") if path.is_file()}

    def put(self, path: str, content: bytes = b"there") -> None:
        (self.store / path).parent.mkdir(parents=True, exist_ok=True)
        (self.store / path).write_bytes(content)

    def check(self, name: str, text: str) -> str:
        return str(
            asyncio.run(self.entering.check(self.name("Scan"), {name: text}, {name})).errors.get(name, "")
        )

    def save(self, draft: dict[str, str], token: str = "t", **parts: list[dict[str, str]]) -> Any:
        named = {self.name(f"Scan.{part}"): rows for part, rows in parts.items()}
        return asyncio.run(self.entering.save(self.name("Scan"), draft, named, token))

    def full(self) -> dict[str, str]:
        """Return the draft of a row that puts something into the store for each of its attributes."""
        array = io.BytesIO()
        np.save(array, np.arange(5))
        return {
            "scan": "1",
            "raw": f"{sent(self.uploads, 'a.tif', b'new')}/raw/a.tif",
            "data": sent_folder(self.uploads, {"zarr.json": b"{}", "c/0": b"01"}),
            "trace": sent(self.uploads, "trace.npy", array.getvalue()),
        }


@pytest.fixture
def lab(schema: dj.Schema, tmp_path: Path) -> Iterator[Files]:
    store = tmp_path / "store"
    store.mkdir()
    spec = {"protocol": "file", "location": str(store)}
    schema.connection.settings.stores = {"default": "main", "filepath_default": "main", "main": spec}

    @schema
    class Person(dj.Manual):
        definition = """
        person : varchar(16)
        """

    @schema
    class Scan(dj.Manual):
        definition = """
        scan : int16
        ---
        raw = null : <filepath@main>
        data = null : <object@>
        trace = null : <npy@main>
        """

        class View(dj.Part):
            definition = """
            -> master
            view : int16
            ---
            -> Person
            image = null : <object@main>
            """

    services = Services(pipeline_of(schema))
    yield Files(services, store)
    services.close()


def sent(uploads: Uploads, name: str, content: bytes) -> str:
    reference = uploads.begin(name, len(content))
    for offset in range(0, len(content), PIECE):
        uploads.add(reference, offset, content[offset : offset + PIECE])
    return reference


def sent_folder(uploads: Uploads, files: dict[str, bytes]) -> str:
    content = b"".join(files.values())
    reference = uploads.begin("folder", len(content), [(name, len(part)) for name, part in files.items()])
    for offset in range(0, len(content), 3):  # pieces that end within files, and go over several
        uploads.add(reference, offset, content[offset : offset + 3])
    return reference


# ---------------------------------------------------------------------------------------------- paths


def test_a_path_is_looked_for_in_its_store_and_the_nearest_is_named(lab: Files) -> None:
    for path in ("raw/2026/M042.tif", "raw/2026/M043.tif", "_hash/lab/x", "notes.txt"):
        lab.put(path)
    assert lab.check("raw", " raw/2026/M042.tif ") == ""
    assert lab.check("raw", "raw/2026") == ""
    for typed, meant in (
        ("raw/2026/m042.tiff", "raw/2026/M042.tif"),
        ("rav/2026/M043.tif", "raw/2026/M043.tif"),
        ("note.txt", "notes.txt"),
    ):
        assert (
            lab.check("raw", typed) == f"“{typed}” is not in the store 'main'. Did you mean {meant}?"
        )  # fmt: skip
    assert lab.check("raw", "_hasch") == "“_hasch” is not in the store 'main'."
    assert "_hash" in lab.check("raw", "_hash/lab/x")
    for path in ("../x", "/etc/passwd", "raw/../../x"):
        assert "does not lie in the store" in lab.check("raw", path)
    assert "cannot be seen" in lab.check("raw", "raw/\x01x")
    receipt = lab.save({"scan": "1", "raw": "raw/2026/M042.tif"})
    assert isinstance(receipt, Receipt), receipt
    assert lab.rows("Scan").fetch1("raw").read() == b"there"
    lab.entering._receipts.clear()  # as after a restart
    assert lab.save({"scan": "1", "raw": "raw/2026/M042.tif"}).is_repeat
    assert isinstance(lab.save({"scan": "1", "raw": "raw/2026/M043.tif"}), Refused)


def test_a_file_goes_where_the_field_says_and_never_over_another(lab: Files) -> None:
    reference = sent(lab.uploads, "a.tif", b"new")
    place = asyncio.run(lab.entering.free_path(lab.name("Scan"), attribute(lab, "raw"), "a.tif"))
    assert place == f"{lab.schema}/Scan/a.tif"
    lab.put(place, b"old")
    again = asyncio.run(lab.entering.free_path(lab.name("Scan"), attribute(lab, "raw"), "a.tif"))
    assert again == f"{lab.schema}/Scan/a_1.tif"
    taken = f"“{place}” is in the store 'main' already, and no file is written over. Free is {again}."
    assert lab.check("raw", f"{reference}/{place}") == taken
    assert lab.save({"scan": "1", "raw": f"{reference}/{place}"}).errors == {"raw": taken}
    assert lab.stored() == {place}
    for wrong in ("../a.tif", "_schema/a.tif", "x" * 251, ""):
        assert lab.check("raw", f"{reference}/{wrong}") != ""
    receipt = lab.save({"scan": "1", "raw": f"{reference}/{again}"})
    assert isinstance(receipt, Receipt), receipt
    assert (lab.store / place).read_bytes() == b"old"
    assert lab.rows("Scan").fetch1("raw").read() == b"new"
    assert lab.uploads.name(reference) == ""


def attribute(lab: Files, name: str) -> Any:
    return lab.services.table(lab.name("Scan")).attribute(name)


def test_a_path_that_is_taken_at_the_last_moment_stays(lab: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    check = lab.entering._duplicate

    def be_late(*row: Any) -> Any:
        lab.put("raw/a.tif", b"faster")
        return check(*row)

    monkeypatch.setattr(lab.entering, "_duplicate", be_late)
    refused = lab.save({"scan": "1", "raw": f"{sent(lab.uploads, 'a.tif', b'new')}/raw/a.tif"})
    assert "no file is written over" in refused.errors["raw"]
    assert (lab.store / "raw/a.tif").read_bytes() == b"faster"
    assert len(lab.rows("Scan")) == 0


def test_a_file_whose_row_was_never_saved_goes_when_the_program_starts_again(
    lab: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    store = open_store(lab.rows("Scan").connection.settings, "main")

    def stop_short_of(scan: str) -> None:
        """Leave all as a program does that is killed before, or right after, the row is kept."""
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: gone.pid)
            unsaved.note(store, f"raw/{scan}.tif")

    for scan in ("1", "2"):
        lab.put(f"raw/{scan}.tif")
        stop_short_of(scan)
    lab.put("raw/3.tif")
    unsaved.note(store, "raw/3.tif")  # by a program that is still at it
    lab.rows("Scan").insert1({"scan": 2, "raw": "raw/2.tif"})
    unsaved.clear_unsaved(lab.services)
    left = {path for path in lab.stored() if not path.startswith(".")}
    assert left == {"raw/2.tif", "raw/3.tif"}
    assert len(lab.stored() - left) == 1
    assert isinstance(
        lab.save({"scan": "4", "raw": f"{sent(lab.uploads, 'a.tif', b'new')}/raw/1.tif"}), Receipt
    )
    assert len(lab.stored()) == 4, "the note of a row that was saved is gone"


def test_a_note_lies_in_the_store_until_the_row_is_kept(lab: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    write, seen = lab.entering._write, []

    def looked(*row: Any) -> None:
        seen.append({path for path in lab.stored() if path.startswith(".")})
        write(*row)
        unsaved.clear_unsaved(lab.services)  # as another program does that starts meanwhile

    monkeypatch.setattr(lab.entering, "_write", looked)
    saved = lab.save({"scan": "1", "raw": f"{sent(lab.uploads, 'a.tif', b'new')}/raw/a.tif"})
    assert isinstance(saved, Receipt)
    assert len(seen[0]) == 1
    assert lab.stored() == {"raw/a.tif"}


def test_a_large_file_goes_into_its_store_with_little_memory(lab: Files) -> None:
    content = bytes(40_000_000)
    reference = sent(lab.uploads, "large.bin", content)
    del content
    tracemalloc.start()
    try:
        receipt = lab.save({"scan": "1", "raw": f"{reference}/large.bin"})
        assert isinstance(receipt, Receipt), receipt
        assert tracemalloc.get_traced_memory()[1] < 20_000_000
    finally:
        tracemalloc.stop()
    assert (lab.store / "large.bin").stat().st_size == 40_000_000


# ---------------------------------------------------------------------------------------------- refused rows


def test_a_refused_row_leaves_nothing_in_its_stores_and_can_be_put_right(
    lab: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    draft = lab.full()
    image = sent(lab.uploads, "view.png", b"png")
    monkeypatch.setattr(lab.entering, "_check_parts", lambda *_: (views("nobody", lab, image), {}))
    refused = lab.save(draft, View=[{"view": "1", "person": "nobody", "image": image}])
    assert "Person" in refused.summary
    assert lab.stored() == set()
    lab.rows("Person").insert1(("nobody",))
    receipt = lab.save(draft, View=[{"view": "1", "person": "nobody", "image": image}])
    assert isinstance(receipt, Receipt), receipt
    row = lab.rows("Scan").fetch1()
    assert row["raw"].read() == b"new"
    assert {name: row["data"].open(name).read() for name, _ in row["data"].backend.files(row["data"].path)} == {
        "zarr.json": b"{}",
        "c/0": b"01",
    }  # fmt: skip
    np.testing.assert_array_equal(np.asarray(row["trace"]), np.arange(5))
    assert lab.rows("Scan.View").fetch1("image").read() == b"png"
    assert not lab.uploads.name(image)


def views(person: str, lab: Files, image: str) -> dict[str, list[dict[str, Any]]]:
    """Return what a check of parts gives that does not see that there is no such person."""
    return {
        lab.name("Scan.View"): [
            {"scan": 1, "view": 1, "person": person, "image": lab.uploads.path(image)}
        ]
    }  # fmt: skip


def test_a_transaction_that_is_repeated_leaves_one_object(
    lab: Files, monkeypatch: pytest.MonkeyPatch
) -> None:
    note = lab.services.history.note_inserted
    attempts: list[set[str]] = []

    def deadlock(*row: Any) -> None:
        attempts.append({path for path in lab.stored() if not path.startswith(".")})
        if len(attempts) == 1:
            error = DataJointError("A deadlock.")
            error.__dict__["is_retryable"] = True
            raise error
        note(*row)

    monkeypatch.setattr(lab.services.history, "note_inserted", deadlock)
    assert isinstance(lab.save(lab.full()), Receipt)
    assert len(attempts) == 2
    assert attempts[0].isdisjoint(attempts[1] - {"raw/a.tif"})
    assert lab.stored() == attempts[1]


def test_after_an_unknown_outcome_everything_stays(lab: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    def lose_the_answer(*row: Any) -> None:
        write(*row)
        raise UnknownOutcomeError("The connection was lost while saving.")

    write = lab.entering._write
    monkeypatch.setattr(lab.entering, "_write", lose_the_answer)
    assert isinstance(lab.save(lab.full()), Receipt)
    assert lab.rows("Scan").fetch1("raw").read() == b"new"
    assert lab.rows("Scan").fetch1("data").exists("c/0")


def test_a_refused_change_leaves_nothing_in_its_stores(lab: Files, monkeypatch: pytest.MonkeyPatch) -> None:
    editing, name = lab.services.editing, lab.name("Scan")
    assert isinstance(lab.save(lab.full()), Receipt)
    before = lab.stored()
    opened = asyncio.run(editing.open(name, {"scan": "1"}))
    assert opened.files["raw"] == "raw/a.tif is there. It stays unless you choose another."
    changes = {**opened.texts, **{k: v.replace("a.tif", "b.tif") for k, v in lab.full().items()}}
    note = lab.services.history.note

    def refuse(*_: Any) -> None:
        assert len(lab.stored()) > len(before)
        raise IntegrityError("Somebody was faster.")

    monkeypatch.setattr(lab.services.history, "note", refuse)
    refused = asyncio.run(editing.save(name, opened.key, changes, opened.seen))
    assert isinstance(refused, Review)
    assert refused.summary == "Somebody was faster."
    assert lab.stored() == before
    monkeypatch.setattr(lab.services.history, "note", note)
    asyncio.run(editing.save(name, opened.key, changes, opened.seen))
    assert lab.rows("Scan").fetch1("raw").path == "raw/b.tif"
    assert before < lab.stored()


# ---------------------------------------------------------------------------------------------- who goes away


class Site:
    """As much of the services as what sends files needs, with uploads of its own."""

    def __init__(self, uploads: Uploads) -> None:
        self.uploads = uploads
        self.entering = self
        self.before_answer: Callable[[], None] = lambda: None

    async def run(self, function: Callable[..., Any], *args: Any) -> Any:
        answer = function(*args)
        self.before_answer()
        return answer


def test_files_go_with_the_page_that_sent_them_even_if_they_come_late() -> None:
    uploads = Uploads()
    site = Site(uploads)
    files = SentFiles(site)
    first = asyncio.run(files.begin({"name": "a.bin", "size": 3}))["reference"]
    folder = {"name": "f", "size": 1, "files": [["a/b", 1], ["c", 0]]}
    second = asyncio.run(files.begin(folder))["reference"]
    dropped = asyncio.run(files.begin({"name": "c.bin", "size": 3}))["reference"]
    asyncio.run(files.drop({"reference": dropped}))
    assert [uploads.name(r) for r in (first, second, dropped)] == ["a.bin", "f", ""]
    site.before_answer = files.close
    late = asyncio.run(files.begin({"name": "late.bin", "size": 3}))["reference"]
    assert [uploads.name(r) for r in (first, second, late)] == ["", "", ""]
    assert uploads._folder is not None
    assert list(Path(uploads._folder.name).iterdir()) == []
    for message in ({"size": "3"}, {"size": 3, "files": [["a"]]}, {"size": 3, "files": [[1, 3]]}):
        with pytest.raises(BadMessageError):
            asyncio.run(files.begin({"name": "x", **message}))
    with pytest.raises(BadMessageError):
        asyncio.run(SentFiles(site).add({"reference": first, "offset": 0, "content": ""}))
    uploads.close()


def test_a_file_that_nobody_saves_is_removed_when_its_time_is_over() -> None:
    uploads = Uploads(kept_s=0.05)
    reference = sent(uploads, "a.bin", b"abc")
    path = uploads.path(reference) if uploads.name(reference) else None
    while uploads.name(reference) or (path is not None and path.exists()):
        threading.Event().wait(0.01)  # no other file comes: only the clock removes it
    uploads.close()


# ---------------------------------------------------------------------------------------------- folders


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ([("../a", 1)], "would lie outside of the folder"),
        ([("/etc/passwd", 1)], "would lie outside of the folder"),
        ([("..\\a", 1)], "would lie outside of the folder"),
        ([("a", 1), ("./a", 1)], "two files of one name"),
        ([("a", 1), ("a/b", 1)], "two files of one name"),
        ([("a\n", 1)], "cannot be stored"),
        ([("a" * 251, 1)], "cannot be stored"),
        ([("\ud800", 1)], "no text"),
        ([], "holds no files"),
        ([(str(n), 0) for n in range(MAX_FILES + 1)], "more than 10,000 files"),
        ([("a", -1), ("b", 3)], "does not hold what was announced"),
        ([("a", 1), ("b", 5)], "does not hold what was announced"),
        ([("a", 1001)], "larger than"),
    ],
)
def test_a_folder_that_cannot_be_stored_is_refused_before_it_is_sent(
    files: list[tuple[str, int]], reason: str
) -> None:
    uploads = Uploads(1000)
    n_bytes = sum(size for _, size in files)
    with pytest.raises(ValueError, match=reason):
        uploads.begin("folder", 2 if "announced" in reason else n_bytes, files)
    uploads.close()


def test_a_folder_is_refused_where_a_file_is_needed(lab: Files) -> None:
    folder = sent_folder(lab.uploads, {"a": b"abc"})
    assert "is a folder" in lab.check("trace", folder)
    assert "is a folder" in lab.check("raw", f"{folder}/raw/a.tif")


# ---------------------------------------------------------------------------------------------- zip files


def packed(files: dict[str, bytes], **options: Any) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", options.pop("compression", zipfile.ZIP_DEFLATED)) as archive:
        for name, part in files.items():
            archive.writestr(name, part)
    return content.getvalue()


def test_a_zip_file_is_kept_or_unpacked_as_the_visitor_likes(lab: Files) -> None:
    files = {"x.zarr/zarr.json": b"{}", "x.zarr/c/0": bytes(100_000), "x.zarr/e/": b""}
    content = packed(files)  # once: it holds the time
    reference = sent(lab.uploads, "x.zip", content)
    assert lab.uploads.unpack(reference) == "a folder of 2 files"
    assert lab.uploads.unpack(reference) == "a folder of 2 files"
    lab.uploads.pack(reference)
    assert isinstance(lab.save({"scan": "1", "data": reference}), Receipt)
    reference = sent(lab.uploads, "x.zip", content)
    lab.uploads.unpack(reference)
    assert isinstance(lab.save({"scan": "2", "data": reference}, "t2"), Receipt)
    one, tree = [(lab.rows("Scan") & {"scan": n}).fetch1("data") for n in (1, 2)]
    assert (one.ext, one.read()) == (".zip", content)
    assert (tree.is_dir, tree.item_count, tree.size) == (True, 2, 100_002)
    assert tree.open("x.zarr/zarr.json").read() == b"{}"
    assert tree.verify()


def linked() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        link = zipfile.ZipInfo("passwd")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
    return content.getvalue()


def encrypted() -> bytes:
    content = bytearray(packed({"a": b"abc"}))
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def endless() -> bytes:
    """Return a zip file whose index claims to have hundreds of megabytes, of which it has some."""
    content = bytearray(packed({"a": b""}))
    end = content.index(b"PK\x05\x06")
    content[end + 12 : end + 16] = (5_000_000).to_bytes(4, "little")
    return bytes(5_000_000) + bytes(content)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (packed({"../../etc/passwd": b"x"}), "would lie outside of the folder"),
        (packed({"a/../../b": b"x"}), "would lie outside of the folder"),
        (packed({"C:\\b": b"x"}), "would lie outside of the folder"),
        (packed({"a": b"x", "a/b": b"y"}), "two files of one name"),
        (packed({}), "holds no files"),
        (packed({str(n): b"" for n in range(MAX_FILES + 1)}), "more than 10,000 files"),
        (packed({"a": bytes(1000), "b": bytes(1001)}), "unpacks to more than 0.002 MB"),
        (packed({"a": b"abc" * 9}, compression=zipfile.ZIP_LZMA), "is packed in a way"),
        (linked(), "holds links"),
        (encrypted(), "is encrypted"),
        (endless(), "more than 10,000 files"),
        (b"PK no zip", "is not a complete .zip file"),
        (packed({"a": b"abc" * 99})[:-30], "is not a complete .zip file"),
        (packed({"a": b"abc"}, compression=zipfile.ZIP_STORED).replace(b"abc", b"abd"), "is not a complete"),
    ],
    ids=range(14),
)
def test_a_zip_file_that_means_harm_is_refused_and_leaves_nothing(
    tmp_path: Path, content: bytes, reason: str
) -> None:
    (tmp_path / "x.zip").write_bytes(content)
    with pytest.raises(ValueError, match=reason):
        unpack(tmp_path / "x.zip", tmp_path / "x", 2000)
    assert [path.name for path in tmp_path.iterdir()] == ["x.zip"]


def test_a_zip_bomb_ends_at_the_limit(tmp_path: Path) -> None:
    with (
        zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_DEFLATED) as archive,
        archive.open("bomb", "w", force_zip64=True) as member,
    ):
        for _ in range(60):
            member.write(bytes(1_000_000))
    uploads = Uploads(5_000_000)
    reference = sent(uploads, "x.zip", (tmp_path / "x.zip").read_bytes())
    tracemalloc.start()
    try:
        with pytest.raises(ValueError, match="unpacks to more than 5 MB"):
            uploads.unpack(reference)
        assert tracemalloc.get_traced_memory()[1] < 10_000_000
    finally:
        tracemalloc.stop()
    assert len(list(uploads.path(reference).parent.iterdir())) == 1
    uploads.close()
