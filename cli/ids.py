"""Ids on the command line."""

from __future__ import annotations

import csv
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from sparserec_np.runtime.ids import Id, IdMap


def parse_ids(text: str, known: IdMap, option: str) -> list[Id]:
    """Read ids separated by commas; one that holds a comma or a quote is quoted, as in a CSV file.

    Parameters
    ----------
    text : str
        What was typed.
    known : IdMap
        The model's ids, which say whether ids are integers or strings.
    option : str
        Name of the option, for messages.

    Raises
    ------
    click.BadParameter
        If the quotes do not match.
    UnknownIdError
        If the model's ids are integers and one of these is not.
    """
    # Line breaks within an id are kept: the reader gets the text in one piece.
    lines = csv.reader([text], skipinitialspace=True, strict=True)
    try:
        fields = next(lines, [])
    except csv.Error as error:
        raise click.BadParameter(
            f"{error}; expected ids separated by commas; write an id that holds a comma, a quote or a line "
            'break in quotes, and a quote within them twice: \'7,"Yes, please","5"" disc"\'',
            param_hint=option,
        ) from None
    return [known.parse(field) for field in fields]
