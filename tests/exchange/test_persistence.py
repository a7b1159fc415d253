"""Saved models are restored completely, and loading a file can do no harm."""

import io
import json
import os
import pickle
import re
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import mlpgrad as mg
from mlpgrad.exchange.values import Decoder, encode
from tests.kinds import LAYERS, LOSSES, layer_case, loss_case

CASES = [pytest.param(layer_case, cls, id=cls.__name__) for cls in LAYERS if cls != mg.Elementwise]
CASES += [pytest.param(loss_case, cls, id=cls.__name__) for cls in LOSSES]
every_case = pytest.mark.parametrize(("case", "cls"), CASES)


def restored(model, tmp_path):
    model.save(tmp_path / "model.npz")
    return mg.load(tmp_path / "model.npz")


def small(**options):
    options = {"loss": mg.HalfSquaredError(), "random_state": 0, **options}
    return mg.Sequential([mg.Dense(3, 4), mg.Tanh(), mg.Dropout(0.3), mg.Dense(4, 2)], **options)


def mersenne():
    return np.random.Generator(np.random.MT19937(1))


def data(features=3, outputs=2):
    rng = np.random.default_rng(5)
    return rng.normal(size=(20, features)), rng.normal(size=(20, outputs))


def assert_same(model, twin, x, y):
    """Check that two models are equal, now and after further training."""
    assert repr(twin) == repr(model)
    assert twin.dtype == model.dtype
    for name in ("params", "state"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(model, name), strict=True)
    np.testing.assert_array_equal(twin.predict(x), model.predict(x), strict=True)
    for each in (model, twin):
        if model.dtype.kind == "c":  # complex numbers cannot be trained
            each.backpropagate(x, y)
            continue
        each.fit(x, y, optimizer=mg.SGD(0.01), epochs=2, batch_size=3, verbose=0)
    for name in ("params", "state", "grads"):
        np.testing.assert_array_equal(getattr(twin, name), getattr(model, name))


# round trips


@every_case
@pytest.mark.parametrize("size", [None, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_every_layer_and_loss_comes_back(tmp_path, case, cls, size, dtype):
    model, x, y = case(cls, dtype, size)
    model.fit(x, y, optimizer=mg.SGD(0.01), epochs=1, verbose=0)  # moves statistics, generators
    assert_same(model, restored(model, tmp_path), x, y)


@pytest.mark.parametrize("dtype", ["longdouble", "complex128"])
def test_other_types_come_back(tmp_path, dtype):
    model = small(dtype=dtype, penalties=[mg.L2(0.01), mg.L1(1e-3, kinds=("weights", "bias"))])
    assert_same(model, restored(model, tmp_path), *data())


def test_nesting_initializers_and_numpy_arguments_come_back(tmp_path):
    inner = mg.Residual([mg.Dense(4, 4, bias=False), mg.ReLU()])
    layers = [
        mg.Dense(3, np.int64(4), initializer=mg.Orthogonal(np.float32(0.7))),
        mg.Residual([mg.BatchNorm(4), inner, mg.LeakyReLU(np.float64(0.1))]),
        mg.Dense(4, 2, initializer=mg.Constant(1e-17)),
    ]
    model = mg.Sequential(layers, loss=mg.Huber(0.3), random_state=np.random.default_rng(3))
    twin = restored(model, tmp_path)
    gain = twin.layers[0].initializer.gain
    assert (type(gain), gain) == (np.float32, np.float32(0.7))
    assert type(twin.layers[1].layers[2].negative_slope) is np.float64
    assert_same(model, twin, *data())


def test_files_of_the_other_byte_order_are_read(tmp_path):
    path = rewritten(tmp_path, lambda _, a: a.update(params=a["params"].astype(">f4")))
    np.testing.assert_array_equal(mg.load(path).params, small(random_state=mersenne()).params)


def test_special_values_of_parameters_come_back(tmp_path):
    model = small()
    model.params[:4] = [np.nan, np.inf, -0.0, 1e-42]
    twin = restored(model, tmp_path)
    assert twin.params.tobytes() == model.params.tobytes()


def test_models_made_from_models_come_back(tmp_path):
    ensemble = small(ensemble_size=3)
    for model in (ensemble.member(1), small().tiled(2), small().lifted("float64"), ensemble.copy()):
        assert_same(model, restored(model, tmp_path), *data())


def test_a_frozen_layer_stays_frozen(tmp_path):
    model = small()
    model.layers[2].training = False
    twin = restored(model, tmp_path)
    assert [layer.training for layer in twin.layers] == [True, True, False, True]
    assert_same(model, twin, *data())


@pytest.mark.parametrize("source", np.random.BitGenerator.__subclasses__())
def test_every_generator_goes_on_where_it_was(tmp_path, source):
    model = small(random_state=np.random.Generator(source(7)), ensemble_size=2)
    model.rngs[0].random(3, np.float32)  # half a draw is kept
    twin = restored(model, tmp_path)
    pairs = zip(
        [model.random_state, model.rng, *model.rngs],
        [twin.random_state, twin.rng, *twin.rngs],
        strict=True,
    )
    for old, new in pairs:
        np.testing.assert_array_equal(new.random(9, np.float32), old.random(9, np.float32))
        assert new.spawn(1)[0].random() == old.spawn(1)[0].random()
    assert_same(model, twin, *data())


def test_files_are_read_where_nothing_else_is_imported(tmp_path):
    expected = {}
    for number, case in enumerate(CASES):
        make, cls = case.values
        model, _, _ = make(cls)
        model.save(tmp_path / f"{number}.npz")
        expected[f"{number}.npz"] = repr(model)
    code = (
        "import json, pathlib, sys, mlpgrad as mg\n"
        "paths = pathlib.Path(sys.argv[1]).glob('*.npz')\n"
        "print(json.dumps({path.name: repr(mg.load(path)) for path in paths}))"
    )
    result = subprocess.run([sys.executable, "-c", code, tmp_path], capture_output=True, check=True)
    assert json.loads(result.stdout) == expected


scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(),
    st.text(),
    st.sampled_from(["float32", "float64", "complex128", "int8", "bool"]).map(np.dtype),
    st.floats(width=32).map(np.float32),
    st.floats().map(np.float64),
    st.floats().map(np.longdouble),
    st.integers(-128, 127).map(np.int8),
    st.booleans().map(np.bool_),
    st.complex_numbers().map(np.complex128),
    st.text(max_size=5).map(np.str_),
    st.lists(st.floats(), max_size=4).map(np.array),
    st.lists(st.integers(0, 255), min_size=4, max_size=4).map(lambda v: np.uint8(v).reshape(2, 2)),
    st.floats().map(np.array),
)
values = st.recursive(
    scalars,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=3).map(tuple),
        st.dictionaries(st.text(max_size=3) | st.integers() | st.booleans(), inner, max_size=3),
        st.builds(mg.Constant, inner),
        st.builds(mg.Huber, st.floats(0.1, 9)),
    ),
    max_leaves=8,
)


def same(a, b):
    """Whether type and content are equal; NaN equals NaN, and -0.0 differs from 0.0."""
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return same(list(a.items()), list(b.items()))
    if isinstance(a, (np.ndarray, np.generic)):
        return (a.dtype, a.shape) == (b.dtype, b.shape) and a.tolist().__repr__() == repr(
            b.tolist()
        )
    if isinstance(a, (mg.Initializer, mg.Loss)):
        return same(a.config(), b.config())
    return repr(a) == repr(b)


@example([float("-inf"), float("nan")])
@example(np.str_("ends with a null\0"))
@given(values)
def test_any_argument_comes_back(value):
    arrays = {}
    text = json.dumps(encode(value, "here", arrays), allow_nan=False)
    file = io.BytesIO()
    np.savez(file, **arrays)
    file.seek(0)
    with np.load(file, allow_pickle=False) as stored:
        read = {name: stored[name] for name in stored.files}
    assert same(Decoder(read)(json.loads(text)), value)


# what cannot be saved


@pytest.mark.parametrize(
    ("layer", "words"),
    [
        (
            lambda: mg.Elementwise(np.sin, np.cos),
            r"Sequential\.layers\[1\] Elementwise\.function is <ufunc 'sin'>, .* of Activation",
        ),
        (
            lambda: mg.Residual([mg.Elementwise(np.sin, np.cos)]),
            r"Sequential\.layers\[1\] Residual\.layers\[0\] Elementwise\.function",
        ),
        (lambda: mg.Dense(3, 3, initializer=mg.Constant({1, 2})), r"Constant\.value is \{1, 2\}"),
        (
            lambda: mg.Dense(3, 3, initializer=mg.Constant(np.array([None]))),
            r"Constant\.value is array\(\[None\]",
        ),
    ],
)
def test_what_a_file_cannot_hold_is_named(tmp_path, monkeypatch, layer, words):
    monkeypatch.setattr(mg.Constant, "__call__", lambda self, rng, shape: np.zeros(shape))
    model = mg.Sequential([mg.Dense(3, 3), layer()], loss=mg.HalfSquaredError())
    with pytest.raises(TypeError, match=words):
        model.save(tmp_path / "model.npz")
    assert list(tmp_path.iterdir()) == []


# paths


def test_the_path_is_taken_as_it_is(tmp_path):
    small().save(str(tmp_path / "model"))
    assert [path.name for path in tmp_path.iterdir()] == ["model"]
    assert isinstance(mg.load(str(tmp_path / "model")), mg.Sequential)


def test_a_link_is_written_through(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "real.npz")
    small().save(tmp_path / "link")
    assert (tmp_path / "link").is_symlink()
    assert isinstance(mg.load(tmp_path / "real.npz"), mg.Sequential)


def test_a_failed_save_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "model.npz"
    small().save(path)
    before = path.read_bytes()

    def full(file, **arrays):
        file.write(b"half of it")
        raise OSError("no space left")

    monkeypatch.setattr(np, "savez", full)
    with pytest.raises(OSError, match="no space left"):
        small(random_state=1).save(path)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_missing_places_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*absent"):
        small().save(tmp_path / "absent" / "model.npz")
    with pytest.raises(FileNotFoundError, match="absent"):
        mg.load(tmp_path / "absent")


# classes of the user


def define(name, module, slope=1.0):
    """A user's activation, as if defined in `module`."""

    def apply(self, z, out):
        np.multiply(z, slope, out)

    body = {"apply": apply, "slope": lambda self, z, a, out: out.fill(slope), "__module__": module}
    return type(name, (mg.Activation,), body)


def saved_with(cls, tmp_path):
    model = mg.Sequential([mg.Dense(3, 2), cls()], loss=mg.HalfSquaredError(), random_state=0)
    model.save(tmp_path / "model.npz")
    return tmp_path / "model.npz"


def test_a_users_class_is_found_once_it_is_defined(tmp_path):
    original = define("Swoosh", "my_layers")
    path = saved_with(original, tmp_path)
    original.__name__ = "Forgotten"
    with pytest.raises(ValueError, match=r"class 'Swoosh' is not defined.* import .*'my_layers'"):
        mg.load(path)
    moved = define("Swoosh", "my_package.layers")
    assert type(mg.load(path).layers[1]) is moved


def test_the_module_decides_between_equal_names(tmp_path):
    one, two = define("Twin", "one"), define("Twin", "two")
    for cls in (one, two):
        assert type(mg.load(saved_with(cls, tmp_path)).layers[1]) is cls
    three = define("Twin", "three")
    path = saved_with(three, tmp_path)
    three.__name__ = "Forgotten"
    with pytest.raises(ValueError, match="'Twin' is not defined, or more than once"):
        mg.load(path)


def test_a_class_defined_anew_replaces_the_old(tmp_path, monkeypatch):
    old, new = define("Again", __name__), define("Again", __name__, slope=2.0)
    monkeypatch.setattr(sys.modules[__name__], "Again", new, raising=False)
    assert type(mg.load(saved_with(old, tmp_path)).layers[1]) is new


class Narrow(mg.Sequential):
    """A user's model with its own constructor."""

    def __init__(self, width, *, random_state=None):
        self.width = width
        layers = [mg.Dense(3, width), mg.Tanh(), mg.Dense(width, 2)]
        super().__init__(layers, loss=mg.HalfSquaredError(), random_state=random_state)


def test_a_users_model_comes_back(tmp_path):
    model = Narrow(5, random_state=0)
    twin = restored(model, tmp_path)
    assert (type(twin), twin.width) == (Narrow, 5)
    assert_same(model, twin, *data())


# harmful, damaged and foreign files


def rewritten(tmp_path, change):
    """Write a model's file with a changed description or changed arrays."""
    path = tmp_path / "model.npz"
    small(random_state=mersenne()).save(path)
    with np.load(path) as stored:
        arrays = dict(stored)
    description = json.loads(str(arrays["description"]))
    change(description, arrays)
    if "description" in arrays:
        arrays["description"] = np.array(json.dumps(description))
    np.savez(path, **arrays)
    return path


class Harm:
    """Unpickling this leaves a trace."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.system, (f"touch {self.trace}",)


def test_pickles_are_refused(tmp_path):
    trace = tmp_path / "trace"
    os.system(f"touch {trace}.control")
    assert (tmp_path / "trace.control").exists()  # so the test would detect a trace
    objects = np.array([Harm(trace)], dtype=object)
    for name in ("params", "state", "description"):
        path = rewritten(tmp_path, lambda _, arrays, name=name: arrays.update({name: objects}))
        if name == "description":
            arrays = {"params": np.zeros(1), "state": np.zeros(0), "description": objects}
            np.savez(path, **arrays)
        with pytest.raises(ValueError, match="Object arrays cannot be loaded"):
            mg.load(path)
    mg.load(rewritten(tmp_path, lambda _, arrays: arrays.update(extra=objects)))  # ignored
    path.write_bytes(pickle.dumps(Harm(trace)))
    with pytest.raises(ValueError, match=r"not a \.npz file"):
        mg.load(path)
    assert not trace.exists()


@pytest.mark.parametrize(
    "described",
    [
        {"class": "system", "module": "os", "config": {"command": "touch TRACE"}},
        {"class": "os.system", "module": "os", "config": {"command": "touch TRACE"}},
        {"class": "Popen", "module": "subprocess", "config": {"args": ["touch", "TRACE"]}},
        {
            "class": "ModelCheckpoint",
            "module": "mlpgrad.training.saving",
            "config": {"path": "TRACE"},
        },
        {"class": "Path", "module": "pathlib", "config": {}},
        {"class": "harmful", "module": "harmful", "config": {}},
    ],
)
def test_a_named_function_or_module_is_not_touched(tmp_path, monkeypatch, described):
    trace = tmp_path / "trace"
    (tmp_path / "harmful.py").write_text(f"open({str(trace)!r}, 'w')")
    monkeypatch.syspath_prepend(tmp_path)
    text = json.loads(json.dumps(described).replace("TRACE", str(trace)))
    for place in (
        lambda d: d.update(model={"object": text}),
        lambda d: d["model"]["object"]["config"].update(loss={"object": text}),
        lambda d: d["model"]["object"]["config"]["layers"].append({"object": text}),
        lambda d: d.update(random_state={"object": text}),
    ):
        path = rewritten(tmp_path, lambda description, _, place=place: place(description))
        with pytest.raises(ValueError, match=f"class '{described['class']}' is not defined"):
            mg.load(path)
    assert not trace.exists()
    assert "harmful" not in sys.modules


def config(description):
    return description["model"]["object"]["config"]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda d, a: d.update(format="other"), "another format, 'other'"),
        (lambda d, a: d.update(version=99, mlpgrad="9.1"), "version 99, .* mlpgrad 9.1, install"),
        (lambda d, a: d.pop("rngs"), "rngs"),
        (lambda d, a: a.pop("description"), r"holds \[.*'params', 'state'\]"),
        (lambda d, a: a.pop("params"), "not params, state and description"),
        (lambda d, a: a.update(params=np.float32(1)), r"params expects shape \(26,\) of float32"),
        (lambda d, a: a.update(params=a["params"][:1]), r"got \(1,\) of float32"),
        (lambda d, a: a.update(params=a["params"].astype(float)), "got .* of float64"),
        (lambda d, a: a.update(state=np.zeros(3, np.float32)), "state expects shape"),
        (lambda d, a: config(d)["layers"].pop(), "params expects shape"),
        (lambda d, a: config(d)["layers"].pop(0), "params expects shape"),
        (lambda d, a: config(d).update(layers=[]), "at least one layer"),
        (lambda d, a: config(d).update(layers=5), "TypeError"),
        (lambda d, a: config(d).update(los=config(d).pop("loss")), "did you mean 'loss'"),
        (lambda d, a: config(d).update(dtype={"dtype": "float9"}), "float9"),
        (
            lambda d, a: config(d).update(ensemble_size=10**18),
            "ensemble_size expects an int from 1 to",
        ),
        (lambda d, a: d.update(model=config(d)["layers"][0]), "describes a Dense"),
        (lambda d, a: d.update(model={"call": "f"}), "unknown kind of value, 'call'"),
        (lambda d, a: d.update(model={}), "cannot be read as an mlpgrad model"),
        (lambda d, a: d.update(rngs=d["rngs"][:1]), "cannot be read as an mlpgrad model"),
        (lambda d, a: d.update(rngs=[]), "cannot be read as an mlpgrad model"),
        (lambda d, a: d.update(training=[True]), "cannot be read as an mlpgrad model"),
    ],
)
def test_descriptions_that_do_not_fit_are_refused(tmp_path, change, words):
    path = rewritten(tmp_path, change)
    with pytest.raises(ValueError, match=words) as raised:
        mg.load(path)
    assert str(path) in str(raised.value)


@pytest.mark.parametrize("position", [-1, 625, 2**31 - 1])
def test_a_generators_place_beyond_its_buffer_is_refused(tmp_path, position):
    def change(description, _):
        text = json.dumps(description["rngs"])
        changed = re.sub(r'"pos", \d+', f'"pos", {position}', text)
        assert changed != text
        description["rngs"] = json.loads(changed)

    with pytest.raises(ValueError, match="out of bounds"):
        mg.load(rewritten(tmp_path, change))


@pytest.mark.parametrize(
    "content",
    [b"", b"PK\x05\x06" + bytes(18), b"x,y\n1,2\n", b"\x80\x04]\x94.", os.urandom(2000)],
    ids=["empty", "empty zip", "text", "pickle", "noise"],
)
def test_foreign_files_are_refused(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(ValueError, match="file cannot be read as an mlpgrad model"):
        mg.load(path)


def test_arrays_and_other_archives_are_refused(tmp_path):
    np.save(tmp_path / "array.npy", np.zeros(3))
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))
    with zipfile.ZipFile(tmp_path / "texts.zip", "w") as archive:
        archive.writestr("params", "text")
    for name in ("array.npy", "arrays.npz", "texts.zip"):
        with pytest.raises(ValueError, match=f"{name} cannot be read as an mlpgrad model"):
            mg.load(tmp_path / name)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(damage=st.data())
def test_damage_is_seen_or_harmless(tmp_path_factory, damage):
    """Changed or missing bytes give a ValueError, or the same model (unused fields of zip)."""
    path = tmp_path_factory.getbasetemp() / "damaged.npz"
    model = small()
    model.save(path)
    content = bytearray(path.read_bytes())
    if damage.draw(st.booleans(), label="cut"):
        del content[damage.draw(st.integers(0, len(content) - 1), label="at") :]
    else:
        for _ in range(damage.draw(st.integers(1, 3))):
            place = damage.draw(st.integers(0, len(content) - 1), label="place")
            content[place] ^= damage.draw(st.integers(1, 255), label="mask")
    path.write_bytes(content)
    try:
        twin = mg.load(path)
    except ValueError:
        return
    assert twin.params.tobytes() == model.params.tobytes()
    assert repr(twin) == repr(model)
