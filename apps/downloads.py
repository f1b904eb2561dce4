"""Files that are made while they are sent: an address that works once, for a short time."""

from __future__ import annotations

import logging
import secrets
import threading
import time
from collections.abc import AsyncIterator, Callable
from http import HTTPStatus
from urllib.parse import quote

from tornado.iostream import StreamClosedError
from tornado.web import HTTPError, RequestHandler

__all__ = ["DownloadHandler", "offer_download"]

OFFER_LIFETIME_S = 120
MAX_OFFERS = 200

log = logging.getLogger(__name__)

Content = Callable[[], AsyncIterator[bytes]]

_offers: dict[str, tuple[float, str, str, Content]] = {}
_lock = threading.Lock()


def offer_download(name: str, media_type: str, content: Content) -> str:
    """Return an address, relative to the site's, from which a file can be fetched once.

    The address is a secret of the window that it is given to: nobody can guess it.

    Parameters
    ----------
    name
        Name of the file.
    media_type
        Such as ``text/csv; charset=utf-8``.
    content
        Makes the file's bytes, when they are fetched.
    """
    token = secrets.token_urlsafe(24)
    now = time.monotonic()
    with _lock:
        for old in [key for key, offer in _offers.items() if now - offer[0] > OFFER_LIFETIME_S]:
            del _offers[old]
        while len(_offers) >= MAX_OFFERS:
            del _offers[next(iter(_offers))]
        _offers[token] = (now, name, media_type, content)
    return f"download/{token}"


class DownloadHandler(RequestHandler):
    """Sends a file that `offer_download` has offered."""

    async def get(self, token: str) -> None:
        """Send the file in chunks, as fast as the visitor takes them."""
        with _lock:
            offer = _offers.pop(token, None)
        if offer is None or time.monotonic() - offer[0] > OFFER_LIFETIME_S:
            raise HTTPError(HTTPStatus.NOT_FOUND)
        _, name, media_type, content = offer
        plain = "".join(
            letter if (letter.isalnum() and letter.isascii()) or letter in "._- " else "_" for letter in name
        )
        self.set_header("Content-Type", media_type)
        self.set_header("Cache-Control", "no-store")
        self.set_header(
            "Content-Disposition", f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name)}"
        )
        chunks = content()
        try:
            async for chunk in chunks:
                self.write(chunk)
                await self.flush()
        except StreamClosedError:
            log.info("the download of %s was given up", name)
        except Exception:
            log.exception("the download of %s failed", name)
            if not self._headers_written:
                self.clear()
                raise HTTPError(HTTPStatus.INTERNAL_SERVER_ERROR) from None
            # A file cut short must not look whole: the browser reports a broken connection.
            self.request.connection.stream.close()  # type: ignore[union-attr]
        finally:
            await chunks.aclose()  # type: ignore[attr-defined]
