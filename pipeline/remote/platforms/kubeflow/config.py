"""Where Kubeflow Pipelines is, and as whom it is called."""

import dataclasses
import re
import urllib.parse

from albert_core.errors import InputError
from albert_core.storage import check_bucket
from pipeline.remote.cloud_names import check_kubernetes_name
from pipeline.remote.cron import check_time_zone

_EXAMPLE = "https://kubeflow.example.org/pipeline"
_BARE = re.compile(r"[\w.-]+(:\d+)?(/[\w./-]*)?$")
_USER = re.compile(r"^([a-z][a-z0-9+.-]*://)?.*@", re.IGNORECASE | re.DOTALL)
_LOOPBACK = re.compile(r"(localhost|127\.0\.0\.1)([:/]|$)")


@dataclasses.dataclass(frozen=True, kw_only=True)
class KubeflowConfig:
    """Kubeflow Pipelines: where, and as whom.

    A host that is no address, impossible names and buckets, and unknown time zones raise
    InputError.

    Attributes:
        host: Address of its pages, such as https://kubeflow.example.org/pipeline, with the scheme
            and without what follows a `#`.
        namespace: Namespace of a server with several users; nothing for one without.
        experiment: Experiment that the runs belong to.
        root: Folder for artifacts, in a storage that the server knows: gs://, s3:// or minio://.
        work_root: gs:// or s3:// folder of work in progress; `work` in `root` when empty.
        service_account: Kubernetes service account of the steps; the server's own when empty.
        time_zone: What the server schedules by, its CRON_SCHEDULE_TIMEZONE.
        check_version: Whether a server of a version that cannot run the pipeline is refused; false
            for one that has what is needed under another number.
    """

    host: str = ""
    namespace: str = ""
    experiment: str = "albert"
    root: str = ""
    work_root: str = ""
    service_account: str = ""
    time_zone: str = "UTC"
    check_version: bool = True

    def __post_init__(self) -> None:
        """Refuse a host that is no address, impossible names and buckets, and unknown time zones.

        Empty settings pass.

        Raises:
            InputError: There is one of these.
        """
        if self.host:
            _check_host(self.host)
        for root in (self.root, self.work_root):
            check_bucket(root)
        for name, value in (
            ("namespace", self.namespace),
            ("service_account", self.service_account),
        ):
            if value:
                check_kubernetes_name(f"kubeflow.{name}", value)
        check_time_zone("kubeflow.time_zone", self.time_zone)


def _check_host(host: str) -> None:
    """Refuse what is no address of a server: without scheme, with a user's name, or of a page.

    Raises:
        InputError: The address is one of these; the message names the address that may be meant or
            an example, and no password.
    """
    try:
        parts = urllib.parse.urlsplit(host)
        name, port = parts.hostname or "", parts.port
    except ValueError as error:
        # The reason may quote the address, with a password in it.
        reason = "no address, and with a user's name" if "@" in host else error
        raise InputError(
            f"kubeflow.host: got {_hide_password(host)!r}, {reason}; expected {_EXAMPLE}"
        ) from error
    if parts.scheme not in ("http", "https"):
        is_bare = "://" not in host and _BARE.match(host)
        guess = f"{'http' if _LOOPBACK.match(host) else 'https'}://{host}" if is_bare else _EXAMPLE
        raise InputError(
            f"kubeflow.host: got {_hide_password(host)!r}, expected an address with http:// or "
            f"https://, such as {guess}"
        )
    if not name or host != host.strip() or any(c.isspace() for c in host):
        raise InputError(
            f"kubeflow.host: got {_hide_password(host)!r}, expected an address such as {_EXAMPLE}"
        )
    if "@" in parts.path:  # of a password with a slash in it, which then is taken for the port
        raise InputError(
            f"kubeflow.host: got {_hide_password(host)!r}, expected an address without a user's "
            f"name, such as {_EXAMPLE}"
        )
    place = f"{parts.scheme}://{name}{f':{port}' if port else ''}"
    if parts.username is not None:
        raise InputError(
            f"kubeflow.host: got a user's name in it, expected {place}{parts.path} without; log in "
            "as docs/operations.md says"
        )
    path = parts.path.partition("/apis/")[0]
    if parts.fragment or parts.query or path != parts.path or host.endswith(("#", "?")):
        raise InputError(
            f"kubeflow.host: got {_hide_password(host)!r}, the address of a page, expected that of "
            f"the server: {place}{path.rstrip('/')}"
        )


def _hide_password(host: str) -> str:
    """Return an address with *** for what is between its scheme, if it has one, and its last @."""
    return _USER.sub(r"\1***@", host)
