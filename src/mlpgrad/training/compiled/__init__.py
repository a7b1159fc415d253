"""The compiled step: a recorded tape of NumPy calls as machine code, by llvmlite (an extra).

Nothing here depends on particular layers, losses or optimizers. The files, in the order in which to
read them:

- `operands`: the tape as data, with `norms` written out; `fusing`: the calls that share a loop;
- `values` and `writing`: LLVM's language, of instructions and of whole functions;
- `functions` and `coefficients`: exp, log, tanh and others; `elementwise`: loops of them;
- `blocks`, `panels` and `products`: matrix products, small and large; `rows`: other calls;
- `epoch`: the loop over batches; `sharing`: the tasks of several threads;
- `machine`: this processor, and the cache on disk; `program`: the whole function, and its pointers;
- `members`: the recorded steps; `numbers`: an optimizer's scalars for many steps;
- `worker`: the loop of `fit`; `deciding`: which trainings are compiled.
"""
