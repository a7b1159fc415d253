"""Write metrics.json: scikit-learn's metrics (needs scikit-learn; the tests do not).

python tests/golden/make_metrics.py
"""

import json
from pathlib import Path

import numpy as np

PATH = Path(__file__).with_name("metrics.json")
SAMPLES = 60


def softmax(logits):
    exponentials = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return exponentials / exponentials.sum(axis=-1, keepdims=True)


def sigmoid(logits):
    return 1 / (1 + np.exp(-logits))


def data_sets():
    """Predictions and targets by name, with the loss that defines their meaning."""
    rng = np.random.default_rng(0)
    tied = np.round(1.5 * rng.normal(size=(SAMPLES, 1)), 1)  # with many equal scores
    bits = (tied[:, 0] + rng.normal(size=SAMPLES) > 0.3).astype(int)
    two = np.round(rng.normal(size=(SAMPLES, 2)), 1)
    logits = 1.3 * rng.normal(size=(SAMPLES, 5))
    logits[:, 4] -= 9  # a class that is never predicted
    classes = (logits + rng.normal(size=logits.shape)).argmax(axis=-1)
    classes[[3, 30]] = 4
    absent = np.where(classes == 2, 1, classes)  # a class that never occurs, nor is predicted
    without = logits - np.where(np.arange(5) == 2, 20, 0)
    labels = (np.round(logits[:, :3], 1) + rng.normal(size=(SAMPLES, 3)) > 0).astype(int)
    numbers = rng.normal(size=(SAMPLES, 2)) * [1.0, 30.0]
    noisy = numbers + rng.normal(size=(SAMPLES, 2)) * [0.3, 20.0]
    constant = numbers * [1, 0]  # for others, scikit-learn has a variance by rounding
    return {
        "binary": ("SigmoidCrossEntropy()", tied, bits),
        "two classes": ("SoftmaxCrossEntropy()", two, bits),
        "five classes": ("SoftmaxCrossEntropy()", logits, classes),
        "an absent class": ("SoftmaxCrossEntropy()", without, absent),
        "labels": ("SigmoidCrossEntropy()", np.round(logits[:, :3], 1), labels),
        "an unused label": (
            "SigmoidCrossEntropy()",
            np.round(logits[:, :3], 1) - [0, 20, 0],
            labels * [1, 0, 1],
        ),
        "numbers": ("MeanSquaredError()", noisy, numbers),
        "one number": ("MeanSquaredError()", noisy[:, :1], numbers[:, :1]),
        "far from zero": ("MeanSquaredError()", 1e6 + noisy[:, :1], 1e6 + numbers[:, :1]),
        "a constant": ("MeanSquaredError()", noisy, constant),
    }


def confusion(sk, name, data, logits, target, w):
    """Precision, recall and F1 with every average."""
    if "label" in data:
        predicted, first = (logits > 0).astype(int), "macro"
    elif data == "binary":
        predicted, first = (logits[:, 0] > 0).astype(int), "binary"
    else:
        predicted = logits.argmax(axis=-1)
        first = "binary" if data == "two classes" else "macro"
    function = {"Precision": sk.precision_score, "Recall": sk.recall_score, "F1": sk.f1_score}[name]
    found = {}
    for average in ("auto", "macro", "micro", "weighted"):
        option = first if average == "auto" else average
        found[f"{name}({average!r})"] = function(
            target, predicted, average=option, sample_weight=w, zero_division=0.0
        )
    return found


def calibration(p, target, w, bins):
    """The calibration error by weighted histograms of all and of correct predictions."""
    confidence, right = p.max(axis=-1), p.argmax(axis=-1) == target
    error = 0.0
    for b in range(bins):
        inside = (confidence > b / bins) & (confidence <= (b + 1) / bins)
        if w[inside].sum() > 0:
            gap = np.average(right[inside] - confidence[inside], weights=w[inside])
            error += w[inside].sum() / w.sum() * abs(gap)
    return error


def of_classes(sk, data, logits, target, w):
    """The metrics for one class per sample, or for labels."""
    found = {}
    for name in ("Precision", "Recall", "F1"):
        found |= confusion(sk, name, data, logits, target, w)
    if "label" in data:
        p = sigmoid(logits)
        found["Accuracy()"] = sk.accuracy_score(target, logits > 0, sample_weight=w)
        columns = list(zip(target.T, p.T, strict=True))
        used = [(t, q) for t, q in columns if t.any()]
        areas = [sk.roc_auc_score(t, q, sample_weight=w) for t, q in used]
        found["AUC()"] = np.mean(areas)
        losses = [sk.log_loss(t, q, labels=[0, 1], sample_weight=w) for t, q in columns]
        found["LogLoss()"] = np.mean(losses)
        return found
    p = softmax(logits)
    if data == "binary":
        p = np.concatenate([1 - sigmoid(logits), sigmoid(logits)], axis=-1)
    known = np.arange(p.shape[-1])
    found["Accuracy()"] = sk.accuracy_score(target, p.argmax(axis=-1), sample_weight=w)
    found["LogLoss()"] = sk.log_loss(target, p, labels=known, sample_weight=w)
    weights = np.ones(SAMPLES) if w is None else w
    for bins in (15, 4):
        found[f"CalibrationError({bins})"] = calibration(p, target, weights, bins)
    if p.shape[-1] == 2:
        found["AUC()"] = sk.roc_auc_score(target, p[:, 1], sample_weight=w)
        return found
    present = np.unique(target)
    areas = [sk.roc_auc_score(target == k, p[:, k], sample_weight=w) for k in present]
    found["AUC()"] = np.mean(areas)
    if len(present) == len(known):
        ours = sk.roc_auc_score(target, p, multi_class="ovr", sample_weight=w)
        assert abs(ours - found["AUC()"]) < 1e-12
    for k in (1, 2, 3):
        found[f"TopK({k})"] = sk.top_k_accuracy_score(
            target, logits, k=k, labels=known, sample_weight=w
        )
    return found


def of_numbers(sk, prediction, target, w):
    """The metrics for numeric targets."""
    options = {"sample_weight": w}
    return {
        "MeanAbsolute()": sk.mean_absolute_error(target, prediction, **options),
        "RootMeanSquared()": np.sqrt(sk.mean_squared_error(target, prediction, **options)),
        "MeanAbsolutePercentageError()": sk.mean_absolute_percentage_error(
            target, prediction, **options
        ),
        "R2()": sk.r2_score(target, prediction, **options),
    }


def main():
    import sklearn
    from sklearn import metrics as sk

    rng = np.random.default_rng(1)
    all_weights = {
        "without weights": None,
        "weights": rng.random(SAMPLES),
        "some zero": rng.integers(0, 3, SAMPLES).astype(float),
    }
    stored = {"made_with": f"scikit-learn {sklearn.__version__}", "data": {}}
    stored["weights"] = {n: None if w is None else w.tolist() for n, w in all_weights.items()}
    for name, (loss, prediction, target) in data_sets().items():
        values = {}
        for kind, w in all_weights.items():
            if loss == "MeanSquaredError()":
                found = of_numbers(sk, prediction, target, w)
            else:
                found = of_classes(sk, name, prediction, target, w)
            values[kind] = {metric: float(value) for metric, value in found.items()}
        stored["data"][name] = {
            "loss": loss,
            "prediction": prediction.tolist(),
            "target": target.tolist(),
            "values": values,
        }
    PATH.write_text(json.dumps(stored) + "\n")


if __name__ == "__main__":
    main()
