"""The real DataJoint, for tests that exchange bytes and rows with it.

Import it from here: importing it warns of a module that it has deprecated itself and of a missing
`datajoint.json`, and any warning fails a test.
"""

from __future__ import annotations

import warnings

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import datajoint
    from datajoint import blob, builtin_codecs, hash_registry, objectref, storage
    from datajoint.settings import Config

__all__ = ["Config", "blob", "builtin_codecs", "datajoint", "hash_registry", "objectref", "storage"]
