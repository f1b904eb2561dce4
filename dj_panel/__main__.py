"""``python -m dj_panel`` is the command ``dj-panel``."""

import sys

from dj_panel.command import main

if __name__ == "__main__":
    sys.exit(main())
