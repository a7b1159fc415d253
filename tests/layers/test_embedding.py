"""The embedding layer looks up what a Dense layer computes from one-hot features."""

import numpy as np
import pytest

import mlpgrad as mg

LEVELS = {0: 4, 2: 7}


def data(rows=40, seed=0):
    rng = np.random.default_rng(seed)
    x = rng.normal(size=(rows, 4))
    for column, count in LEVELS.items():
        x[:, column] = rng.integers(0, count, rows)
    return x, rng.normal(size=(rows, 2))


def network(layer, size=None, dtype="float64"):
    return mg.Sequential(
        [layer, mg.Dense(layer.out_features, 5), mg.Tanh(), mg.Dense(5, 2)],
        loss=mg.HalfSquaredError(),
        dtype=dtype,
        random_state=1,
        ensemble_size=size,
    )


def one_hot(x):
    """The features for the equivalent Dense layer: numbers, then one column per code."""
    columns = [x[:, [1, 3]]]
    columns += [x[:, [column]] == np.arange(count) for column, count in LEVELS.items()]
    return np.concatenate(columns, axis=1, dtype=float)


@pytest.mark.parametrize("size", [None, 3])
def test_it_is_a_dense_layer_on_one_hot_features(size):
    x, y = data()
    model = network(mg.Embedding(4, LEVELS, 3), size)
    twin = network(mg.Dense(13, 8, bias=False), size)
    vectors = model.layers[0].params.vectors
    vectors[...] = np.random.default_rng(2).normal(size=vectors.shape)
    weights = twin.layers[0].params.weights
    weights[...] = 0
    weights[..., :2, :2] = np.eye(2)
    weights[..., 2:6, 2:5], weights[..., 6:13, 5:8] = vectors[..., :4, :], vectors[..., 4:, :]
    for ours, theirs in zip(model.layers[1:], twin.layers[1:], strict=True):
        for name in ours.params:
            theirs.params[name][...] = ours.params[name]
    np.testing.assert_allclose(
        model.backpropagate(x, y), twin.backpropagate(one_hot(x), y), rtol=1e-12
    )
    theirs = twin.layers[0].grads.weights
    grads = np.concatenate([theirs[..., 2:6, 2:5], theirs[..., 6:, 5:8]], axis=-2)
    np.testing.assert_allclose(model.layers[0].grads.vectors, grads, rtol=1e-12, atol=1e-15)


def test_it_is_that_of_torch():
    torch = pytest.importorskip("torch")
    x, _ = data()
    layer = torch.nn.Embedding(7, 3, dtype=torch.float64)
    model = mg.Sequential([mg.Embedding(4, {2: 7}, 3)], loss=mg.HalfSquaredError(), dtype="float64")
    model.layers[0].params.vectors[...] = layer.weight.detach().numpy()
    expected = layer(torch.tensor(x[:, 2].astype(int)))
    np.testing.assert_array_equal(model.predict(x)[:, 3:], expected.detach().numpy())
    (expected**2).sum().div(2 * len(x)).backward()
    target = np.zeros((40, 6))
    target[:, :3] = x[:, [0, 1, 3]]
    model.backpropagate(x, target)
    np.testing.assert_allclose(model.grads.reshape(7, 3), layer.weight.grad.numpy(), rtol=1e-12)


def test_a_code_that_is_none_counts_as_0():
    model = mg.Sequential([mg.Embedding(1, {0: 3}, 2)], loss=mg.HalfSquaredError())
    model.layers[0].params.vectors[...] = [[1, 2], [3, 4], [5, 6]]
    codes = [[0.0], [-1.0], [3.0], [1e30], [-1e30], [2.4]]
    assert model.predict(codes).tolist() == [[1, 2]] * 5 + [[5, 6]]


def test_vectors_of_what_was_not_there_begin_at_0():
    for initializer in (None, mg.Constant(3)):
        layer = mg.Embedding(4, LEVELS, 3, initializer=initializer)
        vectors = network(layer).layers[0].params.vectors
        rows = np.abs(vectors).sum(axis=1)
        assert rows[[0, 4]].tolist() == [0, 0]
        assert (np.delete(rows, [0, 4]) > 0).all()


def test_it_is_saved(tmp_path):
    model = network(mg.Embedding(4, LEVELS, 3))
    model.save(tmp_path / "model.npz")
    again = mg.load(tmp_path / "model.npz")
    x, _ = data()
    np.testing.assert_array_equal(again.predict(x), model.predict(x))
    assert repr(again.layers[0]) == "Embedding(4, {0: 4, 2: 7}, width=3)"


def test_sums_of_long_batches_are_made_in_double_precision():
    rows = 200_000
    x = np.zeros((rows, 1), np.float32)
    model = mg.Sequential([mg.Embedding(1, {0: 2}, 1)], loss=mg.HalfSquaredError())
    model.backpropagate(x, np.full((rows, 1), -0.1, np.float32))
    np.testing.assert_allclose(model.grads, [0.1, 0], rtol=1e-6)


def test_it_learns_what_the_codes_mean():
    rng = np.random.default_rng(0)
    meaning = rng.normal(size=30)
    x = rng.integers(0, 30, (600, 1)).astype(np.float32)
    y = meaning[x[:, 0].astype(int)]
    model = mg.Sequential(
        [mg.Embedding(1, {0: 30}, 4), mg.Dense(4, 1)], loss=mg.MeanSquaredError(), random_state=0
    )
    model.fit(x, y, optimizer=mg.Adam(0.02), epochs=60, verbose=0)
    assert model.evaluate(x, y)["loss"] < 1e-3 * np.var(y)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((4, {}), r"codes expects a dict.*encoder\.codes\(\)"),
        ((4, [3]), "codes expects a dict"),
        ((4, {4: 3}), "a column of codes expects an int from 0 to 3, got 4"),
        ((4, {"town": 3}), "a column of codes expects an int >= 0, got 'town'"),
        ((4, {1: 0}), r"codes\[1\] expects an int >= 1, got 0"),
        ((4, {1: 3}, 0), "width expects an int >= 1"),
        ((0, {1: 3}), "in_features expects"),
    ],
)
def test_options_are_checked(arguments, message):
    with pytest.raises((TypeError, ValueError), match=message):
        mg.Embedding(*arguments)


@pytest.mark.parametrize(("dtype", "most"), [("float16", 2048), ("float32", 2**24)])
def test_codes_that_the_dtype_would_merge_are_refused(dtype, most):
    def model(codes, dtype):
        layers = [mg.Embedding(1, {0: codes}, width=1)]
        return mg.Sequential(layers, loss=mg.HalfSquaredError(), dtype=dtype, random_state=0)

    last = np.arange(most - 4, most)[:, None]
    assert len(np.unique(model(most, dtype).predict(last))) > 1
    vectors = model(most, dtype).layers[0].params.vectors
    np.testing.assert_array_equal(model(most, dtype).predict(last), vectors[last[:, 0]])
    with pytest.raises(ValueError, match=f"codes, but {dtype} holds integers exactly only up to"):
        model(most + 1, dtype)
