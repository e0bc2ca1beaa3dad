"""The console script `albert`: answers SIGTERM and Ctrl-C from its first moment on."""

from albert_core.processes.stops import answered_stops


def main() -> int:
    """Run the process's own command line, and return the exit status.

    It is that of `pipeline.cli.main.main`; a process that is stopped ends here, with 130 after
    Ctrl-C and 143 after SIGTERM.
    """
    with answered_stops(ends_process=True) as ending:
        # Here, as all commands and their settings come with it, which takes much longer.
        from pipeline.cli import main as cli

        return cli.main()
    return ending.status
