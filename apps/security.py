"""What every answer of the server carries, and what it refuses before Panel sees it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from html import escape
from http import HTTPStatus
from typing import Any

from tornado.httputil import HTTPHeaders, HTTPServerRequest
from tornado.routing import Matcher, Rule
from tornado.web import OutputTransform, RequestHandler

from dj_panel.apps import language
from dj_panel.apps.theme import css_variables
from dj_panel.core.words import marked, say

SESSION_ARGUMENTS = ("bokeh-session-id", "bokeh-token")
SESSION_HEADER = "Bokeh-Session-Id"

FIXED_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(self), geolocation=(), microphone=(), payment=(), usb=()",
}


def content_security_policy(nonce: str) -> str:
    """Return the policy of a page whose own scripts carry `nonce`.

    Scripts written into the page by anyone else (an ``onerror`` in a value that was not escaped) do not run.
    Bokeh compiles its callbacks, which needs ``unsafe-eval``; Panel's components are modules at ``blob:``
    addresses; styles are set in many places and cannot be held to a nonce. Nothing loads from another host.
    """
    return "; ".join(
        (
            "default-src 'self'",
            f"script-src 'self' 'nonce-{nonce}' 'unsafe-eval' blob:",
            "style-src 'self' 'unsafe-inline' blob:",
            "img-src 'self' data: blob:",
            "media-src 'self' data: blob:",
            "font-src 'self' data:",
            "connect-src 'self' data: blob:",
            "worker-src 'self' blob:",
            "frame-src 'self' data: blob:",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        )
    )


class SecureAnswer(OutputTransform):
    """Adds the security headers to an answer, the nonce to its scripts, and our page to an error."""

    def __init__(self, request: HTTPServerRequest) -> None:
        self._wants_page = "text/html" in request.headers.get("Accept", "")
        chosen = request.cookies.get(language.COOKIE)
        self._language = language.choose(
            chosen.value if chosen is not None else None, request.headers.get("Accept-Language", "")
        )

    def transform_first_chunk(
        self, status_code: int, headers: HTTPHeaders, chunk: bytes, finishing: bool
    ) -> tuple[int, HTTPHeaders, bytes]:
        """Return the answer with its headers, and with its body changed if it is a whole page."""
        nonce = secrets.token_urlsafe(16)
        for name, value in FIXED_HEADERS.items():
            headers[name] = value
        headers["Content-Security-Policy"] = content_security_policy(nonce)
        headers.pop("Server", None)
        if finishing and headers.get("Content-Type", "").startswith("text/html"):
            if status_code >= HTTPStatus.BAD_REQUEST:
                chunk = error_page(status_code, self._language).encode() if self._wants_page else b""
            chunk = re.sub(rb"<script(?=[\s>])", b'<script nonce="%b"' % nonce.encode(), chunk)
            headers["Content-Length"] = str(len(chunk))
        return status_code, headers, chunk

    def transform_chunk(self, chunk: bytes, finishing: bool) -> bytes:
        """Return the rest of a long answer unchanged."""
        return chunk


class ChosenSession(Matcher):
    """Matches requests that name their own session, or that would open one for a page of another site.

    The server alone gives out session ids: whoever could send a colleague a link with an id of his choice
    would share that colleague's window, read what is typed there and act in his name.
    """

    def match(self, request: HTTPServerRequest) -> dict[str, Any] | None:
        """Return the (empty) arguments of `Refusal`, or None for an ordinary request."""
        chosen = SESSION_HEADER in request.headers or any(
            name in request.arguments for name in SESSION_ARGUMENTS
        )
        return {} if chosen or request.path.endswith("/autoload.js") else None


class Refusal(RequestHandler):
    """Answers 403 to every method."""

    def prepare(self) -> None:
        """Refuse before any method is looked up."""
        self.send_error(HTTPStatus.FORBIDDEN)


def refusal_rules() -> list[Rule]:
    """Return the routing rules that come before all others."""
    return [Rule(ChosenSession(), Refusal)]


def error_page(status_code: int, code: str = language.DEFAULT) -> str:
    """Return the page for an HTTP error in a language: what it is, in plain words, and the way back."""
    with language.speaking(code):
        title, text = map(say, _ERRORS.get(status_code, _OTHER_ERROR))
        way_back = say("Go to Home")
    return f"""<!DOCTYPE html>
<html lang="{code}"><head><meta charset="utf-8"><title>{escape(title)}</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>{css_variables()}
@media (prefers-color-scheme: dark) {{ :root {{ color-scheme: dark }} }}
body {{ display: grid; place-content: center; justify-items: center; gap: 8px; min-height: 100dvh;
  margin: 0; padding: 16px; background: var(--dj-canvas); color: var(--dj-muted); text-align: center;
  font: var(--dj-size-m)/1.5 var(--dj-font) }}
h1 {{ margin: 0; color: var(--dj-text); font-size: var(--dj-size-xl); font-weight: 600 }}
p {{ margin: 0; max-width: 48ch }}
a {{ margin-top: 12px; padding: 7px 14px; border: 1px solid var(--dj-border-strong);
  border-radius: var(--dj-radius-m); color: var(--dj-accent); text-decoration: none }}
</style></head><body><h1>{escape(title)}</h1><p>{escape(text)}</p><a href="/">{escape(way_back)}</a></body></html>"""


_OTHER_ERROR = (
    marked("This did not work"),
    marked("The server could not answer. The reason is in its log."),
)
_ERRORS: Mapping[int, tuple[str, str]] = {
    HTTPStatus.FORBIDDEN: (
        marked("This address is not allowed"),
        marked("It asks for a window that belongs to somebody else, or for a page you may not see."),
    ),
    HTTPStatus.NOT_FOUND: (
        marked("There is no such page"),
        marked("The address leads nowhere on this site."),
    ),
    HTTPStatus.INTERNAL_SERVER_ERROR: (
        marked("Something went wrong"),
        marked("The server could not make this page. The reason is in its log; loading it again may help."),
    ),
}
