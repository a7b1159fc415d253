"""The docstrings of options and attributes that two estimators have, each written once."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)

OPTIONS = """
hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer.
activation : {'identity', 'logistic', 'tanh', 'relu'}, Activation or list, default='relu'
    The hidden layers' activation: z, 1 / (1 + exp(-z)), tanh(z) or max(0, z). Beyond scikit-learn:
    an object such as `mlpgrad.GELU()`, also of a class of one's own, or a list of one per layer.
solver : {'lbfgs', 'sgd', 'adam'} or Optimizer, default='adam'
    'adam' and 'sgd' make steps on minibatches (Kingma and Ba 2015; gradient descent with
    momentum). 'lbfgs' is SciPy's L-BFGS-B on all rows: often better for small data. Beyond
    scikit-learn: an optimizer such as `mlpgrad.NAdam(mlpgrad.OneCycle(0.01, steps=500))`, with its
    own rate or schedule; a copy of it is used.
alpha : float, default=0.0001
    Strength of the L2 term alpha/2 sum(w^2) on weights, not biases. It is divided by the number of
    rows of a batch, or by the sum of their weights.
batch_size : int, default='auto'
    Rows of a step; 'auto' is `min(200, n_samples)`. Unused by 'lbfgs'.
learning_rate : {'constant', 'invscaling', 'adaptive'}, default='constant'
    Used by 'sgd'. 'invscaling' is `learning_rate_init / (t_ + 1) ** power_t` after each epoch.
    'adaptive' divides the rate by 5 where training would stop, until it is 1e-6.
learning_rate_init : float, default=0.001
    The first rate. Used by 'sgd' and 'adam'.
power_t : float, default=0.5
    Exponent of 'invscaling'.
max_iter : int, default=200
    The most epochs; of 'lbfgs' the most iterations.
shuffle : bool, default=True
    Whether rows come in a new order in each epoch.
random_state : int, RandomState instance or None, default=None
    Initial weights, the split of `early_stopping` and the rows' order are drawn from it, in
    scikit-learn's order: the same seed gives the same numbers as there.
tol : float, default=1e-4
    An epoch that does not improve by more than this counts as one without improvement. For 'lbfgs'
    the largest component of the gradient at which it ends.
verbose : bool, default=False
    Whether to print the loss of each epoch.
warm_start : bool, default=False
    Whether `fit` goes on from the weights of an earlier `fit`.
momentum : float, default=0.9
    The momentum of 'sgd', from 0 to 1.
nesterovs_momentum : bool, default=True
    Whether the momentum of 'sgd' is Nesterov's.
early_stopping : bool, default=False
    Whether to hold out rows and stop when their score (accuracy or R^2) does not improve; the
    weights of the best score are then restored. Otherwise the training loss decides. To stop on
    the held-out loss instead see `stop_on_loss`.
validation_fraction : float, default=0.1
    Share of the rows that `early_stopping` holds out: stratified for two classes.
beta_1, beta_2 : float, default=0.9, 0.999
    The decay rates of the averages of g and of g^2 in 'adam', each in [0, 1).
epsilon : float, default=1e-8
    Added to the divisor of 'adam'.
n_iter_no_change : int, default=10
    Training ends after more than this number of epochs without improvement; `np.inf` never ends it.
max_fun : int, default=15000
    The most calls of the loss by 'lbfgs'.
"""

FURTHER = """
dropout : float, default=0.0
    Share of each hidden layer's outputs that are zero in a step.
normalization : {'batch', 'layer'} or None, default=None
    Whether hidden layers' weighted sums are normalised over the batch or over the layer.
residual : bool, default=False
    Whether a hidden layer that is as wide as the one before adds its input to its output.
stop_on_loss : bool, default=False
    Early stopping by the held-out rows' loss instead of their score; the best weights are restored,
    for each member by itself. `tol`, `n_iter_no_change` and `validation_fraction` count as for
    `early_stopping`.
refit : bool, default=False
    Whether to train anew on all rows, for as many epochs as were best by the held-out rows.
n_members : int, default=1
    Networks that are trained together, from different initial weights on the same batches. Their
    mean is predicted: of probabilities, rates or numbers. `coefs_` then have an axis in front.
callbacks : list of mlpgrad.Callback or None, default=None
    Called as by `mlpgrad.Sequential.fit`. Callbacks of scikit-learn (from its version 1.9 on) are
    given by `set_callbacks`.
progress : bool, default=False
    Whether to show a progress bar on stderr.
"""

ATTRIBUTES = """
model_ : mlpgrad.Sequential
    The network, which can be checked (`mlpgrad.check_gradients`), explained and saved. It gives
    logits, or the logarithm of a Poisson rate.
history_ : mlpgrad.History
    Loss and learning rate of each epoch of the last fit, with a plot.
coefs_, intercepts_ : list of array
    Weights (inputs, units) and biases (units,) of each layer. They may be assigned, and what they
    hold may be changed: predictions follow.
loss_ : float
    The last loss, with the L2 term.
best_loss_ : float or None
    The lowest loss; None with `early_stopping`. Not set by 'lbfgs'.
loss_curve_ : list of float
    The mean loss of each epoch. Not set by 'lbfgs'.
validation_scores_ : list of float or None
    The score after each epoch, with `early_stopping`.
best_validation_score_ : float or None
    The best of them.
t_ : int
    Rows that training has seen.
n_iter_ : int
    Epochs or iterations of the last fit.
n_layers_ : int
    Layers, with the input as one.
n_outputs_ : int
    Columns of the output.
n_features_in_ : int
    Columns of the input.
feature_names_in_ : array of str
    Names of the columns, where the input has names.
out_activation_ : {'identity', 'exp', 'logistic', 'softmax'}
    What predictions pass last.
validation_losses_ : list of float
    With `stop_on_loss`: the held-out loss after each epoch, without the L2 term.
best_validation_losses_ : array of shape (n_members,)
    The lowest of them for each member.
best_epochs_ : array of int
    The epoch of the best held-out score or loss, counted from 1.
"""

TABULAR = """
Columns are recognised and encoded by `mlpgrad.tables.TableEncoder`: numbers, categories, gaps.
`encoder_.summary()` tells what each was taken for. Several candidates are tried, which differ in
how numbers are encoded and in how networks are trained. Each is an ensemble whose members train on
all folds but one and stop on that one, so that every row is predicted by members that have not seen
it; the candidate whose out-of-fold loss is lowest is kept. Where one number of epochs is as good
for all members as stopping one by one, to within a standard error of that loss, the members are
trained anew on all rows.
"""

TABULAR_OPTIONS = """
hidden_layer_sizes : int or sequence of int, default=(128, 128)
    Units of each hidden layer, which are ReLUs. This option and those of training are not those of
    'evidence', which has none.
n_members : int, default=5
    Networks of each ensemble, at least 2.
n_folds : int, default=5
    The number of folds that the rows are drawn into, at most one per member.
candidates : sequence of str, default=('plain', 'quantile', 'target', 'evidence')
    What to choose from. The first three encode numbers in different ways: scaled; in bins of
    equally many rows; in bins where the target changes (`mlpgrad.tables.Standard`, `QuantileBins`,
    `TargetBins`). 'evidence' trains networks with a single layer of 16 tanh units by
    `mlpgrad.LevenbergMarquardt`: for small tables with little noise; it is left out where it would
    take long.
rows : {'auto', 'folds', 'all'}, default='auto'
    Whether the members that predict are those that left out a fold each, or others trained on all
    rows; 'auto' chooses as told above.
dropout : float, default=0.1
    Share of the hidden units' outputs that are zero in a step.
learning_rate : float, default=0.002
    The step size of AdamW.
weight_decay : float, default=0.01
    The weight decay of AdamW.
batch_size : int, default='auto'
    Rows of a step; 'auto' is a tenth of all, from 32 to 256.
max_epochs : int, default='auto'
    The most epochs; 'auto' are those of 10,000 steps, from 50 to 1,000.
patience : int, default='auto'
    Epochs without improvement after which a member stops, and all of them where their mean loss has
    not improved; a third of it where that mean is worse than another candidate's by more than its
    standard error. 'auto' are those of 300 steps, from 10 to 100.
progress : bool, default=False
    Whether to show a progress bar on stderr.
random_state : int, RandomState instance or None, default=None
    Folds, initial weights and batches are drawn from it.
"""

TABULAR_ATTRIBUTES = """
candidates_ : list of tuple
    What was tried: `name`, out-of-fold `loss` with `standard_error`, `epochs` that are best for
    all members alike, whether these may train on `all_rows`, and `seconds`.
chosen_ : str
    The candidate that was chosen.
all_rows_ : bool
    Whether the members have been trained on all rows.
oof_loss_ : float
    The out-of-fold loss by which it was chosen.
folds_ : array of shape (n_samples,)
    The fold of each row.
encoder_ : mlpgrad.tables.TableEncoder
    Makes numbers of the columns: the encoder of `model_`.
model_ : mlpgrad.Sequential
    The ensemble, which takes tables. `model_.save(path)` writes all of it to a file, for
    `mlpgrad.load` and the command `mlpgrad predict`.
n_features_in_ : int
    Columns of the table.
feature_names_in_ : array of str
    Their names, where they have some.
"""


def documented(cls: Class) -> Class:
    """Put the options and attributes of both estimators in a docstring's marked places."""
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
