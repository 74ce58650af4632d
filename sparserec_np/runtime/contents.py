"""What a file of ours holds, taken part by part, and checked on the way."""

from __future__ import annotations

from typing import Any

from numpy.typing import NDArray

from sparserec_np.errors import ModelFormatError, shown
from sparserec_np.runtime.format import parse_json
from sparserec_np.runtime.ids import ID_PARTS, IdMap

_KINDS = {"u": "unsigned integers", "f": "float numbers"}


class Contents:
    """Tensors and metadata of a file. A tensor is taken once; one that nobody took has no place in it.

    All methods raise `ModelFormatError`, with the field's name, for what is missing or not as expected.

    Parameters
    ----------
    tensors : dict of str to ndarray
        Copied.
    metadata : dict of str to str
    """

    def __init__(self, tensors: dict[str, NDArray[Any]], metadata: dict[str, str]) -> None:
        self._left = dict(tensors)
        self.metadata = metadata

    def holds(self, group: str) -> bool:
        """Whether a tensor of a group is left, such as ``users.values`` of ``users``."""
        return any(name.startswith(f"{group}.") for name in self._left)

    def take(self, name: str, kind: str | None = None) -> NDArray[Any]:
        """Take a tensor of one dimension; of unsigned integers or of floats, if `kind` is "u" or "f"."""
        if name not in self._left:
            raise ModelFormatError(f"tensor {name!r} is missing")
        array = self._left.pop(name)
        if array.ndim != 1:
            raise ModelFormatError(f"tensor {name!r} has shape {array.shape}; expected one dimension")
        if kind is not None and array.dtype.kind != kind:
            raise ModelFormatError(f"tensor {name!r} is {array.dtype}; expected {_KINDS[kind]}")
        return array

    def take_if_held(self, name: str) -> NDArray[Any] | None:
        """Take a tensor, as it is, that need not be there."""
        return self._left.pop(name, None)

    def take_ids(self, entity: str, n: int, source: str = "") -> IdMap:
        """Take the map of `n` ids of users or items; `source` begins the messages."""
        name = f"{entity}_ids"
        arrays = {
            part: self._left.pop(f"{name}.{part}") for part in ID_PARTS if f"{name}.{part}" in self._left
        }
        return IdMap.from_tensors(self.text(name), arrays, n, entity=entity, source=f"{source}{name}")

    def finish(self, what: str) -> None:
        """Check that every tensor was taken; `what` is the thing that the file should hold."""
        if self._left:
            raise ModelFormatError(f"tensor {shown(min(self._left))} has no place in {what}")

    def text(self, name: str) -> str:
        """Return a value of the metadata."""
        if name not in self.metadata:
            raise ModelFormatError(f"metadata {name!r} is missing")
        return self.metadata[name]

    def object(self, name: str) -> dict[str, Any]:
        """Read a JSON object of the metadata."""
        value = parse_json(self.text(name), name)
        if not isinstance(value, dict):
            raise ModelFormatError(f"{name} is {shown(value)}; expected a JSON object")
        return value
