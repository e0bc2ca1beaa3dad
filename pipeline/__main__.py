"""Run the `albert` command as `python -m pipeline`, where its script is not on PATH."""

import sys

from pipeline.console import main

if __name__ == "__main__":
    sys.exit(main())
