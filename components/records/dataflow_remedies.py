"""What the messages of Dataflow mean, and what to do: mostly why no worker starts."""

import re

# Addresses of data and files of workers, which may hold any word.
_PLACES = re.compile(r"\b(gs|s3)://[^\s'\"]+|(?<![\w/.:])/[\w.-]+(/[\w.-]+)+")
_REMEDIES: tuple[tuple[re.Pattern[str], str], ...] = tuple(
    (re.compile(pattern), remedy)
    for pattern, remedy in (
        (
            r"(?i:\bAPIs? need to be enabled|\bAPI has not been used)|\bSERVICE_DISABLED\b",
            "enable them: gcloud services enable dataflow.googleapis.com compute.googleapis.com",
        ),
        (
            r"\bKMS\b|\bcloudkms\.|\b[cC]ryptoKey",
            "give the service agents of Dataflow and Compute Engine the role "
            "roles/cloudkms.cryptoKeyEncrypterDecrypter on beam.dataflow.encryption_key",
        ),
        (
            r"\bImagePullBackOff\b|\bErrImagePull\b|(?i:\bmanifest unknown\b|"
            r"\bpull(ing)? (the )?(container |docker )?image\b|\bimage\s.{0,200}\bnot found\b)",
            "check that beam.dataflow.image exists, and give beam.dataflow.service_account the "
            "role roles/artifactregistry.reader there",
        ),
        (
            r"(?i:\bPrivate Google Access\b|\bno (external|public) IP\b)",
            "enable Private Google Access on beam.dataflow.subnetwork: gcloud compute networks "
            "subnets update NAME --enable-private-ip-google-access",
        ),
        (
            r"(?i:\bfirewalls?\b|\bTCP ports? 12345\b)",
            "let workers (tag dataflow) talk to each other on the TCP ports 12345 and 12346 in "
            "their network",
        ),
        (
            r"(?i:\bsubnetworks?\b|\bnetwork\b[^.;]*\b(not found|does not exist|invalid)\b)",
            "check beam.dataflow.network and beam.dataflow.subnetwork; a network of another "
            "project needs the full address and roles/compute.networkUser there",
        ),
        (
            r"\bZONE_RESOURCE_POOL_EXHAUSTED|(?i:\bnot have enough resources\b|\bstockouts?\b)",
            "no such machines are free: choose another beam.dataflow.machine_type or region, or "
            "run again later",
        ),
        (
            r"\bQUOTA_EXCEEDED\b|\bquotaExceeded\b|(?i:\bquotas?\b)",
            "ask for more of that quota, or lower beam.dataflow.max_workers, num_workers or the "
            "machine type; without public addresses none of their quota is needed",
        ),
        (
            r"\bactAs\b|\bPERMISSION_DENIED\b|(?i:\bpermissions?\b|\bforbidden\b)|"
            r"(?i:\b(HTTP|HttpError|status|code|error|answered)\W{0,3}403\b)",
            "give beam.dataflow.service_account and whoever submits the roles that "
            "docs/operations.md lists",
        ),
        (
            r"(?i:\bout of memory\b)|\bOutOfMemory|\bMemoryError\b|\bOOM(Killed)?\b",
            "choose a beam.dataflow.machine_type with more memory for each core",
        ),
        (r"(?i:\bno space left\b|\bdisk (is )?full\b)", "raise beam.dataflow.disk_size_gb"),
        (
            r"(?i:\bappears to be stuck\b|\bno worker activity\b|\bSDK harness.*\bdisconnect|"
            r"\bfailed to bring up any\b|\bworker startup\b|\bfailed to start\b)",
            "read what the workers said while they started; the usual reasons are an image that "
            "cannot be pulled, a network without a way to Google, and missing roles",
        ),
    )
)


def find_remedy(text: str) -> str:
    """Return the remedy for a message of Dataflow; empty if it is none of the known ones.

    If several fit, it is the first in the table. Addresses and paths in the message tell nothing,
    since people name theirs as they like.
    """
    words = _PLACES.sub("", text)
    return next((remedy for pattern, remedy in _REMEDIES if pattern.search(words)), "")
