"""Seeded changes to files that people write: to their values, and to their bytes."""

import copy
import random
from collections.abc import Callable
from typing import Any

import yaml

ODD_VALUES: tuple[Any, ...] = (
    *(None, True, False, 0, 1, -1, 5, 1.5, 1e300, -1e-300, 10**30, float("nan"), float("inf")),
    *("", " ", "no", "null", "0", "1e5", "a,b", "../x", "/", "-", "{{ds}}", "gs://b/x", "x" * 500),
    *("\u0000", "\u200b", "ünïcödé 文", "\U0001f600", "a\nb", "os.system", "*", "[", "%s{}"),
    *([], [None], [[]], ["a"], ["a", "a"], [1, "a", None], {}, {"a": None}, {1: 2}, {"": {}}),
    {"class_path": "subprocess.Popen", "init_args": {"args": "true"}},
)
ODD_TEXTS = (
    *(b"\x00", b"\xff", b"\xed\xa0\xbd", b"\t", b"\r", b"\n", b": ", b"- ", b"#", b"&a ", b"*a"),
    *(b"{", b"}", b"[", b"]", b"'", b'"', b'"\\ud83d"', b"!!python/name:os.system ", b"<<: *a"),
    *(b"|", b"%", b"---\n", b"...", b"? ", b"~", b"!!binary x", b"2026-02-31", b"&a [*a]"),
    *(b"\xef\xbb\xbf", b"[" * 200, b"9" * 400, b"0x", b"1_0", b"e", b".inf"),
)


def mutate_yaml(document: Any, rng: random.Random) -> bytes:
    """Return the YAML of a document with one to three changes to its values or its bytes."""
    values = copy.deepcopy(document)
    num_changes = rng.choice((1, 1, 2, 3))
    of_values = rng.random() < 0.8
    for _ in range(num_changes if of_values else 0):
        values = _change_value(values, rng)
    data = yaml.safe_dump(values, sort_keys=False, allow_unicode=True).encode("utf-8", "replace")
    return data if of_values else mutate_bytes(data, rng, num_changes)


def mutate_bytes(data: bytes, rng: random.Random, num_changes: int = 1) -> bytes:
    """Return bytes with some changes: parts removed, doubled, turned or replaced."""
    for _ in range(num_changes):
        begin = rng.randint(0, len(data))
        end = min(len(data), begin + rng.choice((0, 1, 1, 2, 8, 40, 400)))
        part, other = data[begin:end], rng.choice(ODD_TEXTS)
        new = rng.choice((b"", part * 2, part[::-1], other, other + part, part + other))
        data = data[:begin] + new + data[end:]
    return data


def _change_value(document: Any, rng: random.Random) -> Any:
    """Return a document in which something was changed, somewhere inside it, in place."""
    places = list(_places(document))
    if not places:
        return rng.choice(ODD_VALUES)
    container, key = rng.choice(places)
    changes: tuple[Callable[[], Any], ...] = (
        lambda: _put(container, key, copy.deepcopy(rng.choice(ODD_VALUES))),
        lambda: _put(container, key, copy.deepcopy(rng.choice(ODD_VALUES))),
        lambda: _put(container, key, [container[key]]),
        lambda: _put(container, key, {"a": container[key]}),
        lambda: _put(container, key, copy.deepcopy(rng.choice(places)[0])),
        lambda: _put(container, key, str(container[key])),
        lambda: container.pop(key),
        lambda: _rename(container, key, rng.choice(ODD_VALUES[:29])),
    )
    rng.choice(changes)()
    return document


def _places(value: Any) -> Any:
    """Yield each container inside a value with each of its keys or indexes."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items) if isinstance(value, dict | list) else ():
        yield value, key
        if isinstance(item, dict | list):
            yield from _places(item)


def _put(container: Any, key: Any, value: Any) -> None:
    container[key] = value


def _rename(container: Any, key: Any, name: Any) -> None:
    if isinstance(container, dict):
        container[name] = container.pop(key)
