"""DataJoint's module of this name: its blob format."""

from dj_panel.core.blob import MatCell, MatStruct, pack, unpack

__all__ = ["MatCell", "MatStruct", "pack", "unpack"]
