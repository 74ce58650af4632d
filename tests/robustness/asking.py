"""Everything that a model, an estimator or the command line can be asked, on files that may be damaged."""

from __future__ import annotations

import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from io import StringIO

import numpy as np
from cases import Fault, refused
from click.testing import CliRunner
from mutating import pick

_STRANGERS = [0, 7, "ann", "é", 2**63, -1, 10**30, "\ud800", "", None, 1.5, True]


@contextmanager
def quiet():
    """Turn NumPy's warnings into errors: a number that overflowed is a silent wrong answer."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.filterwarnings("default", category=DeprecationWarning)
        warnings.filterwarnings("default", category=PendingDeprecationWarning)
        yield


def ask_recommender(rng, recommender, folder, share=1.0):
    """Ask a recommender for everything, in random order; return how many questions it answered."""
    answered = 0
    questions = _questions(rng, recommender, folder)
    for at in rng.permutation(len(questions)).tolist():
        if rng.random() < share:
            with quiet():
                answered += refused(questions[at]) is None
    return answered


def _questions(rng, one, folder):
    n_users, n_items = len(one.user_ids), len(one.item_ids)

    def user():
        return (
            pick(rng, _STRANGERS) if rng.random() < 0.05 or not n_users else one.user_ids[_row(rng, n_users)]
        )

    def item():
        return one.item_ids[_row(rng, n_items)]

    def items(n=3):
        return [item() for _ in range(int(rng.integers(n + 1)))] if n_items else []

    def told():
        chosen = items()
        one.update(user(), chosen, pick(rng, [None, [1.0] * len(chosen), [1e30] * len(chosen)]))
        sound(one.recommend(user(), k=2))

    def kept():
        one.update(user(), items())
        one.save_state(folder / "kept.state")
        one.load_state(folder / "kept.state")

    def weighted():
        history = items()
        weights = [pick(rng, [1, 0, 3.5, 1e-30, 1e6])] * len(history)
        sound(one.recommend(history=history, weights=weights))

    return [
        lambda: sound(one.recommend(user(), k=int(rng.integers(1, 20)))),
        lambda: [sound(answer) for answer in one.recommend([user(), user()], k=3, filter_seen=False)],
        lambda: sound(one.recommend(history=items(), k=3)),
        lambda: sound(one.recommend(history=[], k=3)),
        lambda: sound(one.recommend(history=items(), exclude=items(), candidates=items(8), k=3)),
        weighted,
        lambda: finite(one.score(items(), user=user())),
        lambda: finite(one.score(items(), history=items())),
        lambda: finite(one.predict([user(), user()], [item(), item()])),
        lambda: sound(one.similar_items(item(), 3)),
        lambda: [sound(answer) for answer in one.similar_items([item(), item()])],
        lambda: sound(one.similar_users(user(), 3)),
        lambda: finite(one.user_vectors(np.arange(n_users))),
        lambda: one.data.check(),
        lambda: (
            one.user_ids.ids(),
            one.item_ids.ids(),
            one.item_ids.closest("1"),
            one.user_ids.closest("é"),
        ),
        told,
        kept,
        lambda: repr(one.data) and one.data.density,
    ]


def ask_estimator(rng, load, folder):
    """Load a file as an estimator and use it; return whether it was accepted."""
    from sklearn.base import clone

    loaded = []
    if refused(lambda: loaded.append(load())) is not None:
        return False
    model = loaded[0]
    ask_recommender(rng, model.recommender, folder, share=0.3)

    def everybody():
        for block in model.recommend_all(3):
            finite(block.scores)

    def saved():
        model.save(folder / "saved.srec", pick(rng, ["float32", "float16", "int8"]))
        load_again(folder / "saved.srec")

    def load_again(path):
        from sparserec_np import load

        load(path).get_params()

    questions = [
        everybody,
        saved,
        lambda: (model.density_, model.nnz_, model.width_, repr(model)),
        lambda: clone(model).check_settings(),
        lambda: sound(model.recommend_from_history(model.recommender.item_ids.ids()[:2], 3)),
        lambda: finite(
            model.predict(model.recommender.user_ids.ids()[:2], model.recommender.item_ids.ids()[:2])
        ),
    ]
    for question in questions:
        with quiet():
            refused(question)
    return True


def command(*arguments):
    """Run the command line within this process; anything but a sensible end of it is a fault."""
    from sparserec_np.cli import main

    out = StringIO()
    with warnings.catch_warnings(), redirect_stdout(out), redirect_stderr(out):
        warnings.simplefilter("ignore")
        result = CliRunner().invoke(main, [str(argument) for argument in arguments])
    said = result.output + out.getvalue()
    shown = f"sparserec-np {' '.join(map(str, arguments))}\n{said[-1500:]}"
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise Fault(shown) from result.exception
    if result.exit_code not in (0, 1, 2) or "Traceback" in said or "not enough memory" in said:
        raise Fault(f"exit code {result.exit_code}: {shown}")
    if result.exit_code == 1 and "Error: " not in said:
        raise Fault(f"exit code 1 without an error: {shown}")
    return result.exit_code


def sound(answer):
    """Check a list of ids with scores."""
    if len(answer.ids) != len(answer.scores):
        raise Fault(f"{len(answer.ids)} ids and {len(answer.scores)} scores")
    if len(set(map(str, answer.ids))) != len(answer.ids):
        raise Fault(f"an id twice among {answer.ids}")
    finite(answer.scores)


def finite(values):
    """Check that numbers are finite."""
    if not np.isfinite(values).all():
        raise Fault(f"a number that is not finite: {values}")


def _row(rng, n):
    return int(rng.integers(n))
