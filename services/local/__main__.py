"""`python -m services.local`"""

import sys

from services.local.app import run_system
from services.local.settings import parse_argv

if __name__ == "__main__":
    sys.exit(run_system(*parse_argv(sys.argv[1:])))
