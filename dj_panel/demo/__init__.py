"""The demo lab: a small pipeline over real recordings that ship inside PyPI packages.

`build.build(folder)` makes it, `lab` holds its four schemas. The recordings are real; the people, animals,
dates and weights around them are invented, and the tables say so.
"""
