"""Ours beside DataJoint and the raw driver, in one run on one private MariaDB server."""
