"""Quotation marks that pandas puts around cells when it writes a table."""

Rows = list[tuple[int, list[str]]]


def unquote_export(rows: Rows) -> Rows:
    """Return rows without the quotes that `to_csv` put around cells with a quotation mark.

    Such a cell begins and ends with one, and those inside are doubled. Only if that holds for all
    cells with quotation marks were they put there: else `to_csv(quoting=QUOTE_NONE)` wrote none,
    they are text, and the rows are returned as they are.
    """
    marked = [cell for _, row in rows for cell in row if '"' in cell]
    if not marked or not all(map(_is_quoted, marked)):
        return rows
    return [(number, [_unquoted(cell) for cell in row]) for number, row in rows]


def _is_quoted(cell: str) -> bool:
    inside = cell[1:-1]
    has_marks = len(cell) > 2 and cell[0] == cell[-1] == '"'
    return has_marks and '""' in inside and '"' not in inside.replace('""', "")


def _unquoted(cell: str) -> str:
    return cell[1:-1].replace('""', '"') if '"' in cell else cell
