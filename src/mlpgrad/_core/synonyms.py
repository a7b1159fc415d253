"""Names that other libraries use for options, and their names here."""

from __future__ import annotations

from collections.abc import Iterable

SYNONYMS: dict[str, tuple[str, ...]] = {
    # optimizers: PyTorch, Keras, scikit-learn
    "lr": ("learning_rate", "rate", "peak"),
    "eta": ("learning_rate", "rate"),
    "eta0": ("learning_rate", "rate"),
    "learning_rate_init": ("learning_rate", "rate"),
    "initial_learning_rate": ("rate", "learning_rate"),
    "betas": ("beta1", "beta2"),
    "eps": ("epsilon",),
    "rho": ("decay",),
    "alpha": ("strength", "decay"),
    "decay_rate": ("factor", "decay"),
    "etas": ("eta_minus", "eta_plus"),
    "step_sizes": ("min_step", "max_step"),
    "clipnorm": ("clip_norm",),
    "max_grad_norm": ("clip_norm",),
    "grad_clip": ("clip_norm",),
    "clipvalue": ("clip_value",),
    # schedules
    "gamma": ("factor",),
    "step_size": ("every", "learning_rate"),
    "decay_steps": ("steps", "every"),
    "T_max": ("steps",),
    "total_steps": ("steps",),
    "warmup_steps": ("steps",),
    "eta_min": ("floor",),
    "max_lr": ("peak",),
    "pct_start": ("rising",),
    "div_factor": ("start_divisor",),
    "final_div_factor": ("end_divisor",),
    # penalties, layers, models, training
    "l1": ("strength",),
    "l2": ("strength",),
    "weight": ("strength",),
    "lambda_": ("strength",),
    "p": ("drop_probability",),
    "rate": ("drop_probability", "learning_rate"),
    "units": ("out_features",),
    "output_size": ("out_features",),
    "output_dim": ("out_features",),
    "n_outputs": ("out_features",),
    "input_size": ("in_features",),
    "input_dim": ("in_features",),
    "n_inputs": ("in_features",),
    "num_features": ("features",),
    "normalized_shape": ("features",),
    "embedding_dim": ("width",),
    "num_embeddings": ("codes",),
    "use_bias": ("bias",),
    "seed": ("random_state",),
    "max_iter": ("epochs",),
    "n_epochs": ("epochs",),
    "nb_epoch": ("epochs",),
    "num_epochs": ("epochs",),
    "n_iter": ("epochs",),
    "iterations": ("epochs",),
    "validation_fraction": ("validation_split",),
    "val_split": ("validation_split",),
    "eval_set": ("validation_data",),
    "validation_set": ("validation_data",),
    "val_data": ("validation_data",),
    "weights": ("sample_weight",),
    "target": ("y",),
    "targets": ("y",),
    "labels": ("y",),
    "tol": ("min_delta",),
    "threshold": ("min_delta",),
    "n_iter_no_change": ("patience",),
}
"""The possible meanings of a name; meanings that belong together are in one entry."""

TOGETHER = {"betas", "etas", "step_sizes"}
"""Names of pairs, which are two options here."""

CLASSES = {"amsgrad": "AMSGrad", "decoupled_weight_decay": "AdamW"}
"""Names of options that are classes here."""


def meant_by(name: str, known: Iterable[str]) -> str:
    """Return advice for the name of an option in another library; empty if there is none.

    Examples
    --------
    >>> meant_by("lr", ["learning_rate", "beta1"])
    '; write learning_rate=...'
    >>> meant_by("betas", ["beta1", "beta2"])
    '; write beta1=..., beta2=...'
    """
    if name in CLASSES:
        return f"; use {CLASSES[name]}(...)"
    options = set(known)
    found = [option for option in SYNONYMS.get(name, ()) if option in options]
    wanted = found if name in TOGETHER else found[:1]
    return f"; write {', '.join(f'{option}=...' for option in wanted)}" if wanted else ""
