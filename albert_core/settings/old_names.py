"""Names that settings and metrics had in earlier versions, for the files that people still have.

Run configurations, `task.yaml`, compiled pipelines and manifests keep being read: their old names
are replaced here, on reading, and nowhere else.
"""

import sys
from collections.abc import Mapping
from typing import Any

# Old name -> today's. No old name is, or ever was, the name of anything else.
SETTINGS: Mapping[str, str] = {
    "held_out_share": "held_out_fraction",
    "max_repeated_share": "max_repeated_fraction",
    "min_letter_share": "min_letter_fraction",
    "warmup_share": "warmup_ratio",
}
METRICS: Mapping[str, str] = {
    "characters_per_piece": "characters_per_token",
    "input_wait_share": "input_wait_fraction",
    "kept_fraction": "unchanged_fraction",
    "kept_share": "unchanged_fraction",
    "mask_piece_fraction": "mask_token_fraction",
    "mask_piece_share": "mask_token_fraction",
    "model_flops_share": "model_flops_utilization",
    "most_frequent_share": "most_frequent_fraction",
    "not_in_order_share": "not_in_order_fraction",
    "num_pieces": "num_tokens",
    "num_unknown_pieces": "num_unknown_tokens",
    "padding_share": "padding_fraction",
    "pieces_per_word": "tokens_per_word",
    "predicted_share": "predicted_fraction",
    "random_share": "random_fraction",
    "run_length_shares": "run_length_fractions",
    "unknown_share": "unknown_fraction",
}

_FIRST_NAMES = {today: first for first, today in SETTINGS.items()}
_noticed: set[str] = set()


def rename_settings(values: Any, *, source: str = "") -> Any:
    """Return a copy of nested settings with their old names (`SETTINGS`) replaced by today's.

    Where a mapping has a setting under both names, the value under today's name wins and the other
    is dropped. Names are replaced at every depth; values never.

    Args:
        values: A mapping, list or tuple, nested; lists and tuples become lists. Anything else is
            returned as it is.
        source: Where the values come from. If given, a line about each old name is printed on
            standard error, once per process whatever the source.
    """
    if isinstance(values, list | tuple):
        return [rename_settings(item, source=source) for item in values]
    if not isinstance(values, Mapping):
        return values
    renamed = {}
    for name, value in values.items():
        today = rename_setting(name, source=source)
        # Where a file has both, today's name wins whatever their order.
        if today == name or today not in values:
            renamed[today] = rename_settings(value, source=source)
    return renamed


def rename_setting(name: Any, *, source: str = "") -> Any:
    """Return today's name of a setting; any other value, which may be no text, as it is.

    If `source` is given, a line about an old name is printed on standard error, once per process.
    """
    today = SETTINGS.get(name, name) if isinstance(name, str) else name
    if today != name and source and name not in _noticed:
        _noticed.add(name)
        print(f"albert: {source}: {name} is called {today} now", file=sys.stderr)
    return today


def with_first_names(values: Any) -> Any:
    """Return a copy of nested settings under the first names they had, as hashes of settings know.

    Names are replaced at every depth; lists and tuples become lists, anything else stays as it is.
    """
    if isinstance(values, list | tuple):
        return [with_first_names(item) for item in values]
    if not isinstance(values, Mapping):
        return values
    return {_FIRST_NAMES.get(name, name): with_first_names(item) for name, item in values.items()}


def rename_metrics(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return a copy of the metrics of a manifest or of a step's report, under today's names.

    Replaces the names in `METRICS`, and the ending `_deviation` of any name by `_std`. Nested
    values stay as they are. If an old name and its new one are both there, the later one wins.
    """
    return {
        METRICS.get(name, name.removesuffix("_deviation") + "_std")
        if name in METRICS or name.endswith("_deviation")
        else name: value
        for name, value in values.items()
    }
