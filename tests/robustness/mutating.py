"""Mutations of what a file holds: of bytes, of JSON, of a container of tensors."""

from __future__ import annotations

import copy
import json
import math

import numpy as np

EXTREME_INTEGERS = [
    *(
        sign * (1 << bits) + off
        for bits in (7, 8, 15, 16, 31, 32, 53, 62, 63, 64)
        for sign in (1, -1)
        for off in (-1, 0, 1)
    ),
    0,
    1,
    -1,
    2,
    10**18,
    10**19,
    10**30,
]
STRANGE = [
    None,
    True,
    False,
    "",
    " ",
    "x",
    "é",
    "\ud800",
    "a\udfffb",
    "\0",
    "\n",
    "range",
    "int",
    "str",
    "NaN",
    "9" * 400,
    "x" * 5000,
    "[" * 3000,
    0.5,
    -0.0,
    1e308,
    -1e308,
    1e-320,
    math.nan,
    math.inf,
    -math.inf,
    [],
    {},
    [0],
    [[]],
    [None] * 3,
    [1, 2, 3],
    {"a": 1},
    {"": None},
    [[[[[[[[[[]]]]]]]]]],
]


def pick(rng, values):
    """One of several values, whatever their types."""
    return values[int(rng.integers(len(values)))]


def strange_value(rng, old):
    """A value in place of another: near to it, extreme, or of another kind."""
    kind = rng.random()
    if kind < 0.35:
        if type(old) is int:
            return pick(rng, [old + 1, old - 1, -old, old * 2, old * 256, old + 0.5, str(old), float(old)])
        if isinstance(old, float):
            return pick(rng, [-old, old * 1e30, old / 1e30, int(old) if math.isfinite(old) else 0, str(old)])
        if isinstance(old, str):
            cut = int(rng.integers(len(old) + 1))
            return pick(rng, [old[:cut], old + "\ud800", old + "0", "-" + old, old.upper(), old * 2, [old]])
        if isinstance(old, list):
            return pick(rng, [old[:-1], old + old, old[::-1], [*old, None], tuple(old)])
        if isinstance(old, dict):
            return pick(rng, [list(old), list(old.values()), {**old, "more": 1}])
        if old is None or isinstance(old, bool):
            return pick(rng, [0, 1, "None", not old])
    if kind < 0.65:
        return pick(rng, EXTREME_INTEGERS)
    return copy.deepcopy(pick(rng, STRANGE))


def mutated_json(rng, value):
    """A copy of a JSON value in which one thing, wherever it stands, is replaced, removed, added or moved."""
    value = copy.deepcopy(value)
    places = list(_places(value))
    if not places or rng.random() < 0.02:
        return strange_value(rng, value)
    holder, key = pick(rng, places)
    how = rng.random()
    if how < 0.7:
        holder[key] = strange_value(rng, holder[key])
    elif how < 0.82:
        del holder[key]
    elif how < 0.9:
        other, place = pick(rng, places)
        if other is not holder or place != key:
            holder[key] = copy.deepcopy(other[place]) if rng.random() < 0.5 else {"in": None}
    elif isinstance(holder, dict):
        renamed = pick(rng, ["", "\ud800", f"{key}s", str(key)[:-1], str(key).upper(), "x" * 300])
        holder[renamed] = holder.pop(key) if rng.random() < 0.5 else copy.deepcopy(holder[key])
    else:
        holder.insert(0, strange_value(rng, holder[key]))
    return value


def _places(value):
    """Everything that stands somewhere in a JSON value, as the list or object that holds it and the key."""
    if isinstance(value, dict):
        for key in value:
            yield value, key
            yield from _places(value[key])
    elif isinstance(value, list):
        for key in range(len(value)):
            yield value, key
            yield from _places(value[key])


def to_json(rng, value):
    """Text of a JSON value, sometimes not quite JSON."""
    text = json.dumps(value, separators=(",", ":"))
    if rng.random() < 0.06:
        at = int(rng.integers(len(text) + 1))
        text = pick(
            rng,
            [
                text[:at],
                text + "}",
                text[:at] + ",," + text[at:],
                "{" + text,
                text.replace(":", ":-", 1),
                text.replace("{", '{"dim":1,"dim":2,', 1),
                "[" * 100_000,
                text.replace("1", "1e999", 1),
            ],
        )
    return text


def mutated_bytes(rng, content):
    """A copy of some bytes with one to four random changes."""
    content = bytearray(content)
    for _ in range(int(rng.integers(1, 5))):
        size = len(content)
        at = int(rng.integers(size + 1))
        # Most of what can be wrong stands at the beginning.
        if rng.random() < 0.3:
            at = min(at, int(rng.integers(64)))
        n = int(rng.integers(1, 1 + pick(rng, [1, 2, 8, 64])))
        how = int(rng.integers(10))
        if how == 0 and at < size:
            content[at] ^= 1 << int(rng.integers(8))
        elif how == 1 and at < size:
            content[at] = pick(rng, [0, 1, 0x7F, 0x80, 0xFF, 0x22, 0x2C, 0x0A, 0x0D, 0x5C, 0x7B])
        elif how == 2:
            content[at : at + n] = rng.bytes(n)
        elif how == 3:
            content[at : at + n] = bytes(n)
        elif how == 4:
            del content[at : at + n]
        elif how == 5:
            content[at:at] = rng.bytes(n)
        elif how == 6:
            content[at:at] = content[at : at + n]
        elif how == 7 and rng.random() < 0.3:
            del content[at:]
        elif how == 8 and rng.random() < 0.3:
            content += pick(rng, [b"\0", b"\n", b"\xff" * 9, rng.bytes(n), bytes(content)])
        else:
            other = int(rng.integers(size + 1))
            content[at : at + n], content[other : other + n] = (
                content[other : other + n],
                content[at : at + n],
            )
    return bytes(content)


def mutated_array(rng, array):
    """A copy of an array with elements, length or type changed; often of the same size as before."""
    array = array.copy()
    how = int(rng.integers(10))
    if how < 5 and array.size:
        flat = array.reshape(-1)
        for _ in range(int(rng.integers(1, 4))):
            flat[int(rng.integers(flat.size))] = extreme_of(rng, array.dtype)
    elif how == 5 and array.size:
        array = rng.permutation(array.reshape(-1))
    elif how == 6:
        array = array.reshape(-1)[: int(rng.integers(array.size + 1))]
    elif how == 7:
        array = np.concatenate([array.reshape(-1), array.reshape(-1)[: int(rng.integers(array.size + 1))]])
    elif how == 8:
        kind = pick(rng, ["f8", "f4", "f2", "i8", "i4", "i1", "u4", "u2", "u1"])
        array = array.view(np.uint8).reshape(-1)
        array = array[: array.size - array.size % np.dtype(kind).itemsize].view(kind)
    else:
        with np.errstate(all="ignore"):
            array = array.astype(pick(rng, ["f8", "f4", "f2", "i8", "i4", "u4", "u2", "u1"]))
    return array


def extreme_of(rng, dtype):
    """A number of a type: extreme, small, or any."""
    if dtype.kind == "f":
        return pick(
            rng,
            [
                np.nan,
                np.inf,
                -np.inf,
                0.0,
                -0.0,
                np.finfo(dtype).max,
                -np.finfo(dtype).max,
                np.finfo(dtype).tiny,
                1e-7,
                -1.0,
                3.0,
            ],
        )
    if dtype.kind in "iu":
        limits = np.iinfo(dtype)
        return pick(
            rng, [limits.min, limits.max, limits.max - 1, limits.max // 2, 0, 1, 2, int(rng.integers(0, 100))]
        )
    return np.zeros((), dtype)[()]


def _like(rng, array):
    """A value for an array that often is as good as those in it."""
    if rng.random() < 0.6:
        value = array.reshape(-1)[int(rng.integers(array.size))]
        if rng.random() < 0.5:
            return value
        step = pick(rng, [-1, 1, 3])
        if array.dtype.kind == "f":
            return value * step
        return np.array((int(value) + step) % (1 << 64), np.uint64).astype(array.dtype)
    return extreme_of(rng, array.dtype)


CODES = {
    "f8": "F64",
    "f4": "F32",
    "f2": "F16",
    "i8": "I64",
    "i4": "I32",
    "i1": "I8",
    "u4": "U32",
    "u2": "U16",
    "u1": "U8",
}
_TYPES = {code: kind for kind, code in CODES.items()}


class Container:
    """A file in the safetensors layout, taken apart without the library, to be put together wrongly."""

    def __init__(self, content):
        length = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + length])
        self.metadata = header.pop("__metadata__")
        data = content[8 + length :]
        self.tensors = {}
        for name, entry in header.items():
            begin, end = entry["data_offsets"]
            array = np.frombuffer(data[begin:end], f"<{_TYPES[entry['dtype']]}")
            self.tensors[name] = array.reshape(entry["shape"])

    def mutate(self, rng):
        """Change one thing of the metadata or of the tensors."""
        names = list(self.tensors)
        how = rng.random()
        if how < 0.3:
            self._mutate_metadata(rng)
        elif how < 0.7 and names:
            name = pick(rng, names)
            array = self.tensors[name].copy()
            if array.size:
                array.reshape(-1)[int(rng.integers(array.size))] = _like(rng, array)
            self.tensors[name] = array
        elif how < 0.8 and names:
            name = pick(rng, names)
            self.tensors[name] = mutated_array(rng, self.tensors[name])
        elif how < 0.88 and names:
            one, other = pick(rng, names), pick(rng, names)
            self.tensors[one], self.tensors[other] = self.tensors[other], self.tensors[one]
        elif how < 0.93 and names:
            self.tensors.pop(pick(rng, names))
        elif names:
            more = [
                *names,
                "items.scales",
                "users.lengths",
                "item_bias",
                "user_bias",
                "seen.gaps",
                "x",
                "popularity.rest",
                "item_ids.numbers",
                "item_ids.text",
                "\ud800",
                "",
            ]
            self.tensors[pick(rng, more)] = mutated_array(rng, self.tensors[pick(rng, names)])

    def _mutate_metadata(self, rng):
        key = pick(rng, list(self.metadata))
        text = self.metadata[key]
        objects = [name for name, value in self.metadata.items() if str(value).startswith("{")]
        if objects and rng.random() < 0.6:
            key = pick(rng, objects)
            text = self.metadata[key]
        if isinstance(text, str) and text.startswith("{") and rng.random() < 0.9:
            try:
                value = json.loads(text)
            except (ValueError, RecursionError):
                value = {}
            for _ in range(int(rng.integers(1, 4))):
                value = mutated_json(rng, value)
            self.metadata[key] = to_json(rng, value)
        elif rng.random() < 0.6:
            number = pick(
                rng, [*EXTREME_INTEGERS, *range(20), 0.5, 1e30, "1e5", "0x1", "\uff11", " 1", "1_0", "inf"]
            )
            words = ["range", "int", "str", "sum", "ridge", "ratings", "float32", "float16", "int8", ""]
            self.metadata[key] = str(number) if rng.random() < 0.6 else pick(rng, words)
        else:
            self.metadata = mutated_json(rng, self.metadata)
            if not isinstance(self.metadata, dict) or not self.metadata:
                self.metadata = {"format": "srec"}

    def pack(self, rng=None):
        """The bytes; with `rng`, of a header in which something is wrong."""
        header, blobs, end = {"__metadata__": self.metadata}, [], 0
        for name, array in sorted(self.tensors.items(), key=lambda pair: -pair[1].dtype.itemsize):
            begin, end = end, end + array.nbytes
            code = CODES[array.dtype.str[1:]]
            header[name] = {"dtype": code, "shape": list(array.shape), "data_offsets": [begin, end]}
            blobs.append(array.tobytes())
        if rng is not None:
            for _ in range(int(rng.integers(1, 3))):
                header = mutated_json(rng, header)
        text = (json.dumps(header, separators=(",", ":")) if rng is None else to_json(rng, header)).encode()
        text += b" " * (-(8 + len(text)) % 64)
        length = len(text)
        if rng is not None and rng.random() < 0.1:
            length = pick(rng, [*EXTREME_INTEGERS, length - 1, length + 1, length + end, 7]) % (1 << 64)
        return length.to_bytes(8, "little") + text + b"".join(blobs)


def mutated_container(rng, content):
    """A mutated file in the safetensors layout: of its bytes, its header, its metadata or its tensors."""
    how = rng.random()
    if how < 0.15:
        return mutated_bytes(rng, content)
    if how < 0.25:
        content = bytearray(content)
        content[-1 - int(rng.integers(len(content) // 2))] = int(rng.integers(256))
        return bytes(content)
    container = Container(content)
    if how < 0.4:
        return container.pack(rng)
    for _ in range(pick(rng, [1, 1, 1, 1, 2, 3])):
        container.mutate(rng)
    packed = container.pack()
    return mutated_bytes(rng, packed) if how > 0.97 else packed
