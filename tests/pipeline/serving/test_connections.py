"""A new connection is taken as long as another waits: that is dropped, by address and in all."""

import dataclasses
import resource

import pytest

from albert_core.errors import InputError
from pipeline.serving.connections import ConnectionTable, get_network
from pipeline.serving.open_files import limit_by_open_files


@dataclasses.dataclass(eq=False)
class Connection:
    network: str = "a"
    is_waiting: bool = True
    is_dropped: bool = False

    def drop(self) -> None:
        self.is_dropped = True


def test_whoever_waits_longest_without_an_answer_makes_room() -> None:
    table = ConnectionTable(5, 5)
    busy, idle, later_idle, old, young = connections = [Connection() for _ in range(5)]
    assert all(table.admit(one) for one in connections)
    busy.is_waiting = False
    table.note_answer(later_idle)
    table.note_answer(idle)
    table.note_answer(later_idle)
    for expected in (old, young, idle, later_idle):
        assert not expected.is_dropped
        assert table.admit(Connection(is_waiting=False))
        assert expected.is_dropped
    assert not busy.is_dropped
    assert len(table) == 5


def test_where_all_are_answered_a_new_one_is_refused_and_is_the_first_to_go() -> None:
    table = ConnectionTable(2, 2)
    busy = [Connection(is_waiting=False) for _ in range(2)]
    assert all(table.admit(one) for one in busy)
    refused, next_one = Connection(), Connection()
    assert not table.admit(refused)
    assert not table.admit(next_one)
    assert (refused.is_dropped, next_one.is_dropped, len(table)) == (True, False, 3)
    table.remove(busy[0])
    table.remove(next_one)
    table.remove(next_one)
    assert table.admit(Connection())


def test_one_address_takes_no_room_from_others() -> None:
    table = ConnectionTable(4, 2)
    other = Connection(network="b")
    assert table.admit(other)
    many = [Connection() for _ in range(9)]
    assert all(table.admit(one) for one in many)
    assert [one.is_dropped for one in many] == [True] * 7 + [False] * 2
    assert not other.is_dropped


def test_the_last_connection_of_an_address_may_make_room_for_its_next() -> None:
    table = ConnectionTable(1, 1)
    for _ in range(3):
        assert table.admit(Connection())
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


def test_too_few_open_files_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("os.listdir", lambda _: ["0"] * 30)
    monkeypatch.setattr(resource, "getrlimit", lambda _: (100, 100))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: None)
    with pytest.raises(InputError, match=r"limit of 100, of which 30 .* at least 110; .*ulimit"):
        limit_by_open_files(512)
