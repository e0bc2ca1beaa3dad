"""Who gives up an unreached server in seconds: commands that somebody waits for, nobody else."""

import os

import pytest

from albert_core.network.connection_failures import ConnectionFailure
from albert_core.network.first_answer import Attempts, connect_timeout, interactive, is_interactive
from pipeline.cli import main as cli

PASSING = ConnectionFailure(reason="nothing listens there")
LASTING = ConnectionFailure(reason="its certificate is not trusted", is_lasting=True)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [(["info", "x"], True), (["run"], True), ([], True), (["pretrain"], False), (["serve"], False)],
)
def test_commands_that_somebody_waits_for(monkeypatch, arguments, expected):
    monkeypatch.setattr(cli, "_run_arguments", lambda _: int(is_interactive()))
    assert bool(cli.main(arguments)) == expected
    assert not is_interactive()


def test_a_forked_process_waits_as_one_of_its_own(monkeypatch):
    with interactive():
        with interactive():
            pass
        assert is_interactive()
        monkeypatch.setattr(os, "getpid", lambda: -1)
        assert not is_interactive()
        monkeypatch.undo()
    assert not is_interactive()


def test_attempts_end():
    assert [Attempts().end_with(failure) for failure in (None, PASSING, LASTING)] == [
        False,
        False,
        True,
    ]
    unattended = Attempts()
    assert not any(unattended.end_with(PASSING) for _ in range(9))
    with interactive():
        attempts = Attempts()
        assert [attempts.end_with(PASSING) for _ in range(3)] == [False, False, True]
        attempts = Attempts()
        attempts._started_s -= 5.0
        assert not attempts.end_with(None)
        assert attempts.end_with(PASSING)


def test_time_to_connect():
    assert connect_timeout(None, has_answered=False) is None
    with interactive():
        assert connect_timeout(None, has_answered=False) == 2.0
        assert connect_timeout(0.3, has_answered=False) == 0.3
        assert connect_timeout(60.0, has_answered=True) == 60.0
