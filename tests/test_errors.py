import copy
import pickle
import subprocess
import sys

import pytest

from sparserec_np import errors

EVERY_ERROR = [
    (errors.SparserecError, ("what was wrong",)),
    (errors.DataError, ("what was wrong",)),
    (errors.SettingError, ("what was wrong",)),
    (errors.NotFittedError, ("what was wrong",)),
    (errors.ModelFormatError, ("what was wrong",)),
    (errors.GradientError, ("what was wrong",)),
    (errors.UnknownIdError, ("user", "an", ["ann", "dan"])),
    (errors.MissingPackageError, ("writing Parquet", "sparserec-np[arrow]")),
]


def test_no_error_is_forgotten_here():
    declared = {
        value
        for value in vars(errors).values()
        if isinstance(value, type) and issubclass(value, errors.SparserecError)
    }
    assert declared == {cls for cls, _ in EVERY_ERROR}


@pytest.mark.parametrize(("cls", "arguments"), EVERY_ERROR, ids=[cls.__name__ for cls, _ in EVERY_ERROR])
@pytest.mark.parametrize("again", [lambda e: pickle.loads(pickle.dumps(e)), copy.copy, copy.deepcopy])
def test_an_error_comes_whole_out_of_a_worker(cls, arguments, again):
    error = cls(*arguments)
    other = again(error)
    assert isinstance(other, cls)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)


def test_not_fitted_is_what_scikit_learn_calls_it():
    from sklearn.exceptions import NotFittedError

    with pytest.raises(NotFittedError, match="not fitted"):
        raise errors.NotFittedError("not fitted")
    for base in (errors.NotFittedError, errors.SparserecError, ValueError, AttributeError):
        assert isinstance(errors.NotFittedError("not fitted"), base)
    assert repr(errors.NotFittedError("not fitted")) == "NotFittedError('not fitted')"


def test_not_fitted_does_not_import_scikit_learn():
    program = """
import pickle, sys
from sparserec_np.errors import NotFittedError
plain = NotFittedError("not fitted")
assert type(plain) is NotFittedError
assert not any(name.startswith("sklearn") for name in sys.modules)
pickled = pickle.dumps(plain)
import sklearn.exceptions
both = pickle.loads(pickled)
assert isinstance(both, sklearn.exceptions.NotFittedError), type(both).__mro__
assert isinstance(both, NotFittedError) and both.args == ("not fitted",)
sys.stdout.write("fine")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert done.stdout == "fine", done.stderr
