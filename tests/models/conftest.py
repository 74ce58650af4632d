import pytest

from sparserec_np.data import make_interactions


@pytest.fixture(scope="session")
def tastes():
    """Interactions with planted tastes, small enough to fit in a moment."""
    return make_interactions(120, 80, 2400, n_tastes=4, random_state=0)
