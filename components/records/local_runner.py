"""Beam's runner on this machine, with processes that start and end sooner."""

import shlex
import sys
from typing import Any

from apache_beam.portability import python_urns
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

# Quoted, since Beam has a shell run it.
_WORKER = f"{shlex.quote(sys.executable)} -m components.records.local_worker"


class LocalRunner(FnApiRunner):
    """FnApiRunner whose processes, in the mode `multi_processing`, are `local_worker`'s.

    Beam stops its processes one after another, and waits for each until Python has taken down all
    that it had imported.
    """

    def run_via_runner_api(self, pipeline_proto: Any, options: Any) -> Any:
        """Run a pipeline, and return Beam's result of it."""
        for environment in pipeline_proto.components.environments.values():
            if environment.urn == python_urns.SUBPROCESS_SDK:
                environment.payload = _WORKER.encode()
        return super().run_via_runner_api(pipeline_proto, options)
