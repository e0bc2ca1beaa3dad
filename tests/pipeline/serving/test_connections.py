"""A new connection is taken as long as another waits: that is dropped, by address and in all."""

import dataclasses
import resource

import pytest

from albert_core.errors import InputError
from pipeline.serving.connections import Bound, ConnectionTable, get_network
from pipeline.serving.open_files import limit_by_open_files


@dataclasses.dataclass(eq=False)
class Connection:
    network: str = "a"
    is_waiting: bool = True
    is_active: bool = False
    dropped_for: Bound | None = None

    @property
    def is_dropped(self) -> bool:
        return self.dropped_for is not None

    def drop(self, bound: Bound) -> None:
        self.dropped_for = bound


def test_silent_ones_make_room_first_then_idle_ones_then_active_ones() -> None:
    table = ConnectionTable(8, 8)
    connections = [Connection() for _ in range(8)]
    busy, idle, later_idle, sending_again, old, sending, later_old, young = connections
    assert [table.admit(one) for one in connections] == [None] * 8
    busy.is_waiting = False
    for active in (sending, young, sending_again):
        active.is_active = True
    for answered in (later_idle, sending_again, idle, later_idle):
        table.note_answer(answered)
    for expected in (old, later_old, idle, later_idle, sending, young, sending_again):
        assert not expected.is_dropped
        assert table.admit(Connection(is_waiting=False)) is None
        assert expected.dropped_for == "address"
    assert not busy.is_dropped
    assert len(table) == 8


def test_where_all_are_answered_a_new_one_is_refused_and_is_the_first_to_go() -> None:
    table = ConnectionTable(2, 2)
    busy = [Connection(is_waiting=False) for _ in range(2)]
    assert [table.admit(one) for one in busy] == [None, None]
    refused, next_one = Connection(), Connection()
    assert table.admit(refused) == "address"
    assert table.admit(next_one) == "address"
    assert (refused.is_dropped, next_one.is_dropped, len(table)) == (True, False, 3)
    table.remove(busy[0])
    table.remove(next_one)
    table.remove(next_one)
    assert table.admit(Connection()) is None


def test_one_address_takes_no_room_from_others() -> None:
    table = ConnectionTable(4, 2)
    other = Connection(network="b")
    assert table.admit(other) is None
    many = [Connection() for _ in range(9)]
    assert [table.admit(one) for one in many] == [None] * 9
    assert [one.dropped_for for one in many] == ["address"] * 7 + [None] * 2
    assert not other.is_dropped


def test_loopback_is_bounded_in_all_only() -> None:
    table = ConnectionTable(4, 2)
    many = [Connection(network=get_network("127.0.0.1")) for _ in range(5)]
    assert [table.admit(one) for one in many] == [None] * 5
    assert [one.dropped_for for one in many] == ["all"] + [None] * 4


def test_the_last_connection_of_an_address_may_make_room_for_its_next() -> None:
    table = ConnectionTable(1, 1)
    for _ in range(3):
        assert table.admit(Connection()) is None
    assert len(table) == 1
    table.note_answer(Connection(network="gone"))
    assert len(table) == 1


@pytest.mark.parametrize(
    ("host", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("fe80::1%eth0", "fe80::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("a socket", "a socket"),
        ("127.0.0.1", ""),
        ("::1", ""),
        ("::ffff:127.0.0.1", ""),
    ],
)
def test_an_address_is_a_machine(host: str, network: str) -> None:
    assert get_network(host) == network


@pytest.mark.parametrize(
    ("soft", "hard", "raised_to"), [(100, 4096, 664), (100, 256, 256), (4096, 4096, None)]
)
def test_connections_fit_into_the_limit_of_open_files(
    monkeypatch: pytest.MonkeyPatch, soft: int, hard: int, raised_to: int | None
) -> None:
    raised: list[tuple[int, int]] = []
    monkeypatch.setattr("os.listdir", lambda _: ["0"] * 88)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (soft, hard))
    monkeypatch.setattr(resource, "setrlimit", lambda _, limits: raised.append(limits))
    assert limit_by_open_files(512) == (512 if hard > 256 else 256 - 88 - 64)
    assert raised == ([] if raised_to is None else [(raised_to, hard)])


def test_open_files_that_cannot_be_counted_are_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_: str) -> None:
        raise FileNotFoundError

    monkeypatch.setattr("os.listdir", fail)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (256, 256))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    assert limit_by_open_files(512) == 256 - 64 - 64


def test_too_few_open_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.listdir", lambda _: ["0"] * 30)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with pytest.raises(InputError, match=r"limit of 100, of which 30 .* at least 110; .*ulimit"):
        limit_by_open_files(512)
