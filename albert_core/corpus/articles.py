"""WikiExtractor's articles: the lines between `<doc ...>` and `</doc>`."""

import html
import re
from collections.abc import Iterator

from albert_core.corpus.containers import TextStream
from albert_core.corpus.counts import ReadCounts
from albert_core.corpus.lines import Lines

_DOC_START = re.compile(r'<doc\b(?:[^>]*\btitle="([^"]*)")?[^>]*>$')
_DOC_END = "</doc>"


def read_articles(lines: Lines, source: TextStream, counts: ReadCounts) -> Iterator[list[str]]:
    """Yield the paragraphs of each article that begins in the range, without its title.

    An article without an end tag ends where the next one begins. Blank lines are left out, and so
    are lines outside of articles, which are counted (`num_lines_outside_articles`); whatever the
    ranges of a file, each is counted once. An article may have no paragraph left.
    """
    article: list[str] | None = None
    title = ""
    # In a later range the first lines are those of an article, or follow the end of one, that
    # another range has read already.
    is_outside = source.start == 0
    for offset, line in lines:
        start = _DOC_START.match(line)
        if start or line == _DOC_END:
            if article or (article is not None and not start):
                yield _without_title(article, title)
            if offset >= source.end:
                return
            article, title = ([], html.unescape(start[1] or "")) if start else (None, "")
            is_outside = not start
        elif article is not None:
            if line:
                article.append(line)
        elif is_outside:
            counts.num_lines_outside_articles += bool(line)
        elif offset >= source.end:
            return
    if article:
        yield _without_title(article, title)


def _without_title(article: list[str], title: str) -> list[str]:
    """Return an article without its first paragraph where that repeats the title."""
    return article[1:] if article and html.unescape(article[0]) == title else article
