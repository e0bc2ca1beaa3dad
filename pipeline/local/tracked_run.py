"""The run of a folder as trackers know it: one id for all its steps, also when it goes on later."""

import contextlib
import re
import uuid
from pathlib import Path

from albert_core.files.atomic import hash_json, write_atomically
from albert_core.tracking.config import GROUP_VARIABLE, TrackingConfig

_FILE = "work/tracked-run"
_ID = re.compile(r"[0-9a-f]{16}")


def tracking_environment(
    config: TrackingConfig, folder: Path, title: str, work_root: str = ""
) -> dict[str, str]:
    """Return the environment variables by which the steps of a run are tracked; none if it is off.

    Writes nothing: a run that is refused leaves its folder as it was. The id of the run is that of
    `work_root` if there is one, else the one that `keep_tracked_run` left in the folder, else a new
    one at random.

    Args:
        config: Where it is tracked.
        folder: The run's folder, an absolute path; need not exist.
        title: Title of the run.
        work_root: Folder of its work in progress, if that is in a bucket: other machines, which
            go on with that work, go on under the same id. Empty: it is in the run's folder.

    Raises:
        InputError: The environment holds an address that the tracker does not take.
    """
    run_id = hash_json(work_root)[:16] if work_root else ""
    with contextlib.suppress(OSError, ValueError):
        run_id = run_id or (folder / _FILE).read_text(encoding="ascii").strip()
    group = run_id if _ID.fullmatch(run_id) else uuid.uuid4().hex[:16]
    return config.for_run(title, folder).environment(group)


def keep_tracked_run(folder: Path, environment: dict[str, str]) -> None:
    """Write the id into the run's folder, so that a later run there goes on under it.

    Does nothing where nothing is tracked.

    Args:
        folder: The run's folder; must exist.
        environment: What `tracking_environment` returned.
    """
    if group := environment.get(GROUP_VARIABLE):
        (folder / _FILE).parent.mkdir(exist_ok=True)
        write_atomically(folder / _FILE, group.encode())
