"""``python -P -m jupyter_macgpu.mac.worker --dir DIR --session ID`` is a worker."""

from __future__ import annotations

import sys

from .process import main

if __name__ == "__main__":
    sys.exit(main())
