"""Codes in pictures that browsers send: read off what people print, and never more decoded than was agreed."""

from __future__ import annotations

import asyncio
import io
import struct
import zlib
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import zxingcpp
from PIL import Image

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.parents import Guess
from dj_panel.apps.services.scanning import MAX_IMAGE_BYTES, read_code
from tests.entry_tables import Lab, declare

Picture = np.ndarray[Any, Any]
CODES = {
    "QRCode": "M042",
    "DataMatrix": "tube 17, µl",
    "Aztec": "M042",
    "PDF417": "M042",
    "Code128": "M042",
    "Code39": "M042",
    "EAN13": "4006381333931",
    "EAN8": "96385074",
}


def printed(text: str, kind: str = "QRCode", scale: int = 6) -> Picture:
    """Return a code as a printer makes it."""
    code = zxingcpp.create_barcode(text, getattr(zxingcpp.BarcodeFormat, kind))
    return np.array(zxingcpp.write_barcode_to_image(code, scale=scale))


def grey_code(text: str, width: int, height: int) -> Picture:
    """Return a grey picture with a QR code in the middle, which fills half of it."""
    picture = np.full((height, width), 180, np.uint8)
    code = printed(text, scale=max(1, height // 2 // printed(text, scale=1).shape[0]))
    paste(picture, code, (height - code.shape[0]) // 2, (width - code.shape[1]) // 2)
    return picture


def paste(picture: Picture, code: Picture, top: int, left: int) -> None:
    picture[top : top + code.shape[0], left : left + code.shape[1]] = code


def jpeg(picture: Picture, quality: int = 70) -> bytes:
    """Return a picture as a browser sends it."""
    out = io.BytesIO()
    Image.fromarray(picture).save(out, "JPEG", quality=quality)
    return out.getvalue()


@pytest.mark.parametrize(("kind", "text"), CODES.items())
def test_what_is_printed_on_labels_is_read(kind: str, text: str) -> None:
    picture = np.full((600, 800), 200, np.uint8)
    paste(picture, printed(text, kind, 4), 150, 100)
    assert read_code(jpeg(picture)) == text


def test_of_several_codes_the_one_nearest_to_the_middle_is_read() -> None:
    picture = np.full((600, 600), 200, np.uint8)
    for text, top, left in (("left", 10, 10), ("middle", 220, 220), ("right", 430, 430)):
        paste(picture, printed(text, scale=5), top, left)
    assert read_code(jpeg(picture)) == "middle"


def test_a_picture_without_a_code_gives_no_text() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (400, 400), dtype=np.uint8)
    assert read_code(jpeg(noise)) == ""
    assert read_code(jpeg(np.full((1, 1), 0, np.uint8))) == ""


def huge_jpeg() -> bytes:
    """Return a small JPEG file that says it has 65,000 x 65,000 pixels."""
    content = bytearray(jpeg(np.zeros((8, 8), np.uint8)))
    start = content.index(b"\xff\xc0") + 5
    content[start : start + 4] = struct.pack(">HH", 65_000, 65_000)
    return bytes(content)


def png_bomb() -> bytes:
    """Return a small PNG file that unpacks to 400 MB."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", b"") + chunk(b"IEND", b"")


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "is not a JPEG picture"),
        (b"<svg onload=alert(1)>", "is not a JPEG picture"),
        (png_bomb(), "is not a JPEG picture"),
        (huge_jpeg(), "JPEG picture|million pixels"),
        (jpeg(np.zeros((2001, 2000), np.uint8)), "has more than 4 million pixels"),
        (jpeg(np.random.default_rng(0).integers(0, 256, (300, 300), dtype=np.uint8))[:5000], "is not a complete JPEG"),
        (b"\xff\xd8\xff" + bytes(MAX_IMAGE_BYTES), "is larger than 700 kB"),
    ],
    ids=["nothing", "svg", "png bomb", "jpeg bomb", "too many pixels", "cut off", "too large"],
)  # fmt: skip
def test_what_is_no_small_picture_is_refused_before_it_is_decoded(content: bytes, reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        read_code(content)


# ---------------------------------------------------------------------------------------------- whose label it is


@pytest.fixture
def lab(schema: dj.Schema) -> Iterator[Lab]:
    lab = Lab(Services(declare(schema)))
    lab.rows("Subject").insert(
        [
            {"subject_id": "M042", "species": "mouse", "tag": "0917"},
            {"subject_id": "M043", "species": "mouse", "tag": "M044", "remarks": "twin"},
            {"subject_id": "M044", "species": "rat", "tag": "09", "remarks": "twin"},
        ]
    )
    yield lab
    lab.services.close()


def scanned(lab: Lab, text: str) -> str:
    entering = lab.services.entering
    found = asyncio.run(entering.resolve(lab.name("Session"), 0, text, {}, is_code=True))
    assert not isinstance(found, Guess)
    return found if isinstance(found, str) else found.label


def test_the_text_of_a_label_leads_to_the_row_of_that_key_or_the_only_one_that_holds_it(lab: Lab) -> None:
    assert scanned(lab, "M042") == "M042"
    assert scanned(lab, "0917") == "M042"
    assert scanned(lab, "M044") == "M044"  # the key comes before another row's tag
    for text in ("twin", "091", "mous", "", "'; DROP TABLE subject; --"):
        assert scanned(lab, text).startswith("There is no Subject"), text


def test_what_people_type_finds_it_too_and_is_told_as_a_guess(lab: Lab) -> None:
    found = asyncio.run(lab.services.entering.resolve(lab.name("Session"), 0, "0917", {}))
    assert isinstance(found, Guess)
