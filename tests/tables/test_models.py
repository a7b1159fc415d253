"""A model with an encoder of tables: fitted by `fit`, copied, saved, and used for every x."""

import copy
import pickle
import subprocess
import sys

import numpy as np
import pytest

import mlpgrad as mg
from mlpgrad.tables import Codes, OneHot, QuantileBins, Robust, Standard, TableEncoder, TargetBins

MEMBERS = 3


def houses(rows=90, seed=0):
    rng = np.random.default_rng(seed)
    size, towns = rng.normal(80, 20, rows), np.array(["Bonn", "Ulm", "Trier"])
    town = rng.integers(0, 3, rows)
    gaps = [None if i % 9 == 0 else int(n) for i, n in enumerate(rng.integers(1, 6, rows))]
    table = {"size": size, "town": towns[town].tolist(), "rooms": gaps, "id": [*map(str, "x" * 0)]}
    table["id"] = [f"no {i}" for i in range(rows)]
    return table, 3000 * size + 20_000 * town + rng.normal(0, 5000, rows)


def model_for(encoder, table, *, size=None, loss=None, outputs=1, layers=(), **options):
    planned = copy.deepcopy(encoder).plan(table)
    return mg.Sequential(
        [*layers, mg.Dense(planned.width, 8), mg.Tanh(), mg.Dense(8, outputs)],
        loss=loss or mg.MeanSquaredError(),
        random_state=0,
        ensemble_size=size,
        encoder=planned,
        **({"target_scaling": "standard"} if loss is None else {}) | options,
    )


def fit(model, table, y, **options):
    options = {"optimizer": mg.Adam(0.02), "epochs": 20, "verbose": 0} | options
    return model.fit(table, y, **options)


def rows_of(table, rows):
    return {name: [values[i] for i in np.flatnonzero(rows)] for name, values in table.items()}


def test_a_table_goes_in_and_prices_come_out():
    pandas = pytest.importorskip("pandas")
    table, y = houses()
    frame = pandas.DataFrame(table)
    encoder = TableEncoder(QuantileBins(8))
    model = model_for(encoder, frame)
    fit(model, frame, y, epochs=60)
    assert model.evaluate(frame, y, metrics=[mg.R2()])["r2"] > 0.8
    assert model.feature_names_ == ("size", "town", "rooms")
    assert not encoder.planned
    assert model.encoder.fitted
    other = frame[["town", "rooms", "size"]]  # by name, in another order, without the id
    np.testing.assert_array_equal(model.predict(other), model.predict(table))
    with pytest.raises(ValueError, match="lacks 'town'"):
        model.predict(frame[["size", "rooms"]])


def test_it_is_fitted_on_training_rows_only():
    table, y = houses()
    held_out = np.zeros(90, bool)
    held_out[-18:] = True
    for numeric in (TargetBins(4, least_rows=2), QuantileBins(4)):
        learnt = []
        for change in (1, 50):  # only in held-out rows
            other = table | {"size": np.where(held_out, table["size"] * change, table["size"])}
            model = model_for(TableEncoder(numeric), table)
            prices = np.where(held_out, y / change, y)
            fit(model, other, prices, validation_split=0.2, validation_shuffle=False, epochs=1)
            learnt.append(repr(model.encoder.snapshot()["states"]))
        assert learnt[0] == learnt[1]
        some = rows_of(table, ~held_out)
        alone = TableEncoder(numeric).fit(some, y[~held_out])
        features = model.encoder.transform(some)
        np.testing.assert_array_equal(
            features[:, features.any(axis=0)],
            alone.transform(some)[:, alone.transform(some).any(axis=0)],
        )


def test_fold_out_members_have_bins_of_their_own():
    table, y = houses()
    model = model_for(TableEncoder(TargetBins(4, least_rows=2)), table, size=MEMBERS)
    history = fit(model, table, y, folds=True, callbacks=[mg.EarlyStopping(3)])
    features = model.encoder.transform(table)
    assert features.shape == (MEMBERS, 90, model.in_features)
    assert (features[0] != features[1]).any()
    for j in range(MEMBERS):
        rows = history.folds == j
        changed = np.where(rows, -y, y)  # the target of the own fold has no influence
        again = model_for(TableEncoder(TargetBins(4, least_rows=2)), table, size=MEMBERS)
        fit(again, table, changed, folds=history.folds, epochs=1)
        np.testing.assert_array_equal(again.encoder.transform(table)[j], features[j])
        np.testing.assert_allclose(
            history.oof_prediction[rows], model.predict(rows_of(table, rows))[j], rtol=1e-5
        )
        member = model.member(j)
        np.testing.assert_allclose(member.predict(table), model.predict(table)[j], rtol=1e-4)
    two = model.members([2, 0])
    np.testing.assert_allclose(two.predict(table), model.predict(table)[[2, 0]], rtol=1e-5)
    assert model.predict(table, std=True)[0].shape == (90, 1)


def test_encodings_that_agree_are_held_once():
    table, y = houses()
    model = model_for(TableEncoder(QuantileBins(4)), table, size=MEMBERS)
    fit(model, table, y, folds=True, epochs=1)
    assert model.encoder.transform(table).ndim == 2


@pytest.mark.parametrize("label", [str, bool, int])
def test_classes_and_weights(label):
    table, y = houses()
    labels = [label(value > 260_000) for value in y]
    model = model_for(
        TableEncoder(TargetBins(4, least_rows=2)), table, loss=mg.SigmoidCrossEntropy()
    )
    weights = np.where(np.arange(90) < 10, 0.0, 1.0)
    fit(model, table, labels, class_weight="balanced", sample_weight=weights, epochs=60)
    assert model.evaluate(table, labels)["accuracy"] > 0.8
    assert set(model.predict_classes(table).tolist()) == set(labels)
    some = rows_of(table, weights > 0)
    alone = TableEncoder(TargetBins(4, least_rows=2)).fit(some, np.array(labels)[weights > 0])
    ours, theirs = (e.snapshot()["states"][0][0]["edges"] for e in (model.encoder, alone))
    np.testing.assert_array_equal(ours, theirs)


def test_three_classes_are_told_apart():
    table, y = houses()
    labels = np.digitize(y, [220_000, 280_000])
    model = model_for(
        TableEncoder(TargetBins(6, least_rows=2)), table, loss=mg.SoftmaxCrossEntropy(), outputs=3
    )
    fit(model, table, labels, epochs=60)
    assert model.evaluate(table, labels)["accuracy"] > 0.8


def test_embedding_of_codes():
    table, y = houses()
    planned = TableEncoder(categories=Codes()).plan(table)
    embedding = mg.Embedding(planned.width, planned.codes(), 4)
    model = mg.Sequential(
        [embedding, mg.Dense(embedding.out_features, 8), mg.Tanh(), mg.Dense(8, 1)],
        loss=mg.MeanSquaredError(),
        target_scaling="standard",
        random_state=0,
        encoder=planned,
    )
    fit(model, table, y, epochs=60)
    assert model.evaluate(table, y, metrics=[mg.R2()])["r2"] > 0.8
    new = {name: values[:1] for name, values in table.items()} | {"town": ["Berlin"]}
    assert np.isfinite(model.predict(new)).all()


def trained(size=MEMBERS):
    table, y = houses()
    model = model_for(TableEncoder(TargetBins(4, least_rows=2), OneHot(2)), table, size=size)
    fit(model, table, y, folds=True if size else None, epochs=2)
    return model, table, y


@pytest.mark.parametrize("size", [None, MEMBERS])
def test_a_file_holds_the_encoder(size, tmp_path):
    model, table, _ = trained(size)
    model.save(tmp_path / "model.npz")
    twins = [mg.load(tmp_path / "model.npz"), model.copy(), pickle.loads(pickle.dumps(model))]
    for twin in twins:
        np.testing.assert_array_equal(twin.predict(table), model.predict(table))
        assert repr(twin) == repr(model)
        assert twin.encoder.feature_names_out() == model.encoder.feature_names_out()
        assert twin.feature_names_ == model.feature_names_
    twins[0].save(tmp_path / "again.npz")
    again = mg.load(tmp_path / "again.npz")
    np.testing.assert_array_equal(again.predict(table), model.predict(table))


@pytest.mark.parametrize("scale", [1e-300, 1e-45, 1.0, 1e45, 1e300])
@pytest.mark.parametrize("offset", [0.0, 1e6])
@pytest.mark.parametrize(
    "numeric", [Standard(), Robust(), QuantileBins(4), TargetBins(4, least_rows=2)], ids=repr
)
def test_a_file_of_columns_of_any_size_is_read(numeric, offset, scale, tmp_path):
    """What tries the encoder of a file uses numbers of that column, not others."""
    rng = np.random.default_rng(0)
    numbers, y = scale * (offset + rng.normal(size=60)), rng.normal(size=60)
    gaps = np.where(np.arange(60) % 7 == 0, np.nan, numbers)
    table = {"full": numbers, "gaps": gaps, "other": rng.normal(size=60)}
    model = model_for(TableEncoder(numeric), table)
    fit(model, table, y, epochs=1)
    model.save(tmp_path / "model.npz")
    found = mg.load(tmp_path / "model.npz").predict(table)
    np.testing.assert_array_equal(found, model.predict(table))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [None, 2])
def test_many_rows_are_answered_as_few(size, dtype):
    rng = np.random.default_rng(0)
    table = {"a": rng.normal(size=700), "town": rng.choice(["Bonn", "Ulm"], 700)}
    y = table["a"][:, None] + 0.1 * rng.normal(size=(700, 1))
    encoder = TableEncoder(TargetBins(4)).plan(table)
    model = mg.Sequential(
        [mg.Dense(encoder.width, 4), mg.Tanh(), mg.Dropout(0.2), mg.Dense(4, 1)],
        loss=mg.HalfSquaredError(),
        dtype=dtype,
        random_state=0,
        ensemble_size=size,
        target_scaling="standard",
        encoder=encoder,
    )
    model.fit(table, y, optimizer=mg.Adam(0.01), epochs=3, verbose=0)
    many = {name: np.concatenate([values] * 3) for name, values in table.items()}

    def check(predict):
        for found, expected in zip(_pair(predict(many)), _pair(predict(table)), strict=True):
            np.testing.assert_allclose(found, np.concatenate([expected] * 3, axis=-2), rtol=1e-5)

    check(model.predict)
    few, same = model.evaluate(table, y), model.evaluate(many, np.concatenate([y] * 3))
    assert few.keys() == same.keys()
    for name, value in few.items():
        np.testing.assert_allclose(same[name], value, rtol=1e-6)
    for known in (mg.Noise.fit(model, table, y), model.laplace(table, y)):
        model.uncertainty = known
        check(lambda x: model.predict(x, std=True))
        check(lambda x: model.predict(x, interval=0.9))
    assert model.predict(many, samples=3).shape[-2:] == (2100, 1)
    assert model.predict(many, std=True, samples=3).std.shape == (2100, 1)


def _pair(found):
    return found if isinstance(found, tuple) else (found,)


@pytest.mark.slow
def test_a_new_process_answers_with_the_same_numbers(tmp_path):
    model, table, _ = trained()
    model.save(tmp_path / "model.npz")
    first = {name: [*map(_plain, values[:5])] for name, values in table.items()}
    program = f"import sys, mlpgrad as mg; print(mg.load(sys.argv[1]).predict({first}).tolist())"
    done = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "model.npz"], capture_output=True, check=True
    )
    some = {name: values[:5] for name, values in table.items()}
    assert eval(done.stdout) == model.predict(some).tolist()


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def test_a_damaged_file_is_refused(tmp_path):
    model, _, _ = trained(None)
    snapshot = model.encoder.snapshot()
    for change in (
        {"plan": snapshot["plan"][:1]},
        {"members": "two"},
        {"plan": [[*column[:3], -1, 0] for column in snapshot["plan"]]},
    ):
        with pytest.raises((ValueError, TypeError)):
            model.copy().know_of_data({"encoder": snapshot | change})
    snapshot["plan"][0][3] += 1
    with pytest.raises(ValueError, match="the first layer expects"):
        model.copy().know_of_data({"encoder": snapshot})


def places(value, place=()):
    """The places in nested lists, tuples and dicts."""
    yield place
    if isinstance(value, (dict, list, tuple)):
        for key, part in value.items() if isinstance(value, dict) else enumerate(value):
            yield from places(part, (*place, key))


def changed(value, place, new):
    """A copy with another value at one place."""
    if not place:
        return new
    pairs = value.items() if isinstance(value, dict) else enumerate(value)
    found = {k: changed(v, place[1:], new) if k == place[0] else v for k, v in pairs}
    return found if isinstance(value, dict) else type(value)(found.values())


@pytest.mark.parametrize("junk", [None, "abc", -1, [], [1, 2], {}, {"a": 1}, [[[]]]], ids=repr)
@pytest.mark.parametrize("size", [None, MEMBERS])
def test_what_a_file_says_of_an_encoder_is_tried_before_it_is_taken(size, junk):
    table, y = houses()
    model = model_for(TableEncoder(numeric=TargetBins(3)), table, size=size)
    fit(model, table, y, epochs=1)
    states = model.encoder.snapshot()
    for place in places(states["states"]):
        damaged = states | {"states": changed(states["states"], place, junk)}
        twin = model.copy()
        try:
            twin.know_of_data({"encoder": damaged})
        except (TypeError, ValueError):
            continue
        if twin.encoder.fitted:  # it works, whatever it computes now
            assert twin.predict(table).shape == model.predict(table).shape


@pytest.mark.parametrize("noise", [np.nan, -1.0, np.inf, np.zeros((2, 2, 2, 2)), "a"], ids=repr)
def test_the_noise_that_a_file_names_is_checked(noise):
    with pytest.raises((TypeError, ValueError), match="Laplace: noise"):
        mg.Laplace(np.eye(2), noise=noise)


def test_the_encoder_is_fitted_once_or_given():
    table, y = houses()
    model = model_for(TableEncoder(), table)
    fit(model, table, y, epochs=1)
    before = repr(model.encoder.snapshot())
    other, prices = houses(seed=5)
    fit(model, other, prices, epochs=1)
    assert repr(model.encoder.snapshot()) == before  # the weights belong to these features
    encoder = TableEncoder().fit(table, y)
    given = model_for(encoder, table)  # planned again
    assert not given.encoder.fitted
    used = mg.Sequential(
        [mg.Dense(encoder.width, 1)], loss=mg.MeanSquaredError(), encoder=encoder, random_state=0
    )
    used.predict(table)
    assert repr(used.encoder.snapshot()) == repr(encoder.snapshot())


class Taken(mg.Callback):
    """Takes a snapshot after an epoch."""

    def on_epoch_end(self, epoch, logs):
        if epoch == 1:
            self.snapshot = self.session.snapshot()


def test_a_training_goes_on_with_the_same_encoder():
    table, y = houses()
    encoder = TableEncoder(TargetBins(4, least_rows=2))
    model, taken = model_for(encoder, table, size=MEMBERS), Taken()
    fit(model, table, y, folds=True, epochs=4, callbacks=[taken])
    again = model_for(encoder, table, size=MEMBERS)
    fit(again, table, y, folds=True, epochs=4, resume=taken.snapshot, callbacks=[Taken()])
    np.testing.assert_array_equal(again.params, model.params)
    other = model_for(encoder, table, size=MEMBERS)
    with pytest.raises(ValueError, match="with the same fitted encoder"):
        fit(other, table, y[::-1], folds=True, epochs=4, resume=taken.snapshot, callbacks=[Taken()])


def test_errors_say_what_to_do():
    table, y = houses()
    model = model_for(TableEncoder(), table)
    with pytest.raises(ValueError, match=r"encoder has not been fitted to a table yet.*model\.fit"):
        model.predict(table)
    with pytest.raises(AttributeError, match="encoder cannot be changed"):
        model.encoder = None
    narrow = mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), encoder=TableEncoder())
    with pytest.raises(ValueError, match=r"makes 6 features .* expects 2; call encoder\.plan"):
        fit(narrow, table, y)
    with pytest.raises(TypeError, match="encoder expects a TableEncoder"):
        mg.Sequential([mg.Dense(2, 1)], loss=mg.MeanSquaredError(), encoder="standard")
    with pytest.raises(ValueError, match="x and y expect the same number"):
        fit(model, table, y[:5])


def test_no_encoder_is_imported_without_one():
    program = "import sys, mlpgrad; assert not any('mlpgrad.tables' in m for m in sys.modules)"
    subprocess.run([sys.executable, "-c", program], check=True)
