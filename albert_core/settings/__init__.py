"""Settings: plain values from YAML or parameters, read, checked and named in errors."""

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from albert_core.settings.parsing import (
        one_line,
        parse_settings,
        plain_values,
        settle_nulls,
        texts_as_written,
    )

__all__ = ["one_line", "parse_settings", "plain_values", "settle_nulls", "texts_as_written"]


def __getattr__(name: str) -> Any:
    """Import the parser when something of it is first asked for.

    The other modules of this package are for Beam workers and for `albert --help`, too, which have
    no need of jsonargparse.
    """
    if name in __all__:
        return getattr(importlib.import_module("albert_core.settings.parsing"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
