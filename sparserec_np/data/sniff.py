"""What a file looks like: its separator, whether it has a header, and which column is which."""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sparserec_np.data.columns import parse_time
from sparserec_np.errors import DataError, SettingError

ColumnChoice = str | int | None
"""A column by name or by position, counted from 1; None to find it."""

SEPARATORS = {"::": "'::'", "\t": "tab", ";": "semicolon", ",": "comma", "|": "bar", " ": "space"}
"""The separators that are looked for, the least likely to stand inside a field first, and their names."""

BLANKS = " \t\r"
"""What is stripped from around a field."""

ROLES = ("user", "item", "weight", "time")

_NAMES = {
    role: tuple(names.split())
    for role, names in {
        "user": """
            user userid uid u usr username customer customerid client clientid member memberid account
            accountid person personid reviewer reviewerid visitor visitorid player playerid listener
            listenerid reader readerid viewer viewerid buyer buyerid msno session sessionid
        """,
        "item": """
            item itemid iid i product productid movie movieid film filmid book bookid isbn asin parentasin
            business businessid song songid track trackid artist artistid album albumid article articleid
            news newsid game gameid app appid video videoid show showid anime animeid recipe recipeid beer
            beerid restaurant restaurantid venue venueid poi poiid location locationid gmapid content
            contentid document documentid doc docid sku
        """,
        "weight": """
            rating ratings weight score stars overall bookrating count counts plays playcount listencount
            watchratio hours clicks views strength preference value
        """,
        "time": """
            timestamp unixtime unixreviewtime ts time datetime date eventtime createdat checkintime
        """,
    }.items()
}
"""Column names in use, as `_plain` leaves them; those to be preferred first."""

_EARLIEST_UNIX_TIME = 1e8  # 1973: no rating is as large, and no log as old


@dataclass(frozen=True)
class Layout:
    """How a file is laid out.

    Attributes
    ----------
    separator : str
        What stands between fields.
    header : list of str or None
        The column names, if the file gives them.
    n_fields : int
        Number of fields in each row.
    columns : dict of str to int
        Position, counted from 0, of the columns that are read: by role, user and item always.
    """

    separator: str
    header: list[str] | None
    n_fields: int
    columns: dict[str, int]

    def describe(self, position: int) -> str:
        """Return what messages call a column, counted from 1."""
        name = f' ("{self.header[position]}")' if self.header else ""
        return f"column {position + 1}{name}"


def find_separator(lines: Sequence[str], where: str) -> str:
    """Return the separator that splits all lines into equally many fields, or else most of them.

    Parameters
    ----------
    lines : sequence of str
        The first lines, none empty.
    where : str
        File and line of the first, for the message.

    Raises
    ------
    DataError
        If no separator gives more than one column.
    """
    best, most = "", 0.0
    for separator in SEPARATORS:
        n_fields = Counter(map(len, split_lines(lines, separator)))
        n_fields.pop(1, None)
        agreeing: float = max(n_fields.values(), default=0)
        if separator == " ":
            agreeing /= 2  # dates and titles hold one, whatever separates the fields
        if agreeing > most:
            best, most = separator, agreeing
    if not best:
        raise DataError(
            f"{where}, column 1: found one column only, {shorten(lines[0])}; expected a user and an item, "
            f"separated by {', '.join(SEPARATORS.values())}; name another separator with sep"
        )
    return best


def split_lines(lines: Sequence[str], separator: str) -> list[list[str]]:
    """Split sample lines into fields, as far as that is possible."""
    if uses_quotes(separator) and any('"' in line for line in lines):
        try:
            return [row for row in csv.reader(lines, delimiter=separator, skipinitialspace=True) if row]
        except csv.Error:  # the reader will say where
            pass
    return [split_line(line, separator) for line in lines]


def split_line(line: str, separator: str) -> list[str]:
    """Split a line in which no quoted field holds a separator."""
    fields = [field.strip(BLANKS) for field in line.split(separator)]
    if separator == " ":
        fields = [field for field in fields if field]
    if '"' in line:
        fields = [
            field[1:-1].replace('""', '"') if len(field) > 1 and field[0] == field[-1] == '"' else field
            for field in fields
        ]
    return fields


def uses_quotes(separator: str) -> bool:
    """Return whether quotes may hide the separator: with tabs and ``::`` they are just characters."""
    return len(separator) == 1 and separator != "\t"


def find_layout(
    sample: Sequence[Sequence[str]],
    separator: str,
    choices: Mapping[str, ColumnChoice],
    header: bool | None,
    where: str,
) -> Layout:
    """Find out whether there is a header, and which columns to read.

    Parameters
    ----------
    sample : sequence of sequence of str
        The fields of the first lines.
    separator : str
        What stands between fields.
    choices : mapping of str to (str, int or None)
        For each role the column asked for: name, position counted from 1, or None.
    header : bool or None
        Whether the first line holds names; None to find out.
    where : str
        File and line of the first row, for messages.

    Returns
    -------
    Layout
    """
    first, rest = sample[0], sample[1:]
    by_name = any(isinstance(choice, str) and not _is_position(choice) for choice in choices.values())
    if by_name and header is False:
        raise SettingError("columns are given by name, but header is False; give their positions, from 1")
    if header is None:
        header = by_name or _is_header(first, rest)
    names = list(first) if header else None
    columns = {
        role: _position(choice, role, first, header, where)
        for role, choice in choices.items()
        if choice is not None
    }
    if header:
        _find_by_name(columns, first, rest)
    else:
        _find_by_position(columns, sample)
    for role in ("user", "item"):
        if role not in columns:
            raise DataError(
                f"{where}: found the columns {', '.join(map(repr, first))}; expected one with a name such "
                f"as {role!r} or {role + '_id'!r}; say which with {role}=NAME or {role}=POSITION (from 1)"
            )
    _refuse_shared(columns, where)
    return Layout(separator, names, len(first), columns)


def _is_header(first: Sequence[str], rest: Sequence[Sequence[str]]) -> bool:
    """Return whether the first row holds names: known ones, or words where all else is numbers."""
    if any(map(_is_number, first)):
        return False
    for position, text in enumerate(first):
        below = [row[position] for row in rest if position < len(row)]
        plain = _plain(text)
        # A single letter may be anybody's id.
        if len(plain) > 1 and plain in (*_NAMES["user"], *_NAMES["item"]) and text not in below:
            return True
        wordy = text != "" and not any(character.isdigit() for character in text)
        if wordy and below and all(map(_is_number, below)):
            return True
    return False


def _position(choice: str | int, role: str, first: Sequence[str], header: bool, where: str) -> int:
    if isinstance(choice, str):
        if header and choice in first:
            return first.index(choice)
        plain = [name.split(":")[0] for name in first]
        if header and choice in plain:
            return plain.index(choice)
        if not _is_position(choice):
            raise DataError(
                f"{where}: found the columns {', '.join(map(repr, first))}; expected {choice!r} among them; "
                f"give {role} another name or a position (from 1)"
            )
    position = int(choice)
    if not 1 <= position <= len(first):
        raise SettingError(
            f"{role} is column {position}, but {where} has {len(first)} columns; positions count from 1"
        )
    return position - 1


def _is_position(text: str) -> bool:
    # Not str.isdigit, which takes the ² that int refuses; nor more digits than int reads.
    return re.fullmatch("[0-9]{1,9}", text) is not None


def _find_by_name(columns: dict[str, int], first: Sequence[str], rest: Sequence[Sequence[str]]) -> None:
    plain = [_plain(name) for name in first]
    for role in ROLES:
        found = next((plain.index(name) for name in _NAMES[role] if name in plain), None)
        if role in columns or found is None or found in columns.values():
            continue
        # Dates come spelt in many ways; one that cannot be read is no reason to refuse the file.
        below = [row[found] for row in rest if found < len(row)]
        if role != "time" or not below or any(parse_time(text) is not None for text in below):
            columns[role] = found


def _find_by_position(columns: dict[str, int], sample: Sequence[Sequence[str]]) -> None:
    """Take user, item, and then weight and time in either order, as MovieLens has them."""
    free = [position for position in range(len(sample[0])) if position not in columns.values()]
    for role in ("user", "item"):
        if role not in columns and free:
            columns[role] = free.pop(0)
    for position in free[:2]:
        texts = [row[position] for row in sample if position < len(row)]
        times = [time for time in map(parse_time, texts) if time is not None]
        if not times:
            continue
        dated = not any(_is_number(text) for text in texts)
        role = "time" if dated or min(times) > _EARLIEST_UNIX_TIME else "weight"
        columns.setdefault(role, position)


def _refuse_shared(columns: Mapping[str, int], where: str) -> None:
    for role, position in columns.items():
        for other, its_position in columns.items():
            if role != other and position == its_position:
                raise SettingError(
                    f"{where}: column {position + 1} is to be both {role} and {other}; give each its own"
                )


def _plain(name: str) -> str:
    """Return a name without case, punctuation and RecBole's type (``user_id:token``)."""
    return re.sub(r"[\W_]", "", name.split(":")[0].lower())


def _is_number(text: str) -> bool:
    try:
        float(text)
    except ValueError:
        return False
    return True


def shorten(text: str) -> str:
    """Return a text as messages quote it."""
    return repr(text if len(text) <= 60 else text[:57] + "...")
