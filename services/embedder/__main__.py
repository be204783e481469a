"""`python -m services.embedder`"""

import sys

from services.embedder.settings import EmbedderSettings
from services.kit.library_pools import hold_library_pools
from services.kit.process import run_service


def main() -> int:
    hold_library_pools()
    from services.embedder.app import serve  # noqa: PLC0415  it brings the libraries whose pools are held

    return run_service(EmbedderSettings, serve)


if __name__ == "__main__":
    sys.exit(main())
