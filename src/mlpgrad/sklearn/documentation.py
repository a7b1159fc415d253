"""The docstring of the options and attributes that both estimators have, written once."""

from __future__ import annotations

from typing import TypeVar

Class = TypeVar("Class", bound=type)

OPTIONS = """
hidden_layer_sizes : int or sequence of int, default=(100,)
    Units of each hidden layer.
activation : {'identity', 'logistic', 'tanh', 'relu'}, default='relu'
    Of the hidden layers: z, 1 / (1 + exp(-z)), tanh(z) or max(0, z).
solver : {'lbfgs', 'sgd', 'adam'}, default='adam'
    'adam' and 'sgd' make steps on minibatches (Kingma and Ba 2015; gradient descent with
    momentum). 'lbfgs' is SciPy's L-BFGS-B on all rows: often better for small data.
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
    Of 'sgd', from 0 to 1.
nesterovs_momentum : bool, default=True
    Whether the momentum of 'sgd' is Nesterov's.
early_stopping : bool, default=False
    Whether to hold out rows and stop when their score (accuracy or R^2) does not improve; the
    weights of the best score are then restored. Otherwise the training loss decides. To stop on
    the held-out loss instead see `stop_on_loss`.
validation_fraction : float, default=0.1
    Share of the rows that `early_stopping` holds out: stratified for two classes.
beta_1, beta_2 : float, default=0.9, 0.999
    Of 'adam', each in [0, 1): decay of the averages of g and of g^2.
epsilon : float, default=1e-8
    Added to the divisor of 'adam'.
n_iter_no_change : int, default=10
    Training ends after more than so many epochs without improvement; `np.inf` never ends it.
max_fun : int, default=15000
    The most calls of the loss by 'lbfgs'.
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
"""


def documented(cls: Class) -> Class:
    """Put the options and attributes of both estimators in a docstring's marked places."""
    text = cls.__doc__ or ""
    for mark, entries in (("{options}", OPTIONS), ("{attributes}", ATTRIBUTES)):
        lines = "\n    ".join(entries.strip().splitlines())
        text = text.replace(mark, lines)
    cls.__doc__ = text
    return cls
