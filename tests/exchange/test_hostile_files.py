"""Hostile files are refused within memory in proportion to their size, without unpacking."""

import io
import json
import struct
import tracemalloc
import warnings
import zipfile

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from numpy.lib import format as npy

import mlpgrad as mg
from mlpgrad.network import network
from tests.kinds import LAYERS, LOSSES, layer_case, loss_case

pytestmark = pytest.mark.slow

SPARE = 10_000_000
"""Bytes of memory for the smallest file; larger files may add three times their size."""


@pytest.fixture
def work(monkeypatch):
    """Count the bytes read from members, and the arrays drawn at random."""
    done = {"read": 0, "drawn": 0}
    read = zipfile.ZipExtFile.read

    def counted(self, n=-1):
        content = read(self, n)
        done["read"] += len(content)
        return content

    def drawn(slots, *_):
        done["drawn"] += len(slots)

    monkeypatch.setattr(zipfile.ZipExtFile, "read", counted)
    monkeypatch.setattr(network, "initialize", drawn)
    return done


def loaded(path, work):
    """Load a file within the bounds of memory and work; return the model or the error's message."""
    work.update(read=0, drawn=0)
    tracemalloc.start()
    try:
        found = mg.load(path)
    except ValueError as error:
        found = str(error)
    finally:
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
    size = path.stat().st_size
    assert peak < 3 * size + SPARE
    assert work["read"] < size + 1000  # the headers of two members are read three times
    assert work["drawn"] == 0
    return found


def small():
    layers = [mg.Dense(3, 4), mg.Tanh(), mg.BatchNorm(4), mg.Dense(4, 2)]
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), random_state=0)


def members_of(model, path):
    """The members of a saved model by name, as bytes, and its description."""
    model.save(path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    text = np.load(io.BytesIO(members.pop("description.npy"))).item()
    return members, json.loads(text)


def write(path, members, description=None, *, packed=()):
    """Write a file with these members: pairs of a name and bytes, or a dict."""
    pairs = list(members.items() if isinstance(members, dict) else members)
    if description is not None:
        text = description if isinstance(description, str) else json.dumps(description)
        pairs.append(("description.npy", stored(np.array(text))))
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # about duplicate names
        for name, content in pairs:
            kind = zipfile.ZIP_DEFLATED if name in packed else zipfile.ZIP_STORED
            archive.writestr(name, content, kind)


def stored(array):
    """An array as the bytes of a `.npy` file."""
    file = io.BytesIO()
    np.save(file, array)
    return file.getvalue()


def header(shape, descr="<f4"):
    """The header of a `.npy` file, without the numbers that it announces."""
    file = io.BytesIO()
    npy.write_array_header_1_0(file, {"descr": descr, "fortran_order": False, "shape": shape})
    return file.getvalue()


def config(description):
    return description["model"]["object"]["config"]


def dense(inputs, outputs):
    options = {"in_features": inputs, "out_features": outputs, "bias": True, "initializer": None}
    return {"object": {"class": "Dense", "module": "mlpgrad.layers.dense", "config": options}}


# classes


@pytest.mark.parametrize(
    ("name", "module"),
    [
        ("Layer", "mlpgrad.layers.base"),
        ("Activation", "mlpgrad.layers.activations.base"),
        ("_WithTanh", "mlpgrad.layers.activations.smooth"),
        ("HalfSquaredError", "mlpgrad.losses.regression"),
        ("Sequential", "mlpgrad.sequential"),
        ("Network", "mlpgrad.network.network"),
        ("TableEncoder", "mlpgrad.tables.encoder"),
    ],
)
def test_a_class_that_is_not_a_layer(tmp_path, work, name, module):
    path = tmp_path / "model.npz"
    members, description = members_of(small(), path)
    description["model"]["object"]["config"]["layers"][1]["object"] |= {
        "class": name,
        "module": module,
    }
    write(path, members, description)
    said = loaded(path, work)
    assert isinstance(said, str)
    assert "cannot be read as an mlpgrad model" in said


# sizes in the description without the numbers


def wide(members, description):
    config(description)["layers"] = [dense(20_000, 10_000)]


def wide_and_said_to_be_there(members, description):
    config(description)["layers"] = [dense(20_000, 10_000)]
    description["training"] = [True]
    members["params.npy"] = header((200_010_000,))


def ensemble_of_many(members, description):
    config(description)["ensemble_size"] = 10**9


def ensemble_without_parameters(members, description):
    config(description).update(ensemble_size=10**9, layers=config(description)["layers"][1:2])
    description["training"] = [True]
    members["params.npy"] = members["state.npy"] = header((10**9, 0))


def product_beyond_64_bits(members, description):
    config(description)["layers"] = [dense(2**33, 2**33)]


def text_longer_than_the_file(members, description):
    members["params.npy"] = header((), "<U999999999")


def many_layers(members, description):
    config(description)["layers"] += [dense(2, 2) for _ in range(8_000)]


def option_said_to_be_large(members, description):
    config(description)["penalties"] = [{"array": "big"}]
    members["big.npy"] = header((10**9,))


def large_seed_pool(members, description):
    text = json.dumps(description["rngs"])
    description["rngs"] = json.loads(text.replace('"pool_size", 4', '"pool_size", 1000000000'))
    assert json.dumps(description["rngs"]) != text


def network_within(members, description):
    inner = json.loads(json.dumps(description["model"]))
    config(description)["penalties"] = [inner]


def deep(members, description):
    return json.dumps(description).replace('"penalties": []', '"penalties": ' + "[" * 10**6)


def deep_and_closed(members, description):
    nested = "[" * 50_000 + "]" * 50_000
    return json.dumps(description).replace('"penalties": []', '"penalties": ' + nested)


def list_of(piece, times):
    def change(members, description):
        pieces = ",".join([piece] * times)
        return json.dumps(description).replace('"penalties": []', f'"penalties": [{pieces}]')

    return change


def many_names(members, description):
    names = ",".join(f'"name{i}":1' for i in range(400_000))
    return json.dumps(description).replace('"penalties": []', f'"penalties": {{"a":{{{names}}}}}')


def long_name(members, description):
    config(description)["x" * 3_000_000] = 1


def long_class(members, description):
    description["model"]["object"]["class"] = "x" * 3_000_000


def long_number(members, description):
    return json.dumps(description).replace('"penalties": []', '"penalties": ' + "9" * 10**6)


def same_array_often(members, description):
    config(description)["penalties"] = [{"array": "big"}] * 1000
    members["big.npy"] = stored(np.zeros(200_000))


SIZES = {
    wide: r"params expects shape \(200010000,\) of float32 .* got \(34,\)",
    wide_and_said_to_be_there: "'params' expects 800,040,000 bytes .* got 0",
    ensemble_of_many: "ensemble_size expects an int from 1 to 1000000",
    ensemble_without_parameters: "ensemble_size expects an int from 1 to 1000000",
    product_beyond_64_bits: r"expects shape \(73786976303428141056,\)",
    text_longer_than_the_file: "cannot be read as an mlpgrad model",
    many_layers: r"expects shape \(48034,\)",
    option_said_to_be_large: "'big' expects 4,000,000,000 bytes .* got 0",
    large_seed_pool: "seed of the random generator PCG64 is out of bounds",
    network_within: "network within a network",
    deep: "nested too deeply|too much memory",
    deep_and_closed: "nested too deeply",
    list_of("[]", 300_000): "too much memory",
    list_of("[[]]", 300_000): "too much memory",
    list_of("{}", 300_000): "too much memory",
    list_of('"ab"', 900_000): "too much memory",
    list_of('"\\u00e9\\u00e9"', 300_000): "penalties expects",
    list_of('"éé"', 10): "not ASCII",
    list_of('{"dict":[[1,2],[3,4]]}', 100_000): "too much memory",
    list_of('{"generator":["PCG64",{"tuple":[]},0]}', 20_000): "cannot be read",
    many_names: "unknown kind of value, 'a'|too much memory",
    long_name: "instead of a name",
    long_class: "instead of a name",
    long_number: "Exceeds the limit",
    same_array_often: "penalties expects",
}


@pytest.mark.parametrize(
    ("change", "words"), SIZES.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_descriptions_larger_than_their_files(tmp_path, work, change, words):
    path = tmp_path / "model.npz"
    members, description = members_of(small(), path)
    assert isinstance(loaded(path, work), mg.Sequential)
    text = change(members, description)
    write(path, members, description if text is None else text)
    said = loaded(path, work)
    assert isinstance(said, str)
    with pytest.raises(ValueError, match=words):
        raise ValueError(said)


# members


def compressed(path, members, description):
    zeros = stored(np.zeros(0, np.float32))
    members["params.npy"] = header((100_000_000,)) + bytes(4 * 100_000_000)
    config(description)["layers"] = [dense(9_999, 10_000)]
    members["state.npy"] = zeros
    write(path, members, description, packed=["params.npy"])


def compressed_description(path, members, description):
    text = json.dumps(description) + " " * 10_000_000
    write(path, members, text, packed=["description.npy"])


def twice(path, members, description):
    write(path, [*members.items(), ("params.npy", members["params.npy"])], description)


def fewer_bytes_than_declared(path, members, description):
    members["params.npy"] = members["params.npy"][:-4]
    write(path, members, description)


def more_bytes_than_declared(path, members, description):
    members["params.npy"] += bytes(4)
    write(path, members, description)


def sizes_that_lie(path, members, description):
    """The directory of the file gives one member a length of 3 GB, stored and unpacked."""
    write(path, members, description)
    content = bytearray(path.read_bytes())
    entry = content.index(b"PK\1\2")
    content[entry + 20 : entry + 28] = struct.pack("<2I", 3_000_000_000, 3_000_000_000)
    path.write_bytes(content)


def list_that_lies(path, members, description):
    write(path, members, description)
    content = bytearray(path.read_bytes())
    content[-10:-6] = struct.pack("<I", 2_000_000_000)
    path.write_bytes(content)


def list_of_members_alone(path, members, description):
    """A million members, which all have the same place in the file."""
    entry = b"PK\1\2" + bytes(24) + struct.pack("<H", 6) + bytes(16)
    listed = b"".join(entry + f"{i:06}".encode() for i in range(400_000))
    end = b"PK\5\6" + bytes(8) + struct.pack("<2I", len(listed), 0) + bytes(2)
    path.write_bytes(listed + end)


def an_object(path, members, description):
    array = np.array([print], dtype=object)
    write(path, members | {"params.npy": stored(array)}, description)


def missing_option(path, members, description):
    config(description)["penalties"] = [{"array": "../../etc/passwd"}]
    write(path, members, description)


def columns(path, members, description):
    content = members["params.npy"].replace(b"'fortran_order': False", b"'fortran_order': True ")
    write(path, members | {"params.npy": content}, description)


def odd_header(path, members, description):
    content = members["params.npy"].replace(b"(34,)", b"(2*17,)")[:-2]
    write(path, members | {"params.npy": content}, description)


MEMBERS = {
    compressed: "'params' is compressed",
    compressed_description: "'description' is compressed",
    twice: "two of its members have the same name",
    fewer_bytes_than_declared: "'params' expects 136 bytes .* got 132",
    more_bytes_than_declared: "'params' expects 136 bytes .* got 140",
    sizes_that_lie: "longer than the file",
    list_that_lies: "too much memory",
    list_of_members_alone: "too much memory",
    an_object: "Object arrays cannot be loaded",
    missing_option: "passwd' is missing",
    columns: "not an array of numbers or text",
    odd_header: "not an array of numbers or text",
}


@pytest.mark.parametrize(
    ("make", "words"), MEMBERS.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_members_that_are_not_what_they_seem(tmp_path, work, make, words):
    path = tmp_path / "model.npz"
    members, description = members_of(small(), path)
    assert isinstance(loaded(path, work), mg.Sequential)
    make(path, members, description)
    said = loaded(path, work)
    assert isinstance(said, str)
    with pytest.raises(ValueError, match=words):
        raise ValueError(said)


def test_members_that_nobody_asks_for_are_not_read(tmp_path, work):
    path = tmp_path / "model.npz"
    members, description = members_of(small(), path)
    zeros = bytes(50_000_000)
    others = {"huge.npy": zeros, "../outside.npy": b"x", "/etc/outside": b"x", "pickle.npy": b"."}
    others |= {f"{number}.npy": header((10**9,)) for number in range(20_000)}
    write(path, members | others, description, packed=["huge.npy"])
    assert isinstance(loaded(path, work), mg.Sequential)
    assert work["read"] < 20_000
    assert [each.name for each in tmp_path.iterdir()] == ["model.npz"]


# valid models


def test_a_large_model_is_read_into_its_place(tmp_path, work):
    layers = [mg.Dense(1500, 1500), mg.Tanh(), mg.Dense(1500, 1500)]
    model = mg.Sequential(layers, loss=mg.HalfSquaredError(), penalties=[mg.L2(0.1)])
    model.save(tmp_path / "model.npz")
    assert (tmp_path / "model.npz").stat().st_size > 18_000_000
    assert loaded(tmp_path / "model.npz", work).params.tobytes() == model.params.tobytes()


def test_a_large_ensemble_is_read_within_the_bounds(tmp_path, work):
    model = mg.Sequential([mg.Dense(2, 1)], loss=mg.HalfSquaredError(), ensemble_size=5000)
    model.save(tmp_path / "model.npz")
    assert loaded(tmp_path / "model.npz", work).params.tobytes() == model.params.tobytes()


class Warm(mg.Sequential):
    """A user's model that draws its own initial values."""

    def __init__(self, width, *, random_state=None):
        self.width = width
        self.drafts = mg.Sequential([mg.Dense(2, 2)], loss=mg.HalfSquaredError(), random_state=1)
        super().__init__(
            [mg.Dense(2, width)], loss=mg.HalfSquaredError(), random_state=random_state
        )
        self.params = self.rngs[0].normal(size=self.params.shape)


def test_a_users_constructor_does_not_change_what_was_saved(tmp_path):
    model = Warm(3, random_state=0)
    model.params += 1
    model.save(tmp_path / "model.npz")
    twin = mg.load(tmp_path / "model.npz")
    assert twin.params.tobytes() == model.params.tobytes()
    assert twin.drafts.params.tobytes() == model.drafts.params.tobytes()
    assert twin.rngs[0].random() == model.rngs[0].random()
    assert twin.copy().params.tobytes() == model.params.tobytes()


def test_a_network_among_the_options_is_not_saved(tmp_path):
    model = mg.Sequential([mg.Dense(2, 2, initializer=mg.Zeros())], loss=mg.HalfSquaredError())
    vars(model.layers[0])["bias"] = small()  # an assignment would be refused
    with pytest.raises(TypeError, match=r"Dense\.bias is a network, .* save it separately"):
        model.save(tmp_path / "model.npz")


# the encoder of a table


def with_table():
    encoder = mg.tables.TableEncoder(mg.tables.QuantileBins(4))
    table = {"size": [1.0, 2.0, None, 4.0, 5.0], "town": ["Ulm", "Bonn", "Ulm", None, "Ulm"]}
    width = encoder.fit(table).width
    layers = [mg.Tanh(), mg.Dense(width, 1)]
    return mg.Sequential(layers, loss=mg.HalfSquaredError(), encoder=encoder, random_state=0)


def wide_columns(members, plan, states):
    for column in plan:
        column[3] = 1 << 24


def codes_without_width(members, plan, states):
    plan[1][3] = 0


def many_edges(members, plan, states):
    replace(states, "edges", {"array": "big"})
    members["big.npy"] = stored(np.arange(1_000_000.0))


def array_for_a_number(members, plan, states):
    replace(states, "median", {"array": "big"})
    members["big.npy"] = stored(np.ones((10_000_000, 1), np.int8))


def array_for_levels(members, plan, states):
    replace(states, "levels", {"array": "big"})
    members["big.npy"] = stored(np.arange(2_000_000, dtype=np.float32))


def words_for_levels(members, plan, states):
    replace(states, "levels", {"array": "big"})
    members["big.npy"] = stored(np.full(3_000_000, "a"))


def replace(value, name, new):
    """Replace what is kept under a name, however deep in a description."""
    for item in value if isinstance(value, list) else value.values():
        if isinstance(item, list) and item[:1] == [name]:
            item[1] = new
        elif isinstance(item, (list, dict)):
            replace(item, name, new)


TABLES = {
    wide_columns: "makes 33554432 features",
    codes_without_width: "inconsistent",
    many_edges: "inconsistent",
    array_for_a_number: "inconsistent",
    array_for_levels: "inconsistent",
    words_for_levels: "inconsistent",
}


@pytest.mark.parametrize(
    ("change", "words"), TABLES.items(), ids=lambda v: getattr(v, "__name__", "")
)
def test_encoders_larger_than_their_files(tmp_path, work, change, words):
    path = tmp_path / "model.npz"
    members, description = members_of(with_table(), path)
    assert isinstance(loaded(path, work), mg.Sequential)
    encoder = dict(dict(description["data"]["dict"])["encoder"]["dict"])
    change(members, encoder["plan"], encoder["states"])
    write(path, members, description)
    said = loaded(path, work)
    assert isinstance(said, str)
    with pytest.raises(ValueError, match=words):
        raise ValueError(said)


# options


NUMBERS = [float("nan"), float("inf"), 1e308, -1e308, 1e-320, 10**400, -1, 0, "text", [], {}, None]
CASES = [(layer_case, cls) for cls in LAYERS if cls != mg.Elementwise]
CASES += [(loss_case, cls) for cls in LOSSES]


def objects(value):
    """The options of every object in a description."""
    if isinstance(value, dict):
        if "object" in value:
            yield value["object"]["config"]
        value = list(value.values())
    for item in value if isinstance(value, list) else []:
        yield from objects(item)


@pytest.mark.parametrize(("case", "cls"), CASES, ids=[cls.__name__ for _, cls in CASES])
def test_any_number_in_any_option_is_refused_or_read(tmp_path, work, case, cls):
    path = tmp_path / "model.npz"
    members, description = members_of(case(cls)[0], path)
    work["drawn"], text = 0, json.dumps(description)
    places = [(i, name) for i, found in enumerate(objects(description)) for name in found]
    refused = []
    for i, name in places:
        for number in NUMBERS:
            changed = json.loads(text)
            list(objects(changed))[i][name] = number
            write(path, members, changed)
            try:
                assert isinstance(mg.load(path), mg.Sequential)
            except ValueError as error:
                refused.append(str(error))
    assert len(refused) > len(places)
    assert all("model.npz cannot be read as an mlpgrad model" in said for said in refused)
    assert work["drawn"] == 0


# damage


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(damage=st.data())
def test_damage_gives_the_same_model_or_a_clear_error(tmp_path, work, damage):
    """Flip bits or cut off bytes; a warning fails the test, too."""
    path = tmp_path / "model.npz"
    model = mg.Sequential(
        [mg.Dense(3, 2), mg.BatchNorm(2), mg.LeakyReLU(np.float32(0.1))],
        loss=mg.Quantile([0.1, 0.9]),
        random_state=np.random.Generator(np.random.MT19937(1)),
    )
    model.save(path)
    content = bytearray(path.read_bytes())
    if damage.draw(st.booleans(), label="cut"):
        del content[damage.draw(st.integers(0, len(content) - 1), label="at") :]
    else:
        for bit in damage.draw(st.sets(st.integers(0, 8 * len(content) - 1), min_size=1)):
            content[bit // 8] ^= 1 << bit % 8
    path.write_bytes(content)
    found = loaded(path, work)
    if isinstance(found, str):
        assert "model.npz cannot be read as an mlpgrad model" in found
    else:
        assert found.params.tobytes() == model.params.tobytes()
        assert found.state.tobytes() == model.state.tobytes()
        assert repr(found) == repr(model)
