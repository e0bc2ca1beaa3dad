"""Files by their address: a local path, or gs://bucket/name or s3://bucket/name in a bucket.

All access to files that may be in the cloud goes through this package. google-cloud-storage is
imported at the first gs:// address, botocore at the first of s3://, so that work on one machine
needs neither.
"""

from albert_core.object_storage.interface import Version
from albert_core.storage.addresses import (
    GOOGLE_STORAGE,
    SCHEMES,
    check_bucket,
    find_storage,
    is_remote,
    join,
    local_path,
)
from albert_core.storage.contents import (
    content_hash,
    copy_to_bucket,
    exists,
    fetch_file,
    find_stored_damage,
    generation,
    open_file,
    read_bytes,
    read_range,
    read_version,
    remove_file,
    remove_folder,
    remove_version,
    write_bytes,
    write_file,
    write_version,
)
from albert_core.storage.downloads import (
    fetch_files,
    local_file,
    local_folder,
)
from albert_core.storage.listing import (
    StoredFile,
    find_below,
    find_files,
    has_files,
    split_addresses,
)

__all__ = [
    "GOOGLE_STORAGE",
    "SCHEMES",
    "StoredFile",
    "Version",
    "check_bucket",
    "content_hash",
    "copy_to_bucket",
    "exists",
    "fetch_file",
    "fetch_files",
    "find_below",
    "find_files",
    "find_storage",
    "find_stored_damage",
    "generation",
    "has_files",
    "is_remote",
    "join",
    "local_file",
    "local_folder",
    "local_path",
    "open_file",
    "read_bytes",
    "read_range",
    "read_version",
    "remove_file",
    "remove_folder",
    "remove_version",
    "split_addresses",
    "write_bytes",
    "write_file",
    "write_version",
]
