"""`python -m services.detector`"""

import sys

from services.detector.settings import DetectorSettings
from services.kit.library_pools import hold_library_pools
from services.kit.process import run_service


def main() -> int:
    hold_library_pools()
    from services.detector.app import serve  # noqa: PLC0415  it brings the libraries whose pools are held

    return run_service(DetectorSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
