"""The lab's tables in Django, entered through its own admin."""

__all__ = ["PASSWORD", "USER"]

USER = "ana"
PASSWORD = "ana"
