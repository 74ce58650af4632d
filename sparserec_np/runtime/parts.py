"""What a score is a sum of: blocks of columns of the item table, and neighbours.

Tables of several models stand side by side in one item table. Each has its own columns, a *block*, and its
own encoder, which turns a history into a user's numbers in these columns. A score is then one dot product,
plus what the neighbours add. A model of one block without neighbours names its encoder directly; any other
names the encoder ``"parts"``, and its settings list the blocks.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.runtime.encoding import ENCODERS, check_encoder
from sparserec_np.runtime.neighbours import NeighbourFilter, NeighbourSettings
from sparserec_np.runtime.table_data import MAX_DIM

if TYPE_CHECKING:
    from sparserec_np.runtime.model_data import ModelData
    from sparserec_np.runtime.scoring import TableScorer

#: Encoder of a model that is a sum.
PARTS = "parts"
#: Encoder of a block whose columns are items: a history's items have 1 there, or their weight.
ITEMS = "items"

# Each is encoded by itself, so that a file of many would ask for much time.
_MOST_BLOCKS = 32

# Encoders of blocks that are tables of embeddings. Ratings are predicted by one table alone.
_TABLES = ("sum", "ridge")


class Encoded(NamedTuple):
    """A history in the columns of the item table.

    Attributes
    ----------
    columns : ndarray of int
        Rising.
    values : ndarray of float32
        Their numbers, none of them 0.
    bias : float
        Takes the place of the user bias in a rating model; else 0.
    """

    columns: NDArray[np.integer]
    values: NDArray[np.float32]
    bias: float


@dataclass(frozen=True)
class Block:
    """Columns of the item table that one encoder fills.

    Attributes
    ----------
    encoder : {"sum", "ridge", "ratings", "items"}
    width : int
        How many columns.
    settings : mapping of str to float
        The encoder's settings, where they differ from its defaults.
    """

    encoder: str
    width: int
    settings: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Parts:
    """The parts of a score.

    Attributes
    ----------
    blocks : tuple of Block
        From left to right; their widths add up to that of the item table.
    neighbours : NeighbourSettings or None
    """

    blocks: tuple[Block, ...]
    neighbours: NeighbourSettings | None = None

    @classmethod
    def of(cls, encoder: str, settings: Mapping[str, Any], dim: int) -> Parts:
        """Read the parts of a model whose item table has `dim` columns.

        Raises
        ------
        ModelFormatError
            If the settings do not describe such a model.
        """
        if encoder != PARTS:
            check_encoder(encoder, settings)
            if dim > MAX_DIM:
                raise ModelFormatError(f"dim is {dim}; expected 1 to {MAX_DIM}")
            return cls((Block(encoder, dim, settings),))
        if not set(settings) <= {"blocks", "neighbours"} or not isinstance(settings.get("blocks"), list):
            raise ModelFormatError("encoder_settings of parts must hold a list of blocks")
        if len(settings["blocks"]) > _MOST_BLOCKS:
            raise ModelFormatError(
                f"encoder_settings hold {len(settings['blocks'])} blocks; expected at most {_MOST_BLOCKS}"
            )
        blocks = tuple(_block(block) for block in settings["blocks"])
        if not blocks or sum(block.width for block in blocks) != dim:
            raise ModelFormatError(
                f"encoder_settings: the blocks have widths {[block.width for block in blocks]}; "
                f"expected them to add up to dim, {dim}"
            )
        neighbours = settings.get("neighbours")
        return cls(blocks, None if neighbours is None else NeighbourSettings.from_dict(neighbours))

    def encoder(self) -> tuple[str, dict[str, Any]]:
        """Return encoder and settings as `ModelData` and a model file hold them."""
        if self.neighbours is None and len(self.blocks) == 1 and self.blocks[0].encoder != ITEMS:
            return self.blocks[0].encoder, dict(self.blocks[0].settings)
        settings: dict[str, Any] = {
            "blocks": [
                {"encoder": block.encoder, "width": block.width, **block.settings} for block in self.blocks
            ]
        }
        if self.neighbours is not None:
            settings["neighbours"] = self.neighbours.as_dict()
        return PARTS, settings


def _block(described: Any) -> Block:
    if not isinstance(described, Mapping):
        raise ModelFormatError(
            f"encoder_settings: a block is {shown(described)}; expected its encoder and width"
        )
    settings = dict(described)
    encoder, width = settings.pop("encoder", None), settings.pop("width", None)
    if encoder not in (*_TABLES, ITEMS):
        raise ModelFormatError(
            f"encoder_settings: the encoder of a block is {shown(encoder)}; "
            f"expected one of {', '.join((*_TABLES, ITEMS))}"
        )
    if type(width) is not int or width < 1:
        raise ModelFormatError(
            f"encoder_settings: the width of a block is {shown(width)}; expected at least 1"
        )
    if encoder != ITEMS:
        if width > MAX_DIM:
            raise ModelFormatError(
                f"encoder_settings: the width of a block is {shown(width)}; expected at most {MAX_DIM}"
            )
        check_encoder(encoder, settings)
    elif settings:
        raise ModelFormatError(
            f"encoder_settings: a block of items holds {min(settings)!r}, which it ignores"
        )
    return Block(encoder, width, settings)


class HistoryEncoder:
    """Encodes histories for a model, part by part.

    Parameters
    ----------
    data : ModelData
    items : TableScorer
        Of the model's item table.
    """

    def __init__(self, data: ModelData, items: TableScorer) -> None:
        self._data = data
        self._items = items
        self.parts = data.parts

    @cached_property
    def neighbours(self) -> NeighbourFilter | None:
        """What scores by neighbours; None where that is no part of the model, or no interactions are."""
        data = self._data
        if self.parts.neighbours is None or data.seen is None:
            return None
        return self._items.neighbour_filter(data.seen, data.n_items, self.parts.neighbours)

    def added(
        self, rows: NDArray[np.integer], weights: NDArray[np.float64] | None
    ) -> Callable[[], NDArray[np.float32]] | None:
        """Return what computes the scores that neighbours add for a history; None without neighbours."""
        if self.neighbours is None:
            return None
        return partial(self.neighbours.scores, rows, weights)

    @cached_property
    def tables(self) -> list[TableScorer]:
        """The block of each part, as a table of its own."""
        if len(self.parts.blocks) == 1:
            return [self._items]
        starts = np.cumsum([0, *(block.width for block in self.parts.blocks)])
        table = self._items.table
        return [type(self._items)(table.columns(int(start), int(stop))) for start, stop in pairwise(starts)]

    def encode(self, rows: NDArray[np.integer], weights: NDArray[np.float64] | None) -> Encoded:
        """Encode a history in the columns of all blocks.

        Parameters
        ----------
        rows : ndarray of int
            Rows of the history's items.
        weights : ndarray of float64 or None
            Weight, or rating, of each.
        """
        columns, values, start, bias = [], [], 0, 0.0
        for number, block in enumerate(self.parts.blocks):
            if block.encoder == ITEMS:
                found, own = _occurrences(rows, weights)
                # What no item is scored by says nothing.
                used = self._items.used_columns[found + start]
                found, own = found[used], own[used]
            else:
                encoder = ENCODERS[block.encoder]
                person = encoder(self.tables[number], self._data, rows, weights, **block.settings)
                found = np.flatnonzero(person.vector)
                own, bias = person.vector[found], person.bias
            columns.append(found + start)
            values.append(own)
            start += block.width
        return Encoded(np.concatenate(columns), np.concatenate(values), bias)


def _occurrences(
    rows: NDArray[np.integer], weights: NDArray[np.float64] | None
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Return the distinct items of a history, rising, and the sum of the weights of each, where not 0."""
    found, which = np.unique(rows, return_inverse=True)
    values = np.bincount(which.ravel(), weights, len(found)).astype(np.float32)
    return found[values != 0].astype(np.int64), values[values != 0]
