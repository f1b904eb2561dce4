"""The library: declares, queries, stores and computes. It knows tables and never a browser."""
