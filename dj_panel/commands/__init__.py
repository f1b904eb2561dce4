"""One subcommand of ``dj-panel`` a module; each has ``add_arguments(parser)`` and ``run(options)``."""
