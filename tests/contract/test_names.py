"""Every public name of DataJoint is a name of ours, but for those that are missing on purpose."""

from __future__ import annotations

import dj_panel
from tests.peer import datajoint

MISSING = {
    "__author__",
}


def test_every_public_name_of_datajoint_is_there() -> None:
    assert set(datajoint.__all__) - set(dj_panel.__all__) == MISSING
    for name in dj_panel.__all__:
        assert getattr(dj_panel, name) is not None
