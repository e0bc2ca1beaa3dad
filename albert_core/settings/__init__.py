"""Settings: plain values from YAML or parameters, read, checked and named in errors."""

from albert_core.settings.parsing import (
    one_line,
    parse_settings,
    plain_values,
    settle_nulls,
    texts_as_written,
)

__all__ = ["one_line", "parse_settings", "plain_values", "settle_nulls", "texts_as_written"]
