"""Ours beside DataJoint, the raw driver and Django's admin, each comparison in one run on this machine."""
