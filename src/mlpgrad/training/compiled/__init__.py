"""A compiler of tapes: a recorded list of NumPy calls as machine code, by llvmlite (an extra).

It knows no layer, loss or optimizer. The files, in the order in which to read them:

- `operands`: the tape as data; `fusing`: the calls that share a loop;
- `values` and `writing`: LLVM's language, of instructions and of whole functions;
- `functions` and `coefficients`: exp, log, tanh and others; `elementwise`: loops of them;
- `blocks`, `panels` and `products`: matrix products, small and large; `rows`: other calls;
- `epoch`: the loop over batches; `sharing`: the tasks of several threads;
- `machine`: this processor, and the cache on disk; `program`: the whole function, and its pointers.

Beside this folder, `choose_compiled` decides which trainings are compiled; `compiled_member`
records their steps, with `norms` as calls that read no value; `compiled_check` compares one
compiled step with NumPy's; and `compiled_worker` runs the program in the loop of `fit`, with the
scalars of many steps by `optimizers/scalars`.
"""
