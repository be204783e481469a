"""`screenalytics`, or `python -m services.cli`"""

from __future__ import annotations

import signal
from types import FrameType

from services.cli.app import app


def main() -> None:
    signal.signal(signal.SIGTERM, _end_in_order)
    app(prog_name="screenalytics")


def _end_in_order(signum: int, frame: FrameType | None) -> None:
    """A supervisor's or container's stop takes the way of Ctrl-C: cancel, then stop what was started."""
    raise KeyboardInterrupt(signum)


if __name__ == "__main__":
    main()
