"""What a step's pod asks of Kubernetes: tolerations, values of secrets, volumes; their checks."""

import dataclasses
import posixpath
import re
from collections.abc import Sequence
from typing import Literal

from albert_core.errors import InputError
from pipeline.remote.cloud_names import check_kubernetes_labels

_SECRET_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")
_SECRET_KEY = re.compile(r"[A-Za-z0-9._-]{1,253}")
# Kubeflow names the pod's volume after the claim, and such names are shorter and have no dots.
_CLAIM_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
# Volumes that Kubeflow, or this pipeline, gives to the pod of every step.
_TAKEN_VOLUMES = (
    "kfp-launcher",
    "gcs-scratch",
    "s3-scratch",
    "minio-scratch",
    "dot-local-scratch",
    "dot-cache-scratch",
    "dot-config-scratch",
    "shared-memory",
)
# Where these volumes are.
_TAKEN_PATHS = (
    "/kfp-launcher",
    "/gcs",
    "/s3",
    "/minio",
    "/.local",
    "/.cache",
    "/.config",
    "/dev/shm",
)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Toleration:
    """A taint of nodes that does not keep a pod away.

    Attributes:
        key: Its key; empty, with `Exists`, for all taints.
        operator: `Exists` for any value, `Equal` for that of `value`.
        value: Its value.
        effect: Its effect; empty for all.
        seconds: How long the pod stays on a node that gets the taint; for ever when not given.
            For the effect NoExecute only.
    """

    key: str = ""
    operator: Literal["Equal", "Exists"] = "Exists"
    value: str = ""
    effect: Literal["", "NoSchedule", "PreferNoSchedule", "NoExecute"] = ""
    seconds: int | None = None

    def check(self, setting: str) -> None:
        """Refuse what Kubernetes does not take.

        Args:
            setting: Name of the setting, for messages.

        Raises:
            InputError: There is a value with `Exists`, no key with `Equal`, an impossible key or
                value, or seconds below 0 or without the effect NoExecute.
        """
        if self.operator == "Exists" and self.value:
            raise InputError(
                f"{setting}: got the value {self.value!r} with operator Exists, expected none; set "
                "operator: Equal"
            )
        if self.operator == "Equal" and not self.key:
            raise InputError(f"{setting}: got no key with operator Equal, expected one")
        if self.key:
            check_kubernetes_labels(setting, {self.key: self.value})
        if self.seconds is not None and (self.effect != "NoExecute" or self.seconds < 0):
            raise InputError(
                f"{setting}: got seconds: {self.seconds}, expected it with effect: NoExecute only, "
                "and 0 or more"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class SecretKey:
    """A value in a secret of the namespace of the steps.

    Attributes:
        secret: Name of the secret.
        key: Key of the value in it.
    """

    secret: str
    key: str

    def check(self, setting: str) -> None:
        """Refuse names that Kubernetes does not have.

        Args:
            setting: Name of the setting, for messages.

        Raises:
            InputError: The name of the secret or of its key is none.
        """
        check_secret_names(f"{setting}.secret", [self.secret])
        if not _SECRET_KEY.fullmatch(self.key):
            raise InputError(
                f"{setting}.key: got {self.key!r}, expected letters, digits, -, _ and . as in the "
                "secret's data"
            )


@dataclasses.dataclass(frozen=True, kw_only=True)
class VolumeClaim:
    """A persistent volume, by its claim in the namespace of the steps.

    Attributes:
        claim: Name of the PersistentVolumeClaim, which exists.
        path: Folder of the step's container that it is mounted at.
        sub_path: Folder of the volume that is mounted; the whole volume when empty.
    """

    claim: str
    path: str
    sub_path: str = ""

    def check(self, setting: str) -> None:
        """Refuse names and folders that cannot be; whether the claim exists is not known here.

        Args:
            setting: Name of the setting, for messages.

        Raises:
            InputError: The claim is no name or one of Kubeflow's own, the path is not absolute or
                where Kubeflow mounts something, or the folder of the volume leads out of it.
        """
        if not _CLAIM_NAME.fullmatch(self.claim) or self.claim in _TAKEN_VOLUMES:
            raise InputError(
                f"{setting}.claim: got {self.claim!r}, expected the name of a claim of at most 63 "
                "lower-case letters, digits and -, as Kubeflow names the pod's volume after it, "
                f"none of {', '.join(_TAKEN_VOLUMES)}"
            )
        if not self._has_free_path():
            raise InputError(
                f"{setting}.path: got {self.path!r}, expected an absolute folder such as /data, "
                f"none of {', '.join(_TAKEN_PATHS)}, in one or above one"
            )
        if self.sub_path.startswith("/") or ".." in self.sub_path.split("/"):
            raise InputError(
                f"{setting}.sub_path: got {self.sub_path!r}, expected a folder within the volume"
            )

    @property
    def folder(self) -> str:
        """The path as it is compared: without `.` parts and without repeated or final slashes."""
        return posixpath.normpath(f"/{self.path.lstrip('/')}")

    def _has_free_path(self) -> bool:
        """Return whether the path is absolute, and neither in, at nor above a taken one.

        A path with `..` in it, or with a colon, is no such path.
        """
        if not self.path.startswith("/") or ".." in self.path.split("/") or ":" in self.path:
            return False
        below = f"{self.folder.rstrip('/')}/"
        return not any(
            below.startswith(f"{taken}/") or f"{taken}/".startswith(below) for taken in _TAKEN_PATHS
        )


def check_secret_names(setting: str, names: Sequence[str]) -> None:
    """Refuse what is no name of a secret of Kubernetes.

    Raises:
        InputError: There is such a name.
    """
    for name in names:
        if not _SECRET_NAME.fullmatch(name):
            raise InputError(
                f"{setting}: got {name!r}, expected the name of a secret of Kubernetes: "
                "lower-case letters, digits, - and ."
            )


def check_volume_claims(setting: str, claims: Sequence[VolumeClaim]) -> None:
    """Refuse claims that cannot be, and two at one folder.

    Raises:
        InputError: A claim, path or folder is impossible, or two have one path.
    """
    paths: set[str] = set()
    for index, claim in enumerate(claims):
        claim.check(f"{setting}[{index}]")
        if claim.folder in paths:
            raise InputError(f"{setting}[{index}].path: got {claim.folder} twice, expected it once")
        paths.add(claim.folder)
