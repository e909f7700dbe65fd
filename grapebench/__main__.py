"""`python -m grapebench`."""

import sys

from grapebench.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
