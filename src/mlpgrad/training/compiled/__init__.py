"""The compiled step: a recorded tape of NumPy calls as machine code, by llvmlite (an extra).

The files read in this order: `operands` (the tape as data), `fusing` (element-wise calls that
share a loop), `writing` (LLVM's language), `functions` with their `coefficients` (exp, log, tanh
and others), `elementwise`, `blocks`, `products` with `blas`, `rows` and `norms` (each kind of
call), `epoch` (the loop over batches), `module` (all of it as text), `machine` (this processor,
and the cache on disk), `program` (the function and its tables of pointers), `members` (what is
recorded), `numbers` (an optimizer's scalars of many steps), `worker` (the loop of `fit` around
it), and `deciding` (which trainings are compiled). Nothing here depends on particular layers,
losses or optimizers.
"""
