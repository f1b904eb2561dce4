"""The built-in codecs; importing this registers them."""

from dj_panel.core.codecs.attach import AttachCodec
from dj_panel.core.codecs.blob import BlobCodec
from dj_panel.core.codecs.filepath import FilepathCodec
from dj_panel.core.codecs.hash import HashCodec
from dj_panel.core.codecs.legacy import LegacyAttach, LegacyBlob, LegacyFilepath
from dj_panel.core.codecs.npy import NpyCodec
from dj_panel.core.codecs.object import ObjectCodec
from dj_panel.core.codecs.schema import SchemaCodec

__all__ = [
    "AttachCodec",
    "BlobCodec",
    "FilepathCodec",
    "HashCodec",
    "LegacyAttach",
    "LegacyBlob",
    "LegacyFilepath",
    "NpyCodec",
    "ObjectCodec",
    "SchemaCodec",
]
