"""A random order of numbers as a function of the place: nothing is held, however many there are.

A Feistel network over just enough bits is a permutation whatever its rounds compute (Luby & Rackoff 1988);
numbers beyond the last one are sent through it again until they are not (cycle walking, Black & Rogaway
2002).
"""

from __future__ import annotations

import numpy as np

from sparserec_np.compilation import njit

_u = np.uint64
_1 = np.uint64(1)
_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_MIX_1 = np.uint64(0xBF58476D1CE4E5B9)
_MIX_2 = np.uint64(0x94D049BB133111EB)
_ROUNDS = 6  # even, so that both halves have their widths again


@njit(cache=True, nogil=True)
def permute(key, n, start, out):
    """Write what stands from place ``start`` on, in the random order of 0 … n - 1 that ``key`` names."""
    n, key = _u(n), _u(key)
    bits = _u(2)  # for either half to have one
    while n > _1 << bits:
        bits += _1
    wide = bits - (bits >> _1)
    narrow = bits - wide
    for i in range(_u(len(out))):
        number = _u(start) + i
        while True:
            left_width, right_width = narrow, wide
            left, right = number >> wide, number & ((_1 << wide) - _1)
            state = key
            for _ in range(_ROUNDS):
                state += _GAMMA
                mixed = (right + state) * _MIX_1
                mixed = (mixed ^ (mixed >> _u(32))) * _MIX_2
                left ^= mixed >> (_u(64) - left_width)
                left, right = right, left
                left_width, right_width = right_width, left_width
            number = (left << wide) | right
            if number < n:
                break
        out[i] = number
