"""The pipelines are programs that need a database; the tests run them, and collecting does not."""

collect_ignore = ["pipelines"]
