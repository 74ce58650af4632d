"""How much data there is, which some settings are left to."""

from __future__ import annotations

from sparserec_np.data import Interactions

# MovieLens 100K is well below the first limit, Gowalla well above; below both, MovieLens cut to 10
# interactions a user wants what Gowalla cut to 5 wants, and MovieLens cut to 20, with 15 an item, what the
# whole of it wants.
AMOUNTS = ("thin", "few", "many")
_MANY_INTERACTIONS = 200_000
_THIN_PER_ITEM = 12


def amount_of(data: Interactions) -> str:
    """Tell which of `AMOUNTS` some interactions are."""
    if data.n_interactions >= _MANY_INTERACTIONS:
        return "many"
    return "thin" if data.n_interactions < _THIN_PER_ITEM * data.n_items else "few"
