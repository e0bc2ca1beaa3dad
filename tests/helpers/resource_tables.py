"""The table of resources that a file makes of the defaults."""

from pathlib import Path

import yaml

from pipeline.remote.platforms.registry import PLATFORMS
from pipeline.remote.resources import Resources, read_resources


def resources_in(folder: Path, target: str, changes: object) -> Resources:
    """Return the resources of a platform with changes, which a file in the folder then holds."""
    path = folder / "resources.yaml"
    path.write_text(yaml.safe_dump(changes))
    return read_resources(PLATFORMS[target].rules, str(path))
