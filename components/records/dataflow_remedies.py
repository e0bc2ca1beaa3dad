"""What the messages of Dataflow mean, and what to do: mostly why no worker starts."""

import re

_REMEDIES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), remedy)
    for pattern, remedy in (
        (
            r"APIs? need to be enabled|API has not been used|SERVICE_DISABLED",
            "enable them: gcloud services enable dataflow.googleapis.com compute.googleapis.com",
        ),
        (
            r"KMS|CryptoKey",
            "give the service agents of Dataflow and Compute Engine the role "
            "roles/cloudkms.cryptoKeyEncrypterDecrypter on beam.dataflow.encryption_key",
        ),
        (
            r"ImagePullBackOff|ErrImagePull|pull(ing)? (the )?(container |docker )?image|"
            r"manifest unknown|image .*not found",
            "check that beam.dataflow.image exists, and give beam.dataflow.service_account the "
            "role roles/artifactregistry.reader there",
        ),
        (
            r"Private Google Access|no (external|public) IP",
            "enable Private Google Access on beam.dataflow.subnetwork: gcloud compute networks "
            "subnets update NAME --enable-private-ip-google-access",
        ),
        (
            r"firewall|TCP ports? 12345",
            "let workers (tag dataflow) talk to each other on the TCP ports 12345 and 12346 in "
            "their network",
        ),
        (
            r"subnetwork|network .*(not found|does not exist|invalid)",
            "check beam.dataflow.network and beam.dataflow.subnetwork; a network of another "
            "project needs the full address and roles/compute.networkUser there",
        ),
        (
            r"ZONE_RESOURCE_POOL_EXHAUSTED|not have enough resources|stockout",
            "no such machines are free: choose another beam.dataflow.machine_type or region, or "
            "run again later",
        ),
        (
            r"quota",
            "ask for more of that quota, or lower beam.dataflow.max_workers, num_workers or the "
            "machine type; without public addresses none of their quota is needed",
        ),
        (
            r"actAs|PERMISSION_DENIED|permission|forbidden|\b403\b",
            "give beam.dataflow.service_account and whoever submits the roles that "
            "docs/operations.md lists",
        ),
        (
            r"out of memory|OutOfMemory|MemoryError|OOM",
            "choose a beam.dataflow.machine_type with more memory for each core",
        ),
        (r"no space left|disk (is )?full", "raise beam.dataflow.disk_size_gb"),
        (
            r"appears to be stuck|no worker activity|SDK harness.*disconnect|"
            r"failed to bring up any|worker startup|failed to start",
            "read what the workers said while they started; the usual reasons are an image that "
            "cannot be pulled, a network without a way to Google, and missing roles",
        ),
    )
)


def find_remedy(text: str) -> str:
    """Return what to do about a message of Dataflow; empty if it is none of the known ones.

    Of several that fit, it is the first in the table.
    """
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(text)), "")
