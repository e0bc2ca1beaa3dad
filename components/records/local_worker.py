"""A process of Beam's on this machine: as Beam's own, but that it starts and ends sooner.

    python -m components.records.local_worker

Beam starts it, with the addresses that it connects to in environment variables.
"""

import os
import sys

from albert_core.processes.process_end import run_to_end
from albert_core.processes.unused_imports import skip_cloud_clients_of_beam


def _work() -> None:
    """Work for Beam until it ends the connection."""
    # Before Beam is imported: what it has imported already cannot be left out.
    skip_cloud_clients_of_beam()
    from apache_beam.runners.worker import sdk_worker_main

    sdk_worker_main.main(sys.argv)


if __name__ == "__main__":
    # Not by `sys.exit`: taking down what Beam has imported takes most of a second.
    os._exit(run_to_end(_work))
