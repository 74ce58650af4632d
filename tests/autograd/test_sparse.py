import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from random_matrices import random_sparse
from tables_by_hand import dense, dense_gradient, mask, random_table

from sparserec_np import autograd as ag
from sparserec_np.exploration import draw_probes
from sparserec_np.kernels.workers import Workers

DENSITIES = [0.0, 0.1, 0.5, 1.0]


def batch(n_left, n_right, size, m, seed=0):
    rng = np.random.default_rng(seed)
    return rng.integers(n_left, size=size), rng.integers(n_right, size=(size, m))


def dense_dot(A, B, rows, partners):
    return np.einsum("ed,ejd->ej", A[rows], B[partners])


def dense_dot_gradients(A, B, rows, partners, g):
    """Full-width gradients of ``Σ g · dot`` by both tables, as if they were dense."""
    by_a, by_b = np.zeros_like(A), np.zeros_like(B)
    np.add.at(by_a, rows, np.einsum("ej,ejd->ed", g, B[partners]))
    np.add.at(by_b, partners, g[:, :, None] * A[rows][:, None, :])
    return by_a, by_b


@pytest.mark.parametrize("m", [0, 1, 5])
@pytest.mark.parametrize("density", DENSITIES)
def test_dot_is_the_masked_dense_product_forward_and_backward(density, m):
    A, B = random_table(7, 6, density, 1), random_table(9, 6, density, 2)
    rows, partners = batch(7, 9, 20, m)
    g = np.random.default_rng(3).standard_normal((20, m))

    tape = ag.Tape()
    a, b = tape.variable(ag.Parameter(A)), tape.variable(ag.Parameter(B))
    scores = ag.dot(a, b, rows, partners)
    np.testing.assert_allclose(scores.value, dense_dot(dense(A), dense(B), rows, partners), atol=1e-14)

    gradients = tape.backward(ag.total(scores * g), [a, b])
    expected = dense_dot_gradients(dense(A), dense(B), rows, partners, g)
    for table, gradient, full in zip((A, B), gradients, expected, strict=True):
        np.testing.assert_allclose(dense_gradient(gradient, table), full * mask(table), atol=1e-13)
    assert gradients[0].counts.sum() == 20
    assert gradients[1].counts.sum() == 20 * m


@pytest.mark.parametrize("density", DENSITIES)
def test_lookup_is_the_masked_dense_rows_forward_and_backward(density):
    table = random_table(7, 6, density, 1)
    rows = np.array([6, 0, 0, 3, 6, 6])
    g = np.random.default_rng(3).standard_normal((6, 6))
    tape = ag.Tape()
    p = tape.variable(ag.Parameter(table))
    out = ag.lookup(p, rows)
    np.testing.assert_array_equal(out.value, dense(table)[rows])
    (gradient,) = tape.backward(ag.total(out * g), [p])
    full = np.zeros((7, 6))
    np.add.at(full, rows, g)
    np.testing.assert_allclose(dense_gradient(gradient, table), full * mask(table), atol=1e-14)
    np.testing.assert_array_equal(gradient.rows, [0, 3, 6])
    np.testing.assert_array_equal(gradient.counts, [2, 1, 3])


@pytest.mark.parametrize("density", DENSITIES)
def test_square_lengths_are_those_of_the_masked_dense_rows(density):
    table = random_table(7, 6, density, 1)
    rows = np.array([6, 0, 0, 3, 6, 6])
    g = np.random.default_rng(3).standard_normal(6)
    parameter = probed(table, 4)
    tape = ag.Tape()
    p = tape.variable(parameter)
    out = ag.square_lengths(p, rows)
    np.testing.assert_allclose(out.value, (dense(table)[rows] ** 2).sum(axis=1), atol=1e-14)
    (gradient,) = tape.backward(ag.total(out * g), [p])
    full = np.zeros((7, 6))
    np.add.at(full, rows, 2 * g[:, None] * dense(table)[rows])
    np.testing.assert_allclose(dense_gradient(gradient, table), full, atol=1e-14)
    found = accumulated(parameter)
    probes = ~np.isnan(found[:, 0])
    np.testing.assert_allclose(found[probes], full[probes], atol=1e-14)
    ag.check_gradients(ag.square_lengths, table, rows)


def test_gradients_have_the_tables_own_pattern():
    table = random_table(8, 5, 0.4)
    rows = np.array([1, 4, 4])
    tape = ag.Tape()
    p = tape.variable(ag.Parameter(table))
    (gradient,) = tape.backward(ag.total(ag.lookup(p, rows)), [p])
    found, own = gradient.to_scipy(table), table.to_scipy()
    for row in (1, 4):
        np.testing.assert_array_equal(found[[row]].indices, own[[row]].indices)
    assert found.nnz == own[[1]].nnz + own[[4]].nnz


def test_finite_differences_of_dot_and_lookup():
    A, B = random_table(5, 6, 0.4, 1), random_table(7, 6, 0.4, 2)
    rows, partners = batch(5, 7, 12, 3)
    ag.check_gradients(ag.dot, A, B, rows, partners)
    ag.check_gradients(ag.lookup, A, rows)
    ag.check_gradients(
        lambda a, b: (
            ag.logsumexp(ag.dot(a, b, rows, partners), axis=1) + ag.total(ag.lookup(a, rows), axis=1)
        ),
        A,
        B,
    )


@given(
    n_left=st.integers(1, 6),
    n_right=st.integers(1, 6),
    dim=st.integers(1, 7),
    density=st.floats(0, 1),
    size=st.integers(0, 15),
    m=st.integers(0, 4),
    seed=st.integers(0, 2**32 - 1),
)
def test_dot_whatever_the_shapes(n_left, n_right, dim, density, size, m, seed):
    A, B = random_table(n_left, dim, density, seed), random_table(n_right, dim, density, seed + 1)
    rows, partners = batch(n_left, n_right, size, m, seed)
    g = np.random.default_rng(seed).standard_normal((size, m))
    tape = ag.Tape()
    a, b = tape.variable(ag.Parameter(A)), tape.variable(ag.Parameter(B))
    gradients = tape.backward(ag.total(ag.dot(a, b, rows, partners) * g), [a, b])
    expected = dense_dot_gradients(dense(A), dense(B), rows, partners, g)
    for table, gradient, full in zip((A, B), gradients, expected, strict=True):
        np.testing.assert_allclose(dense_gradient(gradient, table), full * mask(table), atol=1e-12)
        assert (np.diff(gradient.rows) > 0).all()


def probed(table, n, seed=0):
    parameter = ag.Parameter(table)
    draws = np.random.default_rng(seed).standard_exponential(table.n_rows)
    draw_probes(parameter, np.ones(table.n_rows), n, draws)
    return parameter


def accumulated(parameter):
    """The accumulators as rows of a dense array, NaN where a row has none."""
    out = np.full(parameter.table.shape, np.nan)
    rows = np.flatnonzero(parameter.slots >= 0)
    out[rows] = parameter.accumulators[parameter.slots[rows]]
    return out


def test_probe_rows_accumulate_the_dense_gradient_over_batches():
    A, B = random_table(7, 6, 0.3, 1), random_table(9, 6, 0.3, 2)
    p, q = probed(A, 3), probed(B, 4)
    sums = [np.zeros(A.shape), np.zeros(B.shape)]
    for seed in range(3):
        rows, partners = batch(7, 9, 20, 3, seed)
        g = np.random.default_rng(seed).standard_normal((20, 3))
        tape = ag.Tape()
        a, b = tape.variable(p), tape.variable(q)
        tape.backward(ag.total(ag.dot(a, b, rows, partners) * g), [a, b])
        for total, full in zip(sums, dense_dot_gradients(dense(A), dense(B), rows, partners, g), strict=True):
            total += full
    for parameter, total in zip((p, q), sums, strict=True):
        found = accumulated(parameter)
        probes = ~np.isnan(found[:, 0])
        np.testing.assert_allclose(found[probes], total[probes], atol=1e-12)
    assert p.accumulators.shape == (3, 6)
    assert q.accumulators.shape == (4, 6)


def test_lookup_accumulates_too():
    parameter = probed(random_table(4, 3, 0.5), 4)
    tape = ag.Tape()
    p = tape.variable(parameter)
    tape.backward(ag.total(ag.lookup(p, np.array([0, 2, 2]))), [p])
    np.testing.assert_array_equal(accumulated(parameter), np.outer([1, 0, 2, 0], [1, 1, 1]))


def test_a_table_used_twice_gets_the_sum():
    A, B = random_table(5, 6, 0.5, 1), random_table(7, 6, 0.5, 2)
    rows, partners = batch(5, 7, 6, 2)
    p = probed(A, 5)
    tape = ag.Tape()
    a, b = tape.variable(p), tape.variable(ag.Parameter(B))
    first = ag.dot(a, b, rows, partners)
    second = ag.lookup(a, np.array([0, 4]))
    (gradient,) = tape.backward(ag.total(first) + ag.total(ag.square(second)), [a])

    full, _ = dense_dot_gradients(dense(A), dense(B), rows, partners, np.ones((6, 2)))
    np.add.at(full, [0, 4], 2 * dense(A)[[0, 4]])
    np.testing.assert_allclose(dense_gradient(gradient, A), full * mask(A), atol=1e-13)
    np.testing.assert_allclose(accumulated(p), full, atol=1e-13)
    expected = np.bincount(np.concatenate([rows, [0, 4]]), minlength=5)
    np.testing.assert_array_equal(gradient.counts, expected[gradient.rows])


def test_a_table_may_meet_itself():
    A = random_table(6, 5, 0.5)
    rows, partners = batch(6, 6, 8, 2)
    tape = ag.Tape()
    a = tape.variable(ag.Parameter(A))
    (gradient,) = tape.backward(ag.total(ag.dot(a, a, rows, partners)), [a])
    by_left, by_right = dense_dot_gradients(dense(A), dense(A), rows, partners, np.ones((8, 2)))
    np.testing.assert_allclose(dense_gradient(gradient, A), (by_left + by_right) * mask(A), atol=1e-13)


@settings(max_examples=5)
@given(seed=st.integers(0, 2**32 - 1))
def test_the_number_of_threads_does_not_change_a_bit(seed):
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            A = random_table(60, 16, 0.3, seed, np.float32)
            B = random_table(80, 16, 0.3, seed + 1, np.float32)
            # More than 3 · 256 examples, so that every thread gets a part.
            rows, partners = batch(60, 80, 1500, 4, seed)
            g = np.random.default_rng(seed).standard_normal((1500, 4)).astype(np.float32)
            p, q = probed(A, 20), probed(B, 20)
            p.workers = q.workers = workers
            tape = ag.Tape()
            a, b = tape.variable(p), tape.variable(q)
            scores = ag.dot(a, b, rows, partners)
            rows_of_a = ag.lookup(a, rows)
            loss = ag.total(scores * g) + ag.total(ag.square(rows_of_a))
            by_a, by_b = tape.backward(loss, [a, b])
            offsets = np.append(0, np.cumsum(by_b.counts))
            assert len(q.cuts(offsets)) == n_jobs + 1
            results.append(
                [scores.value, rows_of_a.value, by_a.values, by_b.values, p.accumulators, q.accumulators]
            )
    for other in results[1:]:
        for one, two in zip(results[0], other, strict=True):
            assert one.tobytes() == two.tobytes()


def test_cuts_share_out_the_occurrences_evenly():
    with Workers(3) as workers:
        parameter = ag.Parameter(random_table(1000, 2, 0.5), workers)
        # One row has most of the occurrences.
        offsets = np.append(0, np.cumsum([1] * 500 + [2000] + [1] * 499))
        cuts = parameter.cuts(offsets)
    assert cuts[0] == 0
    assert cuts[-1] == 1000
    assert cuts == sorted(cuts)
    assert ag.Parameter(random_table(10, 2, 0.5), workers).cuts(np.arange(11)) == [0, 10]


def random_weights(n_out, n_rows, seed=0):
    rng = np.random.default_rng(seed)
    return random_sparse((n_out, n_rows), density=0.4, format="csr", rng=rng, dtype=np.float64)


@pytest.mark.parametrize("density", DENSITIES)
def test_propagate_is_a_masked_dense_product(density):
    table, weights = random_table(7, 6, density), random_weights(5, 7)
    g = np.random.default_rng(3).standard_normal((5, 6))
    parameter = probed(table, 4)
    tape = ag.Tape()
    p = tape.variable(parameter)
    out = ag.propagate(p, weights)
    np.testing.assert_allclose(out.value, weights @ dense(table), atol=1e-14)
    (gradient,) = tape.backward(ag.total(out * g), [p])
    full = weights.T @ g
    np.testing.assert_allclose(dense_gradient(gradient, table), full * mask(table), atol=1e-13)
    found = accumulated(parameter)
    probes = ~np.isnan(found[:, 0])
    np.testing.assert_allclose(found[probes], full[probes], atol=1e-13)
    ag.check_gradients(ag.propagate, table, weights)


@pytest.mark.parametrize("m", [0, 1, 5])
@pytest.mark.parametrize("density", DENSITIES)
def test_match_is_the_masked_dense_product_forward_and_backward(density, m):
    table = random_table(9, 6, density)
    owners, rows = batch(4, 9, 20, m)
    rng = np.random.default_rng(3)
    D, g = rng.standard_normal((4, 6)), rng.standard_normal((20, m))
    parameter = probed(table, 4)
    tape = ag.Tape()
    d, p = tape.variable(D), tape.variable(parameter)
    scores = ag.match(d, p, owners, rows)
    np.testing.assert_allclose(scores.value, dense_dot(D, dense(table), owners, rows), atol=1e-14)
    by_dense, by_table = tape.backward(ag.total(scores * g), [d, p])
    full_d, full = dense_dot_gradients(D, dense(table), owners, rows, g)
    np.testing.assert_allclose(by_dense, full_d, atol=1e-13)
    np.testing.assert_allclose(dense_gradient(by_table, table), full * mask(table), atol=1e-13)
    found = accumulated(parameter)
    probes = ~np.isnan(found[:, 0])
    np.testing.assert_allclose(found[probes], full[probes], atol=1e-13)
    ag.check_gradients(ag.match, D, table, owners, rows)


def test_propagate_and_match_give_the_same_bits_for_any_number_of_threads():
    results = []
    for n_jobs in (1, 2, 3):
        with Workers(n_jobs) as workers:
            table = random_table(900, 8, 0.3, 0, np.float32)
            parameter = ag.Parameter(table, workers)
            weights = random_weights(900, 900).astype(np.float32)
            owners, rows = batch(900, 900, 1500, 4)
            tape = ag.Tape()
            p = tape.variable(parameter)
            d = ag.propagate(p, weights)
            loss = ag.total(ag.square(ag.match(d, p, owners, rows)))
            by_table, by_dense = tape.backward(loss, [p, d])
            results.append((loss.value.tobytes(), by_table.values.tobytes(), by_dense.tobytes()))
    assert results[0] == results[1] == results[2]


def test_propagate_and_match_refuse_what_does_not_fit():
    parameter = ag.Parameter(random_table(5, 6, 0.5))
    with pytest.raises(ValueError, match="a column for each of the 5 rows"):
        ag.propagate(parameter, random_weights(3, 4))
    with pytest.raises(ValueError, match="dense rows of width 6"):
        ag.match(np.ones((2, 5)), parameter, ROWS, PARTNERS)
    with pytest.raises(ValueError, match="one of the 1 dense rows"):
        ag.match(np.ones((1, 6)), parameter, ROWS, PARTNERS)
    with pytest.raises(IndexError, match="the table has 5 rows"):
        ag.match(np.ones((2, 6)), parameter, ROWS, PARTNERS + 4)


def losses_of_users():
    """Losses that the library does not have, as someone would write them."""

    def hinge(scores):
        return ag.total(ag.maximum(1 - scores[:, :1] + scores[:, 1:], 0))

    def cosine(left, right):
        norms = ag.sqrt(ag.total(ag.square(left), axis=1) * ag.total(ag.square(right), axis=1))
        return ag.total(1 - ag.total(left * right, axis=1) / norms)

    return hinge, cosine


def test_a_loss_of_ones_own_takes_a_few_lines():
    hinge, cosine = losses_of_users()
    A, B = random_table(5, 6, 0.7, 1), random_table(7, 6, 0.7, 2)
    rows, partners = batch(5, 7, 12, 3)
    ag.check_gradients(lambda a, b: hinge(ag.dot(a, b, rows, partners)), A, B)
    ag.check_gradients(lambda a, b: cosine(ag.lookup(a, rows), ag.lookup(b, partners[:, 0])), A, B)


ROWS, PARTNERS = np.array([0, 1]), np.array([[0], [1]])


@pytest.mark.parametrize(
    ("rows", "partners", "error", "message"),
    [
        (np.array([0, 5]), PARTNERS, IndexError, r"rows holds row numbers 0 … 5, but the table has 5 rows"),
        (np.array([-1, 0]), PARTNERS, IndexError, r"rows holds row numbers -1 … 0"),
        (ROWS, np.array([[0], [7]]), IndexError, r"partners holds row numbers 0 … 7.*7 rows"),
        (ROWS, np.array([0, 1]), ValueError, r"partners must have 2 axes, found shape \(2,\)"),
        (ROWS[:, None], PARTNERS, ValueError, r"rows must have 1 axes, found shape \(2, 1\)"),
        (
            np.array([0, 1, 2]),
            PARTNERS,
            ValueError,
            r"\(batch,\) and \(batch, m\), found \(3,\) and \(2, 1\)",
        ),
        (
            np.array([0.0, 1.0]),
            PARTNERS,
            TypeError,
            r"rows must be an array of integer row numbers, found float",
        ),
        ([0, 1], PARTNERS, TypeError, r"rows must be an array of integer row numbers, found list"),
    ],
)
def test_wrong_rows_are_refused_by_name(rows, partners, error, message):
    A, B = ag.Parameter(random_table(5, 6, 0.5)), ag.Parameter(random_table(7, 6, 0.5))
    with pytest.raises(error, match=message):
        ag.dot(A, B, rows, partners)


def test_lookup_refuses_wrong_rows_too():
    A = ag.Parameter(random_table(5, 6, 0.5))
    with pytest.raises(IndexError, match="the table has 5 rows"):
        ag.lookup(A, np.array([5]))
    with pytest.raises(ValueError, match="rows must have 1 axes"):
        ag.lookup(A, np.array([[1]]))


def test_tables_of_different_width_are_refused():
    with pytest.raises(ValueError, match="same width, found dim 6 and 4"):
        ag.dot(ag.Parameter(random_table(5, 6, 0.5)), ag.Parameter(random_table(7, 4, 0.5)), ROWS, PARTNERS)
