"""Files and folders of this machine: atomic writes, locks, checksums, compression, globs."""
