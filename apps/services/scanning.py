"""Codes in the pictures that browsers send: QR, Data Matrix, bar codes and others, read as text."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any, Final

from dj_panel.core.lazy import LazyModule
from dj_panel.core.words import say

if TYPE_CHECKING:
    import zxingcpp
    from PIL import Image
else:
    zxingcpp = LazyModule("zxingcpp")
    Image = LazyModule("PIL.Image")

__all__ = ["MAX_IMAGE_BYTES", "MAX_IMAGE_PIXELS", "read_code"]

MAX_IMAGE_BYTES: Final = 700_000
"""Largest picture that is taken; forms send pictures of a tenth of it, and photos of a half."""

MAX_IMAGE_PIXELS: Final = 4_000_000
"""Most pixels that are decoded, whatever the file's own size: a small file may claim to be a huge picture."""

_FORMATS: Final = (
    "QRCode|MicroQRCode|DataMatrix|Aztec|PDF417|Code128|Code39|Code93|Codabar|ITF|EAN13|EAN8|UPCA|UPCE"
)
"""What is printed on labels; of kinds that are not, noise would now and then look like one."""


def read_code(content: bytes) -> str:
    """Return the text of the code in a picture, of several that nearest to the middle; empty if there is none.

    Parameters
    ----------
    content
        A file in the format JPEG, whatever it was called.

    Raises
    ------
    ValueError
        With the reason as a clause, if the file is too large or not a picture.
    """
    if len(content) > MAX_IMAGE_BYTES:
        raise ValueError(say("is larger than {n} kB, the most for a picture", n=str(MAX_IMAGE_BYTES // 1000)))
    try:
        # Only the head is read here: the size is known before anything is decoded.
        image = Image.open(io.BytesIO(content), formats=("JPEG",))
    except Exception as error:  # a damaged file makes Pillow raise errors of many types
        raise ValueError(say("is not a JPEG picture")) from error
    width, height = image.size
    if width * height > MAX_IMAGE_PIXELS:
        raise ValueError(
            say("has more than {n} million pixels, the most there may be", n=f"{MAX_IMAGE_PIXELS / 1e6:g}")
        )
    try:
        grey = image.convert("L")
    except Exception as error:
        raise ValueError(say("is not a complete JPEG picture")) from error
    found = zxingcpp.read_barcodes(
        grey,
        formats=zxingcpp.barcode_formats_from_str(_FORMATS),
        # As a scanner types it, without the brackets that people read.
        text_mode=zxingcpp.TextMode.Plain,
    )
    readable = [code for code in found if code.text]
    return min(readable, key=lambda code: _distance(code, width / 2, height / 2)).text if readable else ""


def _distance(code: Any, x: float, y: float) -> float:
    """Return the square of the distance of a code's middle from a point, in pixels."""
    place = code.position
    corners = (place.top_left, place.top_right, place.bottom_right, place.bottom_left)
    return float((sum(c.x for c in corners) / 4 - x) ** 2 + (sum(c.y for c in corners) / 4 - y) ** 2)
