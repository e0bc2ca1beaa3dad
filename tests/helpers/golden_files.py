"""JSON that must stay as it is recorded: UPDATE_GOLDENS=1 records it anew."""

import json
import os
from pathlib import Path
from typing import Any


def check_golden(path: Path, value: Any) -> None:
    if os.environ.get("UPDATE_GOLDENS"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")
    assert value == json.loads(path.read_text(encoding="utf-8")), (
        f"another request than {path.name} holds; if that is meant: UPDATE_GOLDENS=1 pytest ..."
    )
