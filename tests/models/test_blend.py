"""Sums of parts: budgets, choices, answers that agree in every path, files and refits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from sklearn.base import clone

from sparserec_np import Recommender, SparseBlend, load
from sparserec_np.data import make_interactions
from sparserec_np.errors import ModelFormatError, SettingError
from sparserec_np.models import blend
from sparserec_np.models.blend import SUMS
from sparserec_np.models.selection import EXPONENT_MARGIN, EXPONENTS, MARGIN, Candidate, choose, empty_base
from sparserec_np.runtime.parts import Block, Parts

K = 7


@pytest.fixture(scope="module")
def interactions():
    return make_interactions(120, 90, 2400, random_state=0)


@pytest.fixture(scope="module", params=SUMS)
def model(request, interactions):
    return SparseBlend(dim=16, epochs=2, parts=request.param, random_state=0).fit(interactions)


def test_entries_of_all_parts_keep_the_budget(model, interactions):
    budget = round(0.1 * (interactions.n_users + interactions.n_items) * 16)
    assert model.nnz_ <= budget
    if model.chosen_ != "neighbours":
        assert model.nnz_ == budget
    assert model.chosen_ == model.parts
    model.items_.check()


def test_every_path_gives_the_same_bits(model, interactions, tmp_path):
    path = tmp_path / "model.srec"
    model.save(path)
    recommenders = [Recommender.load(path), Recommender.load(path, accelerate=True), load(path).recommender]
    together = {}
    for block in model.recommend_all(K):
        ends = np.cumsum(block.counts)
        for user, end, count in zip(block.users, ends, block.counts, strict=True):
            together[user] = block.items[end - count : end], block.scores[end - count : end]
    user_items = interactions.user_items
    for user in range(0, interactions.n_users, 5):
        expected = model.recommend(user, k=K)
        history = user_items.indices[user_items.indptr[user] : user_items.indptr[user + 1]]
        answers = [one.recommend(user, k=K) for one in recommenders]
        answers += [together[user], recommenders[0].recommend(history=history.tolist(), k=K)]
        for ids, scores in answers:
            np.testing.assert_array_equal(ids, expected.ids)
            np.testing.assert_array_equal(scores, expected.scores)
        np.testing.assert_allclose(
            model.predict([user] * 3, expected.ids[:3]), expected.scores[:3], rtol=1e-6
        )


def test_candidates_are_chosen_from_alike_in_batches(model):
    pool = list(range(0, 90, 3))
    blocks = list(model.recommend_all(4, candidates=pool))
    first = blocks[0]
    expected = model.recommend(first.users[0], k=4, candidates=pool)
    np.testing.assert_array_equal(first.items[: first.counts[0]], expected.ids)
    np.testing.assert_array_equal(first.scores[: first.counts[0]], expected.scores)


def test_lower_precision_keeps_most_answers(model, tmp_path):
    for precision in ("float16", "int8"):
        path = tmp_path / f"{precision}.srec"
        model.save(path, precision)
        small = Recommender.load(path)
        same = [
            len(np.intersect1d(small.recommend(user, k=K).ids, model.recommend(user, k=K).ids))
            for user in range(0, 120, 10)
        ]
        assert np.mean(same) > 0.8 * K


def test_what_is_told_changes_the_answers_of_a_new_person_too(model):
    recommender = Recommender(model.recommender.data)
    recommender.update(10_000, [3, 5])
    told = recommender.recommend(10_000, k=K)
    np.testing.assert_array_equal(told.ids, recommender.recommend(history=[3, 5], k=K).ids)


def test_similar_items_are_others(model):
    ids, scores = model.similar_items(3, k=5)
    assert len(ids) == 5 or model.chosen_ != "neighbours"
    assert 3 not in ids
    assert np.all(np.diff(scores) <= 0)


def test_auto_measures_every_sum_and_says_what_it_scored(interactions, tmp_path):
    model = SparseBlend(dim=16, epochs=2, random_state=0).fit(interactions)
    assert {one["parts"] for one in model.candidates_} == set(SUMS)
    scores = [one["ndcg@20"] for one in model.candidates_]
    assert scores == sorted(scores, reverse=True)
    assert model.validation_["ndcg@20"] == pytest.approx(
        next(one["ndcg@20"] for one in model.candidates_ if one["parts"] == model.chosen_), rel=0.05
    )
    model.save(tmp_path / "m.srec")
    again = load(tmp_path / "m.srec")
    assert (again.chosen_, again.parts_) == (model.chosen_, model.parts_)
    assert again.candidates_ == []  # they would take more bytes than a small model


def test_the_same_seed_gives_the_same_bits_for_any_number_of_threads(interactions):
    one, two = (
        SparseBlend(dim=16, epochs=2, random_state=3, n_jobs=n_jobs).fit(interactions) for n_jobs in (1, 2)
    )
    assert one.candidates_ == two.candidates_
    assert one.parts_ == two.parts_
    np.testing.assert_array_equal(one.items_.data, two.items_.data)
    np.testing.assert_array_equal(one.items_.indices, two.items_.indices)


def test_several_sums_are_chosen_from(interactions):
    model = SparseBlend(dim=16, parts="linear,linear+neighbours", random_state=0).fit(interactions)
    assert {one["parts"] for one in model.candidates_} == {"linear", "linear+neighbours"}
    assert model.n_epochs_ == 0


def test_without_a_hold_out_nothing_is_measured(interactions):
    model = SparseBlend(dim=16, epochs=1, early_stopping=0, random_state=0).fit(interactions)
    assert model.chosen_ == "table+neighbours"
    assert model.candidates_ == []
    assert model.parts_.neighbours is not None
    assert model.parts_.neighbours.weight > 0


def test_a_fitted_model_is_cloned_and_fitted_again(model, interactions):
    again = clone(model).fit(interactions)
    np.testing.assert_array_equal(again.items_.data, model.items_.data)


@pytest.mark.parametrize("parts", ["", "tables", "table+table", "neighbours+table", "table,", 5, None])
def test_parts_that_do_not_exist_are_refused_by_name(parts, interactions):
    with pytest.raises(SettingError, match="parts is"):
        SparseBlend(parts=parts).fit(interactions)


def test_a_model_without_interactions_has_no_neighbours(model):
    data = model.recommender.data
    if model.chosen_ == "neighbours":
        with pytest.raises(SettingError, match="neighbours alone"):
            data.without_neighbours()
        return
    alone = data.without_neighbours()
    assert alone.parts.neighbours is None
    assert alone.parts.blocks == data.parts.blocks
    alone.check()


def test_neighbours_without_interactions_are_refused(interactions, tmp_path):
    data = SparseBlend(dim=16, parts="neighbours").fit(interactions).recommender.data
    with pytest.raises(ModelFormatError, match="interactions are missing"):
        replace(data, seen=None, user_ids=data.user_ids.range(0, entity="user")).check()


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"blocks": 5},
        {"blocks": []},
        {"blocks": [5]},
        {"blocks": [{"encoder": "sum"}]},
        {"blocks": [{"encoder": "sum", "width": 3}]},
        {"blocks": [{"encoder": "sum", "width": True}]},
        {"blocks": [{"encoder": "parts", "width": 16}]},
        {"blocks": [{"encoder": "ratings", "width": 16}]},
        {"blocks": [{"encoder": "sum", "width": 16, "item_power": "x"}]},
        {"blocks": [{"encoder": "items", "width": 16, "item_power": 1.0}]},
        {"blocks": [{"encoder": "sum", "width": 16}], "more": 1},
        {"blocks": [{"encoder": "sum", "width": 16}], "neighbours": 1},
    ],
)
def test_parts_of_a_damaged_file_are_refused(settings):
    with pytest.raises(ModelFormatError, match="encoder_settings"):
        Parts.of("parts", settings, 16)


def test_parts_come_back():
    parts = Parts((Block("sum", 8, {"item_power": 0.4}), Block("items", 30)), EXPONENTS[1])
    assert Parts.of(*parts.encoder(), 38) == parts


def _candidate(base, ndcg, neighbours=None):
    return Candidate(replace(empty_base(3), name=base), neighbours, 1.0, ndcg, np.array([ndcg]))


def test_a_sum_by_cooccurrence_must_be_clearly_better():
    table, plain = _candidate("table", 0.10), _candidate("table", 0.101, EXPONENTS[0])
    slightly = _candidate("linear", 0.101 * (1 + 0.9 * MARGIN))
    clearly = _candidate("", 0.101 * (1 + 1.1 * MARGIN), EXPONENTS[2])
    assert choose([table, plain, slightly]) is plain
    assert choose([table, plain, slightly, clearly]) is clearly
    assert choose([slightly]) is slightly


def test_plain_exponents_are_taken_where_others_are_not_clearly_better():
    table = _candidate("table", 0.10)
    other = _candidate("table+linear", 0.12, EXPONENTS[1])
    near = _candidate("table+linear", 0.12 / (1 + 0.9 * EXPONENT_MARGIN), EXPONENTS[0])
    far = _candidate("table+linear", 0.12 / (1 + 1.1 * EXPONENT_MARGIN), EXPONENTS[0])
    of_others = _candidate("ials", 0.1199, EXPONENTS[0])
    assert choose([table, other, far, near]) is near
    assert choose([table, other, far]) is other
    assert choose([table, other]) is other
    assert choose([other, of_others]) is of_others  # a trained table alone, and as good


def test_among_few_users_a_difference_must_be_more_than_chance():
    rng = np.random.default_rng(0)
    of_table, noise = rng.random(40), rng.standard_normal(40)
    noise -= noise.mean()
    table = replace(_candidate("table", of_table.mean()), values=of_table)
    for spread, taken in ((0.1, True), (1.0, False)):
        values = of_table + 0.05 + spread * noise
        other = replace(_candidate("linear", values.mean()), values=values)
        assert (choose([table, other]) is other) == taken


def test_neighbours_alone_are_taken_only_when_they_are_asked_for(interactions, monkeypatch):
    def best_of(candidates):
        return max(candidates, key=lambda one: one.name == "neighbours")

    monkeypatch.setattr(blend, "choose", best_of)
    model = SparseBlend(dim=16, epochs=1, random_state=0).fit(interactions)
    assert model.chosen_ != "neighbours"
    assert "neighbours" in {one["parts"] for one in model.candidates_}
    model = SparseBlend(dim=16, parts="neighbours,linear", random_state=0).fit(interactions)
    assert model.chosen_ == "neighbours"
