"""Text, bytes and single values as HTML; everything in it is escaped."""

from __future__ import annotations

from dj_panel.apps.markup import empty_state, escape
from dj_panel.apps.preview.description import human_bytes
from dj_panel.apps.preview.sources import Listing, Raw, Text, Value
from dj_panel.core.words import say

LONGEST_TEXT = 50_000
BYTES_SHOWN = 1024
BYTES_A_LINE = 16


def text_html(content: Text) -> str:
    """Return text, or the beginning of a long one."""
    if not content.text:
        return empty_state(say("The text is empty"))
    notes = [content.note] if content.note else []
    if len(content.text) > LONGEST_TEXT:
        notes.append(
            say("The first {n} of {all} characters are shown.", n=LONGEST_TEXT, all=len(content.text))
        )
    return _block(content.text[:LONGEST_TEXT], say("Text"), notes)


def bytes_html(content: Raw) -> str:
    """Return the first bytes in hexadecimal and as characters."""
    if content.n_bytes == 0:
        return empty_state(say("There are no bytes in it"))
    head = content.head[:BYTES_SHOWN]
    notes = []
    if content.n_bytes > len(head):
        notes.append(
            say("The first {size} of {all}.", size=human_bytes(len(head)), all=human_bytes(content.n_bytes))
        )
    return _block(hex_dump(head), say("Bytes"), notes)


def hex_dump(head: bytes) -> str:
    r"""Return lines of offset, bytes and printable characters.

    >>> hex_dump(b"PK\x03<")
    '00000000  50 4b 03 3c                                      PK.<'
    """
    lines = []
    for start in range(0, len(head), BYTES_A_LINE):
        part = head[start : start + BYTES_A_LINE]
        characters = "".join(chr(byte) if 32 <= byte < 127 else "." for byte in part)
        lines.append(f"{start:08x}  {part.hex(' '):<{BYTES_A_LINE * 3}} {characters}")
    return "\n".join(lines)


def value_html(content: Value) -> str:
    """Return one value in large type."""
    return f'<div class="value{" none" if content.is_missing else ""}">{escape(content.text)}</div>'


def listing_html(content: Listing) -> str:
    """Return the names of the files of a folder."""
    if not content.names:
        return empty_state(say("The folder is empty"))
    return _block("\n".join(content.names), say("Files"), [content.note] if content.note else [])


def _block(text: str, label: str, notes: list[str]) -> str:
    words = f'<p class="note">{escape(" ".join(notes))}</p>' if notes else ""
    region = f'<div class="scroll" tabindex="0" role="region" aria-label="{label}">'
    return f"{region}<pre>{escape(text)}</pre></div>{words}"
