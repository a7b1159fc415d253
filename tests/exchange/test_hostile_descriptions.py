"""Whatever a description says, a file is refused, or the model that it gives can be used."""

import io
import json
import zipfile

import numpy as np
import pytest

import mlpgrad as mg

JUNK = [None, True, -1, 3, 0.5, 10**30, "x", [], {}, [1, 2]]
JUNK += [{"float": "nan"}, {"tuple": [1]}, {"array": "params"}, {"dtype": "int8"}, {"dict": []}]


def with_statistics():
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.arange(12.0)
    layers = [mg.Standardize(3), mg.Dense(3, 4), mg.BatchNorm(4), mg.Dropout(0.1), mg.Dense(4, 1)]
    model = mg.Sequential(
        layers, loss=mg.MeanSquaredError(), target_scaling="standard", random_state=0
    )
    model.fit_scaling(x, y)
    model.laplace(x, y)
    return model, x, y


def with_labels():
    x, y = np.random.default_rng(0).normal(size=(12, 3)), np.array(["a", "b", "c"] * 4)
    layers = [mg.LeakyReLU(0.2), mg.Residual([mg.Dense(3, 3), mg.LayerNorm(3)]), mg.Dense(3, 3)]
    model = mg.Sequential(
        layers, loss=mg.SoftmaxCrossEntropy(), ensemble_size=2, classes=["a", "b", "c"]
    )
    return model, x, y


def with_table():
    table = {"size": [1.0, 2.0, None, 4.0] * 3, "town": ["Ulm", "Bonn", "Ulm", None] * 3}
    encoder = mg.tables.TableEncoder(mg.tables.QuantileBins(4)).fit(table)
    model = mg.Sequential(
        [mg.Tanh(), mg.Dense(encoder.width, 1)], loss=mg.HalfSquaredError(), encoder=encoder
    )
    model.uncertainty = mg.Noise(0.3)
    return model, table, np.arange(12.0)


def places(value, path=()):
    """The path of everything in a description."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in items:
        yield (*path, key)
        if isinstance(item, (dict, list)):
            yield from places(item, (*path, key))


def use(model, x, y):
    """Predict, measure and train; yield the errors that say what is wrong."""
    calls = [
        lambda: model.predict(x),
        lambda: model.evaluate(x, y),
        lambda: repr(model) + str(model.summary()),
        lambda: model.fit(x, y, optimizer=mg.Adam(0.01), epochs=1, verbose=0),
    ]
    for call in calls:
        try:
            call()
        except (ValueError, TypeError, mg.DivergenceError) as error:
            yield str(error)


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("make", [with_statistics, with_labels, with_table])
def test_junk_anywhere_in_a_description_is_refused_or_can_be_used(tmp_path, make):
    model, x, y = make()
    path, refused, errors, places_read = tmp_path / "model.npz", [], [], 0
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = np.load(io.BytesIO(members.pop("description.npy"))).item()
    for number, place in enumerate(places(json.loads(text))):
        changed = within = json.loads(text)
        for key in place[:-1]:
            within = within[key]
        within[place[-1]] = JUNK[number % len(JUNK)]
        file = io.BytesIO()
        np.save(file, np.array(json.dumps(changed)))
        with zipfile.ZipFile(path, "w") as archive:
            for name, content in {**members, "description.npy": file.getvalue()}.items():
                archive.writestr(name, content)
        try:
            read = mg.load(path)
        except ValueError as error:
            refused.append(str(error))
        else:
            errors += use(read, x, y)
            places_read += 1
    assert len(refused) > places_read > 0
    assert all("cannot be read as an mlpgrad model" in said for said in refused)
    assert not [said for said in errors if "operands" in said]  # NumPy's own


@pytest.mark.parametrize("junk", JUNK, ids=json.dumps)
@pytest.mark.parametrize("place", range(2), ids=["of layers", "of the model"])
def test_something_else_than_a_random_generator(tmp_path, place, junk):
    path = tmp_path / "model.npz"
    mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), random_state=0).save(path)
    arrays = dict(np.load(path))
    description = json.loads(arrays["description"].item())
    description["rngs"][place] = junk
    np.savez(path, **arrays | {"description": np.array(json.dumps(description))})
    with pytest.raises(ValueError, match="cannot be read as an mlpgrad model"):
        mg.load(path)
