"""Docstrings of options and attributes that are common to two estimators."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)

OPTIONS = """
hidden_layer_sizes : int or sequence of int, default=(100,)
    Number of units of each hidden layer.
activation : {'identity', 'logistic', 'tanh', 'relu'}, Activation or list, default='relu'
    Activation of the hidden layers: z, 1 / (1 + exp(-z)), tanh(z) or max(0, z). Beyond
    scikit-learn, it can be an object such as `mlpgrad.GELU()` or of a user-defined class, or a
    list with one per layer.
solver : {'lbfgs', 'sgd', 'adam'}, Optimizer or Method, default='adam'
    'adam' (Kingma and Ba 2015) and 'sgd' (gradient descent with momentum) train on minibatches.
    'lbfgs' is SciPy's L-BFGS-B on all rows, which is often better for small data. Beyond
    scikit-learn, it can be an optimizer such as `mlpgrad.NAdam(mlpgrad.OneCycle(0.01, steps=500))`
    with its own learning rate or schedule, or a method that sees all rows, such as
    `mlpgrad.LevenbergMarquardt()`; a copy of it is used.
alpha : float, default=0.0001
    Strength of the L2 term alpha/2 sum(w^2), on weights but not biases. It is divided by the
    number of rows of a batch, or by the sum of their weights. Not used by a solver that estimates
    the decay itself (`LevenbergMarquardt(regularisation="bayes")`, its default).
batch_size : int, default='auto'
    Number of rows per step; 'auto' is `min(200, n_samples)`. Not used by 'lbfgs'.
learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    Used by 'sgd'. 'invscaling' is `learning_rate_init / (t_ + 1) ** power_t` after each epoch.
    'adaptive' divides the learning rate by 5 instead of stopping, until it is 1e-6.
learning_rate_init : float, default=0.001
    Initial learning rate. Used by 'sgd' and 'adam'.
power_t : float, default=0.5
    Exponent of 'invscaling'.
max_iter : int, default=200
    Maximum number of epochs, or of iterations for 'lbfgs'.
shuffle : bool, default=True
    Whether to shuffle the rows in each epoch.
random_state : int, RandomState instance or None, default=None
    Source of the initial weights, the split of `early_stopping` and the order of the rows. They
    are drawn in scikit-learn's order, so that the same seed gives the same numbers.
tol : float, default=1e-4
    Minimum improvement: an epoch that does not improve by more than this counts as one without
    improvement. 'lbfgs' ends when no component of the gradient is larger than this.
verbose : bool, default=False
    Whether to print the loss of each epoch.
warm_start : bool, default=False
    Whether `fit` continues from the weights of an earlier `fit`, whose `hidden_layer_sizes` and
    `n_members` stay; other options take effect.
momentum : float, default=0.9
    Momentum of 'sgd', from 0 to 1.
nesterovs_momentum : bool, default=True
    Whether 'sgd' uses Nesterov momentum.
early_stopping : bool, default=False
    Whether to hold out rows and stop when their score (accuracy or R^2) does not improve; the
    weights of the best score are then restored. Otherwise training stops when the training loss
    does not improve. To stop on the held-out loss, see `stop_on_loss`.
validation_fraction : float, default=0.1
    Fraction of the rows that `early_stopping` holds out, stratified if there are two classes.
beta_1, beta_2 : float, default=0.9, 0.999
    Decay rates of the averages of g and g^2 in 'adam', each in [0, 1).
epsilon : float, default=1e-8
    Small constant in the denominator of 'adam'.
n_iter_no_change : int, default=10
    Training ends after more than this number of epochs without improvement; `np.inf` never ends it.
max_fun : int, default=15000
    Maximum number of calls of the loss by 'lbfgs'.
"""

FURTHER = """
dropout : float, default=0.0
    Dropout probability of the outputs of each hidden layer.
normalization : {'batch', 'layer'} or None, default=None
    Normalization of the hidden layers before the activation, over the batch or over the layer.
residual : bool, default=False
    Whether to add the input of a hidden layer, from the second on, to its output if both have the
    same width.
stop_on_loss : bool, default=False
    Whether to stop early on the loss of the held-out rows instead of their score; the best weights
    are restored, separately for each member. `tol`, `n_iter_no_change` and `validation_fraction`
    apply as for `early_stopping`.
refit : bool, default=False
    Whether to train again on all rows, for the number of epochs that was best on the held-out rows.
n_members : int, default=1
    Number of networks that are trained together, from different initial weights on the same
    batches. The prediction is the mean of their probabilities, rates or numbers. `coefs_` then
    have a leading axis of members.
callbacks : list of mlpgrad.Callback or None, default=None
    Callbacks, as for `mlpgrad.Sequential.fit`. Those of scikit-learn (from its version 1.9 on) are
    given with `set_callbacks`.
progress : bool, default=False
    Whether to show a progress bar on stderr.
"""

ATTRIBUTES = """
model_ : mlpgrad.Sequential
    The network, which can be checked (`mlpgrad.check_gradients`), explained and saved. Its outputs
    are logits, numbers, or logarithms of Poisson rates.
history_ : mlpgrad.History
    Loss and learning rate of each epoch of the last fit, with a method `plot`.
coefs_, intercepts_ : list of array
    Weights (inputs, units) and biases (units,) of each layer. They may be assigned or changed in
    place; predictions use the new values.
loss_ : float
    The last loss, with the L2 term.
best_loss_ : float or None
    The lowest training loss; None with `early_stopping`. Not set by 'lbfgs'.
loss_curve_ : list of float
    The mean loss of each epoch. Not set by 'lbfgs'.
validation_scores_ : list of float or None
    The score after each epoch, with `early_stopping`.
best_validation_score_ : float or None
    The best of these scores.
t_ : int
    Number of rows used in training so far.
n_iter_ : int
    Number of epochs or iterations of the last fit.
n_layers_ : int
    Number of layers, including the input.
n_outputs_ : int
    Number of outputs.
n_features_in_ : int
    Number of columns of the input.
feature_names_in_ : array of str
    Names of the columns, if the input has names.
out_activation_ : {'identity', 'exp', 'logistic', 'softmax'}
    Activation of the outputs in predictions.
validation_losses_ : list of float
    The held-out loss after each epoch, without the L2 term, with `stop_on_loss`.
best_validation_losses_ : array of shape (n_members,)
    The lowest of these losses for each member.
best_epochs_ : array of int
    The epoch of the best held-out score or loss, counted from 1.
"""

TABULAR = """
Columns are recognized and encoded by `mlpgrad.tables.TableEncoder`: numbers, categories and
missing values. `encoder_.summary()` shows the kind of each. Several candidates are tried, which
differ in the encoding of numbers and in how networks are trained. Each is an ensemble whose
members train on all folds but one and stop on that fold, so that every row has an out-of-fold
prediction. The candidate with the lowest out-of-fold loss is chosen. In small tables, another one
joins it as long as that lowers the out-of-fold loss of the average of all members, which predicts
(Caruana, Niculescu-Mizil, Crew and Ksikes 2004, "Ensemble selection from libraries of models").
If, for the chosen candidate, a common number of epochs is as good as stopping each member on its
own fold, within one standard error of its loss, all members are trained again on all rows.
"""

TABULAR_OPTIONS = """
hidden_layer_sizes : int or sequence of int, default=(128, 128)
    Number of units of each hidden layer, with ReLU activations. This and the training options do
    not apply to the candidate 'evidence'.
n_members : int, default=5
    Number of networks of each ensemble, at least 2.
n_folds : int, default=5
    Number of folds to draw, at most one per member.
candidates : sequence of str, default=('plain', 'quantile', 'target', 'evidence', 'linear', 'long')
    The candidates to choose from. The first three encode numbers in different ways: scaled, in
    bins of equally many rows, or in bins where the target changes (`mlpgrad.tables.Standard`,
    `QuantileBins`, `TargetBins`). 'evidence' trains networks with a single layer of 16 tanh units
    by `mlpgrad.LevenbergMarquardt`, for small tables with little noise; it is left out if it would
    take long, and predicts alone if it is chosen. The others are for numbers as targets, if
    'evidence' is not chosen. 'linear' has scaled numbers and no hidden layer, and ten times the
    learning rate. 'long' is for tables of at most 4,000 rows: bins of equally many rows, one layer
    with as many units as `hidden_layer_sizes` has in all, dropout 0.5, and twice as many members,
    trained for 6,000 steps of 64 rows, or 300 epochs if these are fewer, without stopping early. It
    learns by heart the rows that occur more than once.
rows : {'auto', 'folds', 'all'}, default='auto'
    Whether the members that predict are those that left out a fold each, or are trained again on
    all rows; 'auto' chooses as described above.
dropout : float, default=0.1
    Dropout probability of the hidden units.
learning_rate : float, default=0.002
    Learning rate of AdamW.
weight_decay : float, default=0.01
    Weight decay of AdamW. For classes in at most 2,000 rows, 'plain' has a hundred times as much,
    but not more than the inverse of the learning rate.
batch_size : int, default='auto'
    Number of rows per step; 'auto' is a tenth of all rows, from 32 to 256.
max_epochs : int, default='auto'
    Maximum number of epochs; 'auto' corresponds to 10,000 steps, from 50 to 1,000 epochs.
patience : int, default='auto'
    Number of epochs without improvement after which a member stops, or all members if their mean
    loss has not improved. As long as the lowest mean loss exceeds that of an earlier candidate by
    more than the standard error of the latter, a third of the patience applies. 'auto' corresponds
    to 300 steps, from 10 to 100 epochs.
progress : bool, default=False
    Whether to show a progress bar on stderr.
random_state : int, RandomState instance or None, default=None
    Source of the folds, initial weights and batches.
"""

TABULAR_ATTRIBUTES = """
candidates_ : list of tuple
    The candidates that were tried: `name`, out-of-fold `loss` with `standard_error`, the best
    common number of `epochs`, whether the members may train on `all_rows`, and `seconds`.
chosen_ : str
    Name of the candidate with the lowest out-of-fold loss.
joined_ : list of str
    Names of the candidates that predict together: the chosen one, and those that join it. None
    join 'evidence', or in tables so large that the features of all training rows and members would
    be more than 2^26.
all_rows_ : bool
    Whether the members have been trained on all rows.
oof_loss_ : float
    Out-of-fold loss of the chosen candidate alone.
folds_ : array of shape (n_samples,)
    The fold of each row.
encoder_ : mlpgrad.tables.TableEncoder
    The encoder of `model_`, which turns columns into features; those of each member if several
    encodings are joined.
model_ : mlpgrad.Sequential
    The ensemble of all joined candidates, which takes tables. `model_.save(path)` writes all of it
    to a file, for `mlpgrad.load` and the command `mlpgrad predict`.
n_features_in_ : int
    Number of columns of the table.
feature_names_in_ : array of str
    Names of the columns, if they have names.
"""


def documented(cls: Class) -> Class:
    """Insert the common options and attributes into a docstring."""
    text = cls.__doc__ or ""
    for mark, entries in {
        "{options}": OPTIONS,
        "{further}": FURTHER,
        "{attributes}": ATTRIBUTES,
        "{tabular}": TABULAR,
        "{tabular_options}": TABULAR_OPTIONS,
        "{tabular_attributes}": TABULAR_ATTRIBUTES,
    }.items():
        lines = "\n    ".join(entries.strip().splitlines())
        text = text.replace(mark, lines)
    cls.__doc__ = text
    return cls
