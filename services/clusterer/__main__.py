"""`python -m services.clusterer`"""

import sys

from services.clusterer.settings import ClustererSettings
from services.kit.library_pools import hold_library_pools
from services.kit.process import run_service


def main() -> int:
    hold_library_pools()
    from services.clusterer.app import serve  # noqa: PLC0415  it brings the libraries whose pools are held

    return run_service(ClustererSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
