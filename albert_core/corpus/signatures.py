"""Tell by its first bytes what a file is that is no text."""

import tarfile

HEAD_BYTES = 4096

_DATA = {
    b"\x1f\x8b\x08": "gzip data, name it .gz",
    b"\x1f\x9d": "compress data, unpack it",
    b"BZh": "bzip2 data, name it .bz2",
    b"\xfd7zXZ\0": "xz data, name it .xz",
    b"\x28\xb5\x2f\xfd": "Zstandard data, name it .zst",
    b"\x04\x22\x4d\x18": "LZ4 data, unpack it",
    b"LZIP": "lzip data, unpack it",
    b"7z\xbc\xaf\x27\x1c": "a 7z archive, unpack it",
    b"Rar!\x1a\x07": "a RAR archive, unpack it",
    b"PAR1": "a Parquet file, set corpus.format=parquet",
    b"ARROW1": "an Arrow file, save it as Parquet",
    b"\xff\xfe\0\0": "UTF-32, convert it with `iconv -f UTF-32 -t UTF-8`",
    b"\0\0\xfe\xff": "UTF-32, convert it with `iconv -f UTF-32 -t UTF-8`",
    b"\xff\xfe": "UTF-16, convert it with `iconv -f UTF-16 -t UTF-8`",
    b"\xfe\xff": "UTF-16, convert it with `iconv -f UTF-16 -t UTF-8`",
    b"version https://git-lfs": "a pointer to a file in Git LFS, fetch that with `git lfs pull`",
    b"<mediawiki xmlns=": "a dump of MediaWiki, extract its text with WikiExtractor",
}
"""Beginnings of files that hold text but cannot be read as they are, and what to do with them."""

_OTHERS = {
    b"PK\x03\x04": "a ZIP archive or a document made of one",
    b"PK\x05\x06": "an empty ZIP archive",
    b"%PDF-": "a PDF document",
    b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1": "an Office document",
    b"{\\rtf": "an RTF document",
    b"\x89PNG\r\n": "an image",
    b"\xff\xd8\xff": "an image",
    b"GIF8": "an image",
    b"II*\0": "an image",
    b"MM\0*": "an image",
    b"RIFF": "sound or an image",
    b"ID3\x03": "sound",
    b"ID3\x04": "sound",
    b"OggS": "sound",
    b"fLaC": "sound",
    b"SQLite format 3\0": "a database",
    b"\x93NUMPY": "a NumPy array",
    b"\x89HDF\r\n": "an HDF5 file",
    b"\x7fELF": "a program",
    b"MZ\x90\0": "a program",
    b"\x80\x02}q": "a pickle",
    b"\x80\x03}q": "a pickle",
    b"\x80\x04\x95": "a pickle",
    b"\x80\x05\x95": "a pickle",
}
# Without the four bytes between, which are the length of what follows.
_ARROW_STREAM = b"\xff\xff\xff\xff", b"\x10\0\0\0"
_MOST_ZEROS = 0.2  # of text; UTF-16 of Latin letters has half, and nothing but it in UTF-8 has many
_SMALLEST_JUDGED = 16


def find_data(head: bytes) -> str | None:
    """Return the kind of a file of text in a form that is not read, and after ", " the remedy.

    None if its first bytes are not of such a form.
    """
    if (head[:4], head[8:12]) == _ARROW_STREAM:
        return "an Arrow stream, save it as Parquet"
    return _find(head, _DATA)


def find_other(head: bytes) -> str | None:
    """Return the kind of a file that is not text, in words, some with ", " and a remedy; else None.

    By signatures, a tar header, or over 20 % zero bytes (in 16 or more). A form that `find_data`
    knows is not looked for.
    """
    if is_tar(head):
        return "a tar archive, name it .tar"
    if kind := _find(head, _OTHERS):
        return kind
    if len(head) >= _SMALLEST_JUDGED and head.count(0) > _MOST_ZEROS * len(head):
        return "binary data or UTF-16 without a byte order mark"
    return None


def is_binary(head: bytes) -> bool:
    """Return whether the first bytes of a file show that it is no text.

    They are if they begin as another known kind of file or as safetensors, or they are not UTF-8
    and have a zero byte. The last four bytes are not decoded, so that `head` may end within a
    character. Returns False for an empty file.
    """
    if find_other(head) or head[8:10] == b'{"':  # the latter is how safetensors begins
        return True
    try:
        # The last character may be cut.
        head[:-4].decode("utf-8")
    except UnicodeDecodeError:
        return b"\0" in head
    return False


def is_tar(head: bytes) -> bool:
    """Return whether a file begins with the header of a tar archive, which has a checksum."""
    try:
        tarfile.TarInfo.frombuf(head[: tarfile.BLOCKSIZE], "utf-8", "surrogateescape")
    except tarfile.HeaderError:
        return False
    return True


def _find(head: bytes, signatures: dict[bytes, str]) -> str | None:
    return next((kind for begin, kind in signatures.items() if head.startswith(begin)), None)
