"""Open what holds text: plain and compressed files, and the members of archives."""

import contextlib
import dataclasses
import io
import sys
import tarfile
import zipfile
from collections.abc import Generator, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO, Self, cast

from albert_core.corpus.config import CorpusConfig
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.file_names import TAR_SUFFIXES, FileRange, is_hidden, is_stored_as_text
from albert_core.corpus.line_ends import find_line_end, with_line_feeds
from albert_core.corpus.signatures import find_data, find_other, is_binary, is_tar
from albert_core.errors import InputError
from albert_core.files.compression import decompressor
from albert_core.storage import open_file, read_range

_BUFFER_BYTES = 1 << 20
_HEAD_BYTES = 1 << 16
# Files of these names in a ZIP archive say that it is a document of another program.
_OFFICE_MEMBERS = {"[Content_Types].xml", "mimetype", "META-INF/MANIFEST.MF"}


@dataclasses.dataclass(frozen=True)
class TextStream:
    """Text as bytes: a file or a range of it, or a member of an archive.

    Attributes:
        path: Its address, for messages; the address of a member contains that of the archive.
        start: First byte, in the text.
        end: One past the last byte; for compressed text, whose size is unknown, some number beyond
            it.
        file: The open file, decompressed.
        member: Its name in the archive; empty where it is in none.
    """

    path: str
    start: int
    end: int
    file: BinaryIO
    member: str = ""


def open_streams(
    source: FileRange, config: CorpusConfig, counts: ReadCounts
) -> Generator[TextStream, None, None]:
    """Yield the text of a file as streams of bytes: one, or one for each text member of an archive.

    Compressed files are decompressed, and other line ends become line feeds (except in Parquet).
    Hidden members, and in archives those that are no text, are left out. A stream must be read
    before the next one is asked for, and is closed then.

    Args:
        source: The file, or a range of it; the range counts only for a file stored as text.
        config: The corpus it is part of.
        counts: Receives the number of members that are left out.

    Raises:
        InputError: It is encrypted, no text, or an archive without text. Damage shows as the errors
            that `damage_errors` turns into an InputError.
        ServiceError: The storage failed.
    """
    with open_file(source.path) as stored:
        if is_stored_as_text(source.path):
            # Not from `stored`, which reads far ahead in a bucket: the range may be elsewhere.
            head = read_range(source.path, 0, _HEAD_BYTES)
            _refuse_other(head, source.path, config)
            line_end = None if config.format == "parquet" else find_line_end(head)
            file = with_line_feeds(stored, line_end) if line_end else stored
            yield TextStream(source.path, source.start, source.end, file)
        elif source.path.lower().endswith(".zip"):
            yield from _refusing_empty(_zip_streams(stored, source.path, config, counts), source)
        else:
            yield from _refusing_empty(_unpacked(stored, source.path, config, counts), source)


def _refusing_empty(streams: Iterator[TextStream], source: FileRange) -> Iterator[TextStream]:
    """Yield all streams of an archive; at the end refuse one that had none.

    Raises:
        InputError: There was no stream.
    """
    is_empty = True
    for stream in streams:
        is_empty = False
        yield stream
    if is_empty:
        raise InputError(f"{source.path}: got an archive without text files, expected some in it")


def _unpacked(
    stored: BinaryIO, path: str, config: CorpusConfig, counts: ReadCounts, *, member: str = ""
) -> Iterator[TextStream]:
    """Yield the text of a file or member that may be compressed or a tar archive.

    The compression is known by the ending of the name, a tar archive by its content; then the texts
    of its members are yielded. A member that is not text is left out and counted; a file that is
    not text is refused.

    Args:
        stored: The file as it is stored, at its beginning.
        path: Its address, for its endings and for messages.
        config: The corpus it is part of.
        counts: Receives the number of members that are left out.
        member: Its name in the archive; empty where it is in none.

    Raises:
        InputError: It is not text.
        TarError: It is named as a tar archive and is none.
    """
    opener = decompressor(path)
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(opener(stored)) if opener else stored
        head = file.read(_HEAD_BYTES)
        if is_tar(head):
            yield from _tar_streams(_rejoined(head, file), path, config, counts)
            return
        if member and _is_left_out(head, config):
            counts.num_left_out_members += 1
            return
        name = PurePosixPath(path.lower()).name
        if not member and (name.endswith(TAR_SUFFIXES) or ".tar." in name):
            raise tarfile.ReadError("no tar archive")
        _refuse_other(head, path, config)
        if config.format == "parquet":
            yield TextStream(path, 0, sys.maxsize, io.BytesIO(head + file.read()), member)
        else:
            line_end = find_line_end(head) or b"\n"
            lines = with_line_feeds(file, line_end, head=head)
            yield TextStream(path, 0, sys.maxsize, lines, member)


def _rejoined(head: bytes, file: BinaryIO) -> BinaryIO:
    """Return a file with `head`, which was read from its beginning, in front again."""
    return with_line_feeds(file, b"\n", head=head)


# Typeshed does not know them.
_DAMAGED_HEADERS = (tarfile.InvalidHeaderError, tarfile.TruncatedHeaderError)  # type: ignore[attr-defined]


class _WholeTarInfo(tarfile.TarInfo):
    """A member of a tar archive, whose header must be whole.

    `tarfile` takes a damaged header behind the first one for the end of the archive.
    """

    @classmethod
    def fromtarfile(cls, archive: tarfile.TarFile) -> Self:
        """Return the next member.

        Raises:
            ReadError: Its header is damaged, or cut off.
            HeaderError: There is none.
        """
        try:
            return super().fromtarfile(archive)
        except _DAMAGED_HEADERS as error:
            raise tarfile.ReadError(f"a damaged header of a member: {error}") from error


def _tar_streams(
    file: BinaryIO, path: str, config: CorpusConfig, counts: ReadCounts
) -> Iterator[TextStream]:
    """Yield the text of each file in a tar archive, in order; tar archives inside count as well.

    Folders are passed over; compressed files are decompressed; hidden files, links, ZIP archives
    inside and files that are no text are left out and counted.

    When it is read, damage raises one of the errors that `damage_errors` turns into an InputError.
    """
    # "|": from the beginning to the end, since compressed files are slow to seek in.
    with tarfile.open(fileobj=file, mode="r|", tarinfo=_WholeTarInfo) as archive:
        for member in archive:
            if member.isdir():
                continue
            content = archive.extractfile(member) if member.isfile() else None
            if content is None or is_hidden(member.name):
                counts.num_left_out_members += 1
                continue
            name = f"{path}, {member.name}"
            file = cast(BinaryIO, content)
            yield from _unpacked(file, name, config, counts, member=member.name)


def _zip_streams(
    stored: BinaryIO, path: str, config: CorpusConfig, counts: ReadCounts
) -> Iterator[TextStream]:
    """Yield the text of each file in a ZIP archive, in order; tar archives inside count as well.

    Folders are passed over; compressed files are decompressed; hidden files, ZIP archives inside
    and files that are no text are left out and counted.

    Raises:
        InputError: It is a document of another program (such as .docx), or a member is encrypted or
            compressed in an unknown way.
    """
    with zipfile.ZipFile(stored) as archive:
        if names := _OFFICE_MEMBERS.intersection(archive.namelist()):
            raise InputError(
                f"{path}: got a document of another program ({min(names)} in it), expected an "
                "archive of text; save its text as UTF-8"
            )
        for member in archive.infolist():
            if member.is_dir():
                continue
            if is_hidden(member.filename):
                counts.num_left_out_members += 1
                continue
            name = f"{path}, {member.filename}"
            try:
                content = archive.open(member)
            except (RuntimeError, NotImplementedError) as error:
                raise InputError(f"{name}: cannot be read ({error}); unpack {path}") from error
            with content:
                file = cast(BinaryIO, content)
                yield from _unpacked(file, name, config, counts, member=member.filename)


def _is_left_out(head: bytes, config: CorpusConfig) -> bool:
    """Return whether a member of an archive, which nobody named, is no text of this corpus.

    For a Parquet corpus: whether it does not begin as Parquet. Text in a form that is not read is
    not left out: it is refused later.
    """
    if config.format == "parquet":
        return not head.startswith(b"PAR1")
    return not find_data(head) and is_binary(head)


def _refuse_other(head: bytes, path: str, config: CorpusConfig) -> None:
    """Refuse a file by its first bytes, if they are those of something that is not text.

    In a Parquet corpus any file is accepted; where no format is set, Parquet files are.

    Raises:
        InputError: It is text in a form that is not read (such as UTF-16), or another kind of file;
            names kind and remedy.
    """
    if config.format == "parquet" or (config.format is None and head.startswith(b"PAR1")):
        return
    if kind := find_data(head):
        what, _, remedy = kind.partition(", ")
        raise InputError(f"{path}: got {what}, expected text; {remedy}")
    if kind := find_other(head):
        what, _, remedy = kind.partition(", ")
        raise InputError(
            f"{path}: got {what}, expected text; {remedy or 'remove it, or save its text as UTF-8'}"
        )
