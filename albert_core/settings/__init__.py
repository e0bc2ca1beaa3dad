"""Settings: plain values from YAML or parameters, read, checked and named in errors."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from albert_core.settings.nulls import plain_values, settle_nulls
    from albert_core.settings.parsing import parse_settings
    from albert_core.settings.written_texts import texts_as_written

__all__ = ["parse_settings", "plain_values", "settle_nulls", "texts_as_written"]

_MODULES = {
    "parse_settings": "parsing",
    "plain_values": "nulls",
    "settle_nulls": "nulls",
    "texts_as_written": "written_texts",
}


def __getattr__(name: str) -> Any:
    """Import a function's module when the function is first asked for.

    Other modules of this package are for Beam workers and for `albert --help`, too, which have no
    need of jsonargparse.
    """
    if name in _MODULES:
        return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
