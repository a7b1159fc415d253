"""FANN, a library in C, by ctypes: install Debian's `libfann2`."""

from __future__ import annotations

import ctypes
import ctypes.util
from typing import Any

import numpy as np

from benchmarks.peers import Peer

BATCH = 1  # fann_train_enum: gradient descent on the whole set
ACTIVATIONS = {"linear": 0, "sigmoid": 3, "tanh": 5, "relu": 12}  # its only ReLU is bounded


class Data(ctypes.Structure):
    """`struct fann_train_data`: rows of float32."""

    _fields_ = (
        ("error", ctypes.c_int),
        ("log", ctypes.c_void_p),
        ("text", ctypes.c_char_p),
        ("count", ctypes.c_uint),
        ("inputs", ctypes.c_uint),
        ("outputs", ctypes.c_uint),
        ("input", ctypes.POINTER(ctypes.POINTER(ctypes.c_float))),
        ("output", ctypes.POINTER(ctypes.POINTER(ctypes.c_float))),
    )


def library() -> str | None:
    """The name of the single-precision library, or None if it is not installed."""
    return ctypes.util.find_library("fann")


class Fann(Peer):
    """FANN's batch training on one fixed batch, by plain gradient descent.

    It gathers no batches, so it does less than a step of the others, and its loss is not compared.
    """

    def build(self) -> None:
        w, fann = self.workload, ctypes.CDLL(library())
        fann.fann_create_standard_array.restype = ctypes.c_void_p
        fann.fann_create_train.restype = ctypes.POINTER(Data)
        fann.fann_train_epoch.restype = ctypes.c_float
        widths = (ctypes.c_uint * len(w.widths))(*w.widths)
        self.network = ctypes.c_void_p(fann.fann_create_standard_array(len(w.widths), widths))
        last = w.activation if w.loss == "half_squared" else "linear"
        fann.fann_set_activation_function_hidden(self.network, ACTIVATIONS[w.activation])
        fann.fann_set_activation_function_output(self.network, ACTIVATIONS[last])
        fann.fann_set_training_algorithm(self.network, BATCH)
        fann.fann_set_learning_rate(self.network, ctypes.c_float(w.learning_rate))
        target: Any = self.y
        if w.loss == "classes":
            target = np.eye(w.widths[-1], dtype=np.float32)[self.y]
        self.data = fann.fann_create_train(w.batch, w.widths[0], w.widths[-1])
        for row in range(w.batch):
            for k, value in enumerate(self.x[row]):
                self.data.contents.input[row][k] = value
            for k, value in enumerate(target[row]):
                self.data.contents.output[row][k] = value
        self.step = fann.fann_train_epoch

    def reset(self) -> None:
        """Do nothing: the time does not depend on the weights."""

    def train(self, epochs: int) -> None:
        for _ in range(epochs * self.workload.batches):
            self.step(self.network, self.data)
