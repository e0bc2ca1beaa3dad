"""Files by their address: a local path, or gs://bucket/name in Google Cloud Storage.

All access to files that may be in the cloud goes through this package. google-cloud-storage is
imported at the first gs:// address, so that work on one machine does not need it.
"""

from albert_core.storage.addresses import (
    is_remote,
    join,
    local_path,
)
from albert_core.storage.contents import (
    content_hash,
    exists,
    fetch_file,
    find_stored_damage,
    generation,
    open_file,
    read_bytes,
    remove_file,
    remove_folder,
    write_bytes,
    write_file,
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
    "StoredFile",
    "content_hash",
    "exists",
    "fetch_file",
    "fetch_files",
    "find_below",
    "find_files",
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
    "remove_file",
    "remove_folder",
    "split_addresses",
    "write_bytes",
    "write_file",
]
