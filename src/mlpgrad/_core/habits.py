"""Names from other libraries, and what to write here: one line for each.

Each table maps a name to the code to write; `# ...` at its end is the reason. The code runs: with
the few variables that `tests/test_habits.py` defines, it is executed there.
"""

from __future__ import annotations

NEW_MODEL = "mg.Sequential(layers, loss=mg.SoftmaxCrossEntropy())"
FIT = "model.fit(x, y, optimizer=mg.Adam(1e-3))"
PREDICT = "model.predict(x)"
WEIGHTS = "model.get_weights()"
PENALTIES = "mg.Sequential(layers, loss=loss, penalties=[mg.L2(1e-4)])"
SPLIT = "mg.datasets.split(x, y, 0.2)"
STANDARDIZE = "mg.datasets.standardize(x)"
STEPS = "  # it finds the length of its steps itself"
CLIPPED = "  # a clipped gradient is not that of the objective that its steps must lower"
LOGITS = "mg.SoftmaxCrossEntropy()  # it takes logits: no Softmax before it"
BINARY = "mg.SigmoidCrossEntropy()  # it takes logits: no Sigmoid before it"

PACKAGE: dict[str, str] = {
    # layers
    "Linear": "mg.Dense(in_features, out_features)",
    "LazyLinear": "mg.Dense(in_features, out_features)",
    "FullyConnected": "mg.Dense(in_features, out_features)",
    "BatchNorm1d": "mg.BatchNorm(in_features)",
    "BatchNormalization": "mg.BatchNorm(in_features)",
    "LayerNormalization": "mg.LayerNorm(in_features)",
    "Normalization": "mg.Standardize(in_features)",
    "Flatten": "x.reshape(len(x), -1)  # rows are samples",
    "Input": "mg.Dense(in_features, out_features)  # the first layer states the width",
    "InputLayer": "mg.Dense(in_features, out_features)  # the first layer states the width",
    "Swish": "mg.SiLU()",
    "Lambda": "mg.Elementwise(np.sin, np.cos)  # a function and its derivative",
    # losses
    "MSE": "mg.MeanSquaredError()",
    "MSELoss": "mg.MeanSquaredError()",
    "L2Loss": "mg.MeanSquaredError()",
    "MAE": "mg.MeanAbsoluteError()",
    "L1Loss": "mg.MeanAbsoluteError()",
    "RMSE": "mg.RootMeanSquared()",
    "MAPE": "mg.MeanAbsolutePercentageError()",
    "HuberLoss": "mg.Huber()",
    "SmoothL1Loss": "mg.Huber()",
    "HingeLoss": "mg.Hinge()",
    "FocalLoss": "mg.SoftmaxFocal()  # or SigmoidFocal; both take logits",
    "sigmoid_focal_loss": "mg.SigmoidFocal(focus=2.0, balance=0.25)  # it takes logits",
    "BinaryFocalCrossentropy": "mg.SigmoidFocal()  # it takes logits: no Sigmoid before it",
    "CategoricalFocalCrossentropy": "mg.SoftmaxFocal()  # it takes logits: no Softmax before it",
    "PinballLoss": "mg.Quantile(0.5)",
    "PoissonNLLLoss": "mg.Poisson()",
    "GaussianNLLLoss": "mg.GaussianNLL()",
    "CrossEntropyLoss": LOGITS,
    "NLLLoss": LOGITS,
    "CategoricalCrossentropy": LOGITS,
    "SparseCategoricalCrossentropy": LOGITS,
    "BCELoss": BINARY,
    "BCEWithLogitsLoss": BINARY,
    "BinaryCrossentropy": BINARY,
    # metrics
    "BinaryAccuracy": "mg.Accuracy()",
    "CategoricalAccuracy": "mg.Accuracy()",
    "SparseCategoricalAccuracy": "mg.Accuracy()",
    "accuracy_score": "mg.Accuracy()",
    "f1_score": "mg.F1()",
    "r2_score": "mg.R2()",
    "roc_auc_score": "mg.AUC()",
    "RootMeanSquaredError": "mg.RootMeanSquared()",
    "F1Score": "mg.F1()",
    "R2Score": "mg.R2()",
    "AUROC": "mg.AUC()",
    # optimizers and schedules
    "Momentum": "mg.SGD(0.1, momentum=0.9)",
    "optim": "mg.Adam(1e-3)",
    "trainlm": "mg.LevenbergMarquardt(regularisation=None)",
    "trainbr": "mg.LevenbergMarquardt()",
    "StepLR": "mg.StepDecay(0.1, every=100)",
    "ExponentialLR": "mg.ExponentialDecay(0.1, factor=0.5, every=100)",
    "CosineAnnealingLR": "mg.CosineDecay(0.1, steps=1000)",
    "OneCycleLR": "mg.OneCycle(0.1, steps=1000)",
    "LinearLR": "mg.WarmUp(0.1, steps=100)",
    "LambdaLR": "mg.SGD(lambda steps: 0.1 / (1 + steps))",
    "LearningRateScheduler": "mg.SGD(lambda steps: 0.1 / (1 + steps))",
    "ReduceLROnPlateau": "mg.ReduceOnPlateau()",
    # initializers and penalties
    "XavierUniform": "mg.GlorotUniform()",
    "XavierNormal": "mg.GlorotNormal()",
    "KaimingUniform": "mg.HeUniform()",
    "KaimingNormal": "mg.HeNormal()",
    "regularizers": PENALTIES,
    # models and training
    "Model": NEW_MODEL,
    "Module": NEW_MODEL,
    "MLP": NEW_MODEL,
    "MLPClassifier": NEW_MODEL,
    "MLPRegressor": "mg.Sequential(layers, loss=mg.MeanSquaredError())",
    "nn": NEW_MODEL,
    "DataLoader": "model.fit(x, y, optimizer=mg.Adam(1e-3), batch_size=32)",
    "CSVLogger": "history.to_frame().to_csv(path)",
    "manual_seed": "mg.Sequential(layers, loss=loss, random_state=0)",
    "set_random_seed": "mg.Sequential(layers, loss=loss, random_state=0)",
    "no_grad": "model.predict(x)  # it computes no gradients",
    "load_model": "mg.load(path)",
    "save": "model.save(path)",
    "save_model": "model.save(path)",
    "tensor": "np.asarray(x)  # models take NumPy arrays",
    "Tensor": "np.asarray(x)  # models take NumPy arrays",
    # data
    "train_test_split": SPLIT,
    "StandardScaler": "mg.Standardize(in_features)  # as first layer; fit takes mean and deviation",
    "to_categorical": f"{FIT}  # it learns the labels of y",
    "LabelEncoder": f"{FIT}  # it learns the labels of y",
}
"""Names that other libraries have for members of the package: `mg.Linear`."""

MODEL: dict[str, str] = {
    "compile": FIT + "  # the loss belongs to the model",
    "train": FIT,
    "train_on_batch": FIT,
    "partial_fit": FIT,
    "fit_predict": FIT,
    "check_gradients": "mg.check_gradients(model, x, y)",
    "gradcheck": "mg.check_gradients(model, x, y)",
    "explain": "mg.explain(model, x, y)",
    "hvp": "model.hessian_vector_product(x, y, np.ones_like(model.params))",
    "forward": PREDICT,
    "eval": PREDICT + "  # it is always in prediction mode",
    "transform": PREDICT,
    "fit_transform": FIT,
    "fit_generator": FIT,
    "decision_function": PREDICT,
    "predict_log_proba": "np.log(model.predict_proba(x))",
    "predict_on_batch": PREDICT,
    "score": "model.evaluate(x, y)",
    "test_on_batch": "model.evaluate(x, y)",
    "backward": "model.backpropagate(x, y)",
    "zero_grad": "model.backpropagate(x, y)  # it overwrites the gradients, nothing to zero",
    "grad": "model.grads",
    "gradients": "model.grads",
    "optimizer": FIT,
    "history": "history = " + FIT,
    "weights": WEIGHTS,
    "coefs_": WEIGHTS,
    "coef_": WEIGHTS,
    "intercepts_": WEIGHTS,
    "named_parameters": WEIGHTS,
    "trainable_weights": WEIGHTS,
    "trainable_variables": WEIGHTS,
    "state_dict": WEIGHTS,
    "load_state_dict": "model.set_weights(model.get_weights())",
    "save_weights": "model.save(path)",
    "load_weights": "mg.load(path)",
    "count_params": "model.params.size",
    "modules": "model.layers",
    "children": "model.layers",
    "add": "mg.Sequential([*layers, mg.Dense(3, 3)], loss=loss)  # a model's layers are fixed",
    "append": "mg.Sequential([*layers, mg.Dense(3, 3)], loss=loss)  # a model's layers are fixed",
    "clone": "model.copy()",
    "to": 'model.lifted("float64")  # models compute on the CPU',
    "double": 'model.lifted("float64")',
    "float": 'model.lifted("float32")',
    "cuda": PREDICT + "  # models compute on the CPU",
    "cpu": PREDICT + "  # models compute on the CPU",
    "get_params": "model.config()",
}
"""Attributes of models in other libraries: `model.compile`."""

CALLED = PREDICT
"""What to write instead of `model(x)`."""
PARAMETERS = f"model.params  # or {WEIGHTS}"
"""What to write instead of `model.parameters()`."""

HISTORY: dict[str, str] = {
    "history": 'history["loss"]  # it is a dict of lists itself',
    "epoch": "range(history.epochs)",
    "loss_curve_": 'history["loss"]',
    "losses": 'history["loss"]',
    "to_pandas": "history.to_frame()",
    "to_dataframe": "history.to_frame()",
    "dataframe": "history.to_frame()",
    "df": "history.to_frame()",
}
"""Attributes of a History in other libraries: `history.history`."""

DATASETS: dict[str, str] = {
    "train_test_split": SPLIT,
    "random_split": SPLIT,
    "StratifiedShuffleSplit": SPLIT,
    "StandardScaler": STANDARDIZE,
    "scale": STANDARDIZE,
    "normalize": STANDARDIZE,
    "make_moons": "mg.datasets.moons(200)",
    "make_circles": "mg.datasets.circles(200)",
    "make_classification": "mg.datasets.moons(200)",
    "make_regression": "mg.datasets.regression(200)",
    "make_friedman1": "mg.datasets.regression(200)",
    "load_digits": "mg.datasets.digits()",
    "mnist": "mg.datasets.digits()",
    "read_csv": "mg.datasets.load_csv(table)",
    "to_categorical": "np.eye(3)[y]  # not needed: classes may be integers or text",
    "one_hot": "np.eye(3)[y]  # not needed: classes may be integers or text",
}
"""Names that other libraries have for members of `mg.datasets`."""

PLOTTING: dict[str, str] = {
    "plot_history": "mg.plotting.learning_curves(history)",
    "loss_curve": "mg.plotting.learning_curves(history)",
    "history": "mg.plotting.learning_curves(history)",
    "plot_decision_boundary": "mg.plotting.decision_boundary(planar, x2, y2)",
    "DecisionBoundaryDisplay": "mg.plotting.decision_boundary(planar, x2, y2)",
    "ConfusionMatrixDisplay": "mg.plotting.confusion_matrix(model, x, y)",
}
"""Names that other libraries have for members of `mg.plotting`."""

FAMILIES: dict[str, dict[str, str]] = {
    "Loss": {
        "mse": "mg.MeanSquaredError()",
        "squared_error": "mg.MeanSquaredError()",
        "mae": "mg.MeanAbsoluteError()",
        "l1": "mg.MeanAbsoluteError()",
        "absolute_error": "mg.MeanAbsoluteError()",
        "cross_entropy": "mg.SoftmaxCrossEntropy()",
        "categorical_crossentropy": "mg.SoftmaxCrossEntropy()",
        "sparse_categorical_crossentropy": "mg.SoftmaxCrossEntropy()",
        "focal": "mg.SoftmaxFocal()  # or SigmoidFocal; both take logits",
        "focal_loss": "mg.SoftmaxFocal()  # or SigmoidFocal; both take logits",
        "log_loss": "mg.SoftmaxCrossEntropy()",
        "bce": "mg.SigmoidCrossEntropy()",
        "binary_crossentropy": "mg.SigmoidCrossEntropy()",
    },
    "Optimizer": {"sgd": "mg.SGD(0.1)", "momentum": "mg.SGD(0.1, momentum=0.9)"},
    "Metric": {
        "acc": "mg.Accuracy()",
        "mae": "mg.MeanAbsolute()",
        "mean_absolute_error": "mg.MeanAbsolute()",
        "mse": "mg.RootMeanSquared()",
        "rmse": "mg.RootMeanSquared()",
        "mape": "mg.MeanAbsolutePercentageError()",
        "top_k": "mg.TopK(2)",
    },
    "Layer": {
        "linear": "mg.Identity()",
        "swish": "mg.SiLU()",
        "dense": "mg.Dense(in_features, out_features)",
        "batchnorm": "mg.BatchNorm(in_features)",
        "layernorm": "mg.LayerNorm(in_features)",
        "residual": "mg.Residual([mg.Tanh()])",
    },
    "Penalty": {"l1": "mg.L1(1e-4)", "l2": "mg.L2(1e-4)", "weight_decay": "mg.L2(1e-4)"},
    "Callback": {"model_checkpoint": "mg.ModelCheckpoint(path)"},
    "Initializer": {
        "xavier_uniform": "mg.GlorotUniform()",
        "xavier_normal": "mg.GlorotNormal()",
        "kaiming_uniform": "mg.HeUniform()",
        "kaiming_normal": "mg.HeNormal()",
        "ones": "mg.Constant(1.0)",
        "constant": "mg.Constant(0.1)",
    },
}
"""Strings given instead of an object, by the class of the object: `loss="mse"`."""

OPTIONS: dict[str, dict[str, str]] = {
    "Dense": {
        "activation": "[mg.Dense(in_features, out_features), mg.ReLU()]  # a layer of its own",
        "input_dim": "mg.Dense(in_features, out_features)",
        "input_shape": "mg.Dense(in_features, out_features)",
        "kernel_initializer": "mg.Dense(in_features, out_features, initializer=mg.HeNormal())",
        "kernel_regularizer": PENALTIES,
        "weight_decay": PENALTIES,
    },
    "Sequential": {
        "optimizer": FIT,
        "epochs": "model.fit(x, y, optimizer=mg.Adam(1e-3), epochs=10)",
        "batch_size": "model.fit(x, y, optimizer=mg.Adam(1e-3), batch_size=32)",
        "metrics": "model.evaluate(x, y, metrics=[mg.Accuracy()])",
        "activation": "[mg.Dense(in_features, out_features), mg.ReLU()]  # a layer of its own",
    },
    "fit": {
        "loss": NEW_MODEL,
        "learning_rate": "model.fit(x, y, optimizer=mg.Adam(1e-3))",
        "lr": "model.fit(x, y, optimizer=mg.Adam(1e-3))",
        "random_state": "mg.Sequential(layers, loss=loss, random_state=0)",
        "seed": "mg.Sequential(layers, loss=loss, random_state=0)",
        "penalties": PENALTIES,
    },
    "LevenbergMarquardt": {
        "learning_rate": f"mg.LevenbergMarquardt(){STEPS}",
        "lr": f"mg.LevenbergMarquardt(){STEPS}",
        "clip_norm": f"mg.LevenbergMarquardt(){CLIPPED}",
        "clip_value": f"mg.LevenbergMarquardt(){CLIPPED}",
        "max_norm": f"mg.LevenbergMarquardt(){CLIPPED}",
        "weight_decay": "mg.LevenbergMarquardt()  # with 'bayes' it is estimated",
        "mu_dec": "mg.LevenbergMarquardt(decrease=0.1)",
        "mu_inc": "mg.LevenbergMarquardt(increase=10.0)",
        "mu_max": "mg.LevenbergMarquardt(max_mu=1e10)",
    },
    "LBFGS": {
        "learning_rate": f"mg.LBFGS(){STEPS}",
        "lr": f"mg.LBFGS(){STEPS}",
        "clip_norm": f"mg.LBFGS(){CLIPPED}",
        "weight_decay": PENALTIES,
        "max_iter": "model.fit(x, y, optimizer=mg.LBFGS(), epochs=100)",
        "history_size": "mg.LBFGS(memory=10)",
    },
    "TrustNewton": {
        "learning_rate": f"mg.TrustNewton(){STEPS}",
        "lr": f"mg.TrustNewton(){STEPS}",
        "clip_norm": f"mg.TrustNewton(){CLIPPED}",
        "weight_decay": PENALTIES,
    },
    "SigmoidFocal": {
        "gamma": "mg.SigmoidFocal(focus=2.0)",
        "alpha": "mg.SigmoidFocal(focus=2.0, balance=0.25)",
    },
    "SoftmaxFocal": {
        "gamma": "mg.SoftmaxFocal(focus=2.0)",
        "alpha": "model.fit(x, y, optimizer=mg.Adam(1e-3), class_weight='balanced')",
    },
    "LeakyReLU": {"alpha": "mg.LeakyReLU(negative_slope=0.01)"},
    "ReduceOnPlateau": {"min_lr": "mg.ReduceOnPlateau(lowest=1e-3)  # a factor of the rate"},
    "predict": {"batch_size": PREDICT, "verbose": PREDICT},
    "evaluate": {"batch_size": "model.evaluate(x, y)", "verbose": "model.evaluate(x, y)"},
    "EarlyStopping": {
        "restore_best_weights": "mg.EarlyStopping(10)  # the best weights are always restored",
    },
    "ModelCheckpoint": {
        "filepath": "mg.ModelCheckpoint(path)",
        "save_best_only": "mg.ModelCheckpoint(path, best_only=True)",
    },
    "split": {
        "test_size": "mg.datasets.split(x, y, fraction=0.2)",
        "train_size": "mg.datasets.split(x, y, fraction=0.2)",
    },
    "moons": {"n_samples": "mg.datasets.moons(n=200)"},
    "circles": {"n_samples": "mg.datasets.circles(n=200)"},
    "regression": {
        "n_samples": "mg.datasets.regression(n=200)",
        "n_features": "mg.datasets.regression(features=5)",
    },
    "SoftmaxCrossEntropy": {"from_logits": LOGITS, "reduction": LOGITS},
    "SigmoidCrossEntropy": {"from_logits": BINARY, "reduction": BINARY},
}
"""Options without a counterpart of another name, by the class or function that takes them."""
