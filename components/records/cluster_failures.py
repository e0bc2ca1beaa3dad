"""Why a job on a Flink or Spark cluster failed, and whether another try may succeed."""

import builtins
import re

_TRACEBACK = re.compile(r"Traceback \(most recent call last\):\n(?:[ \t].*\n|\n)*(?P<error>\S.*)")
_CAUSE = re.compile(r"Caused by: (?P<error>.*)")
_TRANSFORM = re.compile(r" \[while running '(?P<name>[^'\]]*?)(-ptransform-\d+)?'\]")
_FAILED = re.compile(r"Pipeline \S+ failed in state (?P<state>[A-Z]+): ")
# Of Flink's job manager, and of Spark's master.
_CANCELLED = re.compile(r"JobCancellationException|Master removed our application: KILLED")
_OTHER_LOGIN = "on the workers, which do not get this command's credentials"
# What is said about containers and credentials of workers, and what helps.
_WORKER_REMEDIES = {
    "No container running for id": (
        "the container ended as soon as it was started; what it said is in the log of the worker "
        "that started it"
    ),
    'Cannot run program "docker"': (
        "install docker on each worker, on the PATH of what runs there, or choose another "
        "beam.environment_type"
    ),
    "Unable to find image": "let each worker's machine pull it, or correct beam.environment_config",
    "there are no credentials for S3": _OTHER_LOGIN,
    "there are no Google credentials": _OTHER_LOGIN,
}
_LONGEST_REASON = 500
_NUM_TRIES = 3
# A disk that is full on one machine, a service that was away, a file that is made again. By their
# names, since the error of a worker arrives as text.
_PASSING_ERRORS = {"ServiceError", "NoConnectionError", "DamageError"} | {
    name
    for name, kind in vars(builtins).items()
    if isinstance(kind, type) and issubclass(kind, OSError)
}
# What gRPC says if the other side is gone; other codes are answers of the job server's.
_LOST_CODES = ("UNAVAILABLE", "UNKNOWN", "CANCELLED")


def is_of_job(error: BaseException) -> bool:
    """Return whether an error tells of the job, or of the job server, and not of this program."""
    import grpc

    return isinstance(error, grpc.RpcError) or (
        isinstance(error, RuntimeError) and _FAILED.match(str(error)) is not None
    )


def is_cancellation(error: BaseException) -> bool:
    """Return whether an error of a job says that the job was cancelled."""
    failed = _FAILED.match(str(error))
    is_state = failed is not None and failed["state"].startswith("CANCEL")
    return is_state or _CANCELLED.search(str(error)) is not None


def num_worthwhile_tries(error: BaseException) -> int:
    """Return the number of tries that a job which ended with an error is worth, the first included.

    Where the Python code on a worker raised an error it is two if that may pass (an OSError, a
    service, a damaged file), else one; and one where the job server refused the job. In all other
    cases it is three, as where a worker or the job server was lost.

    Args:
        error: One that `is_of_job`.
    """
    import grpc

    if isinstance(error, grpc.RpcError):
        return _NUM_TRIES if _is_lost(error) else 1
    tracebacks = [*_TRACEBACK.finditer(str(error))]
    if not tracebacks:
        return _NUM_TRIES
    # What cannot be raised again with the name of its transform is a RuntimeError to Beam.
    line = tracebacks[-1]["error"].removeprefix("RuntimeError: ")
    name = line.partition(":")[0].rpartition(".")[2].strip()
    return 2 if name in _PASSING_ERRORS else 1


def find_reason(error: BaseException) -> str:
    """Return in part of a line why a job failed; never empty.

    For an error of the Python code on a worker it is the last line of the traceback; for other
    errors of Java the innermost cause; for any other the message, or the error's type. If the job
    server did not answer or refused, it says so. Where it is about containers or credentials of
    workers, what helps follows.
    """
    import grpc

    if isinstance(error, grpc.RpcError):
        details = getattr(error, "details", lambda: "")() or type(error).__name__
        what = "is gone" if _is_lost(error) else "refused the job"
        return f"Beam's job server {what} ({shorten_reason(details)})"
    reason = shorten_reason(str(error)) or type(error).__name__
    remedies = [remedy for said, remedy in _WORKER_REMEDIES.items() if said in reason]
    return "; ".join([reason, *remedies])


def shorten_reason(text: str) -> str:
    """Shorten a runner's message about a failure to part of a line of at most 500 characters.

    If there are tracebacks of Python, it is the last line of the last one; else of errors of Java
    the innermost cause; else the message itself. Empty for an empty message.
    """
    text = _FAILED.sub("", text)
    matches = [*_CAUSE.finditer(text)][-1:] + [*_TRACEBACK.finditer(text)][-1:]
    reason = matches[-1]["error"] if matches else text
    reason = _TRANSFORM.sub(r" (in \g<name>)", " ".join(reason.split()))
    return reason[:_LONGEST_REASON].rstrip()


def _is_lost(error: BaseException) -> bool:
    """Return whether an error of gRPC says that the job server is gone; also one without a code."""
    code = getattr(error, "code", lambda: None)()
    return code is None or code.name in _LOST_CODES
