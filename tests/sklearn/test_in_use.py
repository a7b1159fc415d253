"""The estimators in scikit-learn's tools: pipelines, searches, joblib, routing, frames."""

import io

import joblib
import numpy as np
import pytest

pytest.importorskip("sklearn")

import pandas as pd
import sklearn
from sklearn.compose import TransformedTargetRegressor
from sklearn.datasets import load_diabetes, load_iris
from sklearn.ensemble import BaggingClassifier, VotingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_val_score,
)
from sklearn.multioutput import ClassifierChain
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler

import mlpgrad as mg
from mlpgrad.sklearn import MLPClassifier, MLPRegressor, TabularMLPClassifier

pytestmark = pytest.mark.filterwarnings(
    "ignore:Stochastic Optimizer", "ignore:lbfgs failed to converge"
)

FLOWERS, SPECIES = load_iris(return_X_y=True, as_frame=True)
NAMES = SPECIES.map({0: "setosa", 1: "versicolor", 2: "virginica"})


def small(**options):
    return MLPClassifier((8,), max_iter=30, learning_rate_init=0.02, random_state=0, **options)


def test_pipelines_and_searches():
    pipeline = make_pipeline(StandardScaler(), small())
    grid = {"mlpclassifier__alpha": [1e-4, 1.0], "mlpclassifier__activation": ["tanh", mg.GELU()]}
    search = GridSearchCV(pipeline, grid, cv=3).fit(FLOWERS, NAMES)
    assert search.best_score_ > 0.85
    assert search.predict(FLOWERS[:3]).tolist() == ["setosa"] * 3
    halving = HalvingGridSearchCV(
        small(), {"alpha": [1e-3, 1e-1]}, resource="max_iter", max_resources=40, cv=3
    )
    assert halving.fit(FLOWERS, NAMES).best_estimator_.max_iter > 13


@pytest.mark.slow
def test_several_processes_and_threads_give_what_one_gives():
    alone = cross_val_score(small(), FLOWERS, NAMES, cv=2)
    for backend in ("loky", "threading"):
        with joblib.parallel_backend(backend, n_jobs=2):
            np.testing.assert_array_equal(cross_val_score(small(), FLOWERS, NAMES, cv=2), alone)


def test_meta_estimators():
    x, y = FLOWERS.to_numpy(), SPECIES.to_numpy()
    voting = VotingClassifier([("a", small()), ("b", LogisticRegression())], voting="soft")
    assert voting.fit(x, y).score(x, y) > 0.9
    assert BaggingClassifier(small(), n_estimators=2, random_state=0).fit(x, y).score(x, y) > 0.8
    labels = np.column_stack([y == 0, y == 1]).astype(int)
    assert ClassifierChain(small()).fit(x, labels).predict(x).shape == (150, 2)
    probabilities = cross_val_predict(small(), x, y, method="predict_proba", cv=2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    patients, progress = load_diabetes(return_X_y=True)
    regressor = MLPRegressor(hidden_layer_sizes=(8,), max_iter=60, learning_rate_init=0.02)
    scaled = TransformedTargetRegressor(regressor, transformer=StandardScaler())
    assert scaled.fit(patients * 20, progress).score(patients * 20, progress) > 0.4


def test_names_of_columns_are_kept_and_compared():
    found = small().fit(FLOWERS, NAMES)
    assert found.feature_names_in_.tolist() == FLOWERS.columns.tolist()
    with pytest.raises(ValueError, match="feature names"):
        found.predict(FLOWERS.rename(columns={FLOWERS.columns[0]: "other"}))
    with pytest.warns(UserWarning, match="valid feature names"):
        found.predict(FLOWERS.to_numpy())


def test_output_frames_pass_through_a_pipeline():
    pipeline = make_pipeline(StandardScaler(), small()).set_output(transform="pandas")
    pipeline.fit(FLOWERS, NAMES)
    assert pipeline[-1].feature_names_in_.tolist() == FLOWERS.columns.tolist()


def test_weights_are_routed():
    weights = np.random.default_rng(0).uniform(0.5, 2, 150)
    with sklearn.config_context(enable_metadata_routing=True):
        requesting = (
            small().set_fit_request(sample_weight=True).set_score_request(sample_weight=True)
        )
        search = GridSearchCV(requesting, {"alpha": [1e-3]}, cv=2)
        routed = make_pipeline(search).fit(FLOWERS, NAMES, sample_weight=weights)
    alone = small(alpha=1e-3).fit(FLOWERS, NAMES, sample_weight=weights)
    best = routed[-1].best_estimator_
    np.testing.assert_array_equal(best.coefs_[0], alone.coefs_[0])


def test_what_a_notebook_shows():
    found = small(activation=mg.GELU(), n_members=3)
    html = found._repr_html_()
    assert "MLPClassifier" in html
    assert "n_members" in html
    assert "GELU()" in repr(found)
    assert "beta_1" not in repr(found)


def test_joblib_keeps_what_training_goes_on_from():
    partial, kept = small(), small()
    for estimator in (partial, kept):
        estimator.partial_fit(FLOWERS, NAMES, classes=sorted(set(NAMES)))
    file = io.BytesIO()
    joblib.dump(partial, file)
    file.seek(0)
    loaded = joblib.load(file)
    for estimator in (loaded, kept):
        estimator.partial_fit(FLOWERS, NAMES)
    np.testing.assert_array_equal(loaded.coefs_[0], kept.coefs_[0])
    np.testing.assert_array_equal(loaded.predict(FLOWERS), kept.predict(FLOWERS))


def test_frames_of_nullable_columns():
    nullable = FLOWERS.convert_dtypes()
    np.testing.assert_array_equal(
        small().fit(nullable, NAMES).predict_proba(nullable),
        small().fit(FLOWERS, NAMES).predict_proba(FLOWERS),
    )
    assert isinstance(nullable.dtypes.iloc[0], pd.Float64Dtype)


# the pair for tables


def test_tables_pass_through_pipelines_and_searches():
    table = FLOWERS.assign(colour=np.where(np.arange(150) % 2, "blue", None))
    few = {"candidates": ["plain"], "n_members": 2, "max_epochs": 20, "learning_rate": 0.01}
    flowers = TabularMLPClassifier((16,), **few, random_state=0)
    pipeline = make_pipeline(FunctionTransformer(lambda x: x.iloc[:, 2:]), flowers)
    grid = {"tabularmlpclassifier__dropout": [0.0, 0.2]}
    assert GridSearchCV(pipeline, grid, cv=2).fit(table, NAMES).best_score_ > 0.8
    halving = HalvingGridSearchCV(
        flowers, {"dropout": [0.0, 0.2]}, resource="max_epochs", max_resources=20, cv=2
    )
    assert halving.fit(table, NAMES).best_estimator_.max_epochs > 6
    probabilities = cross_val_predict(flowers, table, NAMES, method="predict_proba", cv=2)
    np.testing.assert_allclose(probabilities.sum(axis=1), 1)
    assert "dropout" in flowers._repr_html_()


def test_folds_and_weights_are_routed_to_tables():
    weights, folds = np.random.default_rng(0).uniform(0.5, 2, 150), np.arange(150) % 2
    few = {"candidates": ["plain"], "n_members": 2, "max_epochs": 3, "random_state": 0}
    with sklearn.config_context(enable_metadata_routing=True):
        asking = TabularMLPClassifier((8,), **few).set_fit_request(sample_weight=True, folds=True)
        pipeline = make_pipeline(FunctionTransformer(lambda x: x.iloc[:, 2:]), asking)
        found = pipeline.fit(FLOWERS, NAMES, sample_weight=weights, folds=folds)[-1]
    np.testing.assert_array_equal(found.folds_, folds)
    rows = FLOWERS.iloc[:, 2:]
    unweighted = TabularMLPClassifier((8,), **few).fit(rows, NAMES, folds=folds)
    assert found.oof_loss_ != unweighted.oof_loss_
    file = io.BytesIO()
    joblib.dump(found, file)
    file.seek(0)
    loaded = joblib.load(file)
    np.testing.assert_array_equal(loaded.predict_proba(rows), found.predict_proba(rows))
