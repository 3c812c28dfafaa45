"""What runs a model file: ONNX Runtime, or the estimator itself where it did not convert."""

from __future__ import annotations

import threading
from typing import Any, Protocol

import numpy as np

from mlops_runtime.serving.bundle import Bundle, BundleError, Output
from mlops_runtime.serving.columns import Array

NUMPY = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_, "string": np.object_}
"""NumPy's types of the manifest's dtypes."""

_ONNX = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int64": "tensor(int64)",
    "string": "tensor(string)",
    "bool": "tensor(bool)",
}


class Runtime(Protocol):
    """Runs a model file."""

    platform: str

    def run(self, columns: dict[str, Array], rows: int) -> list[Array]:
        """Arrays for the manifest's outputs, in their order, from columns of shape [rows, 1]."""
        ...


class OnnxRuntime:
    """ONNX Runtime on the CPU.

    Args:
        bundle: a bundle with an ONNX graph, one input tensor [rows, 1] per column.
        threads: intra-op threads.

    Raises:
        BundleError: not a valid graph, or its inputs or outputs are not the manifest's.
    """

    platform = "onnxruntime_onnx"

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 4
        # Spinning threads win microseconds and take a core from the event loop.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(bundle.content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its exception classes have no public base
            raise BundleError(f"{bundle.manifest.file} is not a graph that ONNX Runtime loads: {error}") from None
        dtypes = {column.name: column.dtype for column in bundle.manifest.inputs}
        self._inputs = [node.name for node in self._session.get_inputs()]
        for node in self._session.get_inputs():
            dtype = dtypes.get(node.name)
            if dtype is None or _ONNX[dtype] != node.type:
                raise BundleError(f"the graph's input {node.name!r} is {node.type}, the manifest says {dtype}")
        names = [node.name for node in self._session.get_outputs()]
        wanted = [output.name for output in bundle.manifest.outputs]
        if set(wanted) <= set(names):
            self._outputs = wanted
        elif len(wanted) == len(names):
            self._outputs = names
        else:
            raise BundleError(f"the graph's outputs are {', '.join(names)}, the manifest's {', '.join(wanted)}")
        self._one_row = _OneRow.bind(
            self._session,
            {name: dtypes[name] for name in self._inputs},
            list(zip(self._outputs, bundle.manifest.outputs, strict=True)),
        )

    def run(self, columns: dict[str, Array], rows: int) -> list[Array]:
        """See `Runtime`."""
        one = self._one_row
        if rows == 1 and one is not None and one.lock.acquire(blocking=False):
            try:
                return one.run(columns)
            finally:
                one.lock.release()
        outputs: list[Array] = self._session.run(self._outputs, {name: columns[name] for name in self._inputs})
        return outputs


class _OneRow:
    """Predicts one row through buffers that are bound once: a third of the time of `run` for ten columns.

    Who calls `run` holds `lock`, since the buffers are shared.
    """

    def __init__(self, session: Any, dtypes: dict[str, str], outputs: list[tuple[str, Output]]) -> None:
        self.lock = threading.Lock()
        self._session = session
        self._binding = session.io_binding()
        self._inputs: list[tuple[str, Array]] = []
        self._outputs: list[Array] = []
        for name, dtype in dtypes.items():
            buffer: Array = np.zeros((1, 1), NUMPY[dtype])
            self._binding.bind_input(name, "cpu", 0, NUMPY[dtype], buffer.shape, buffer.ctypes.data)
            self._inputs.append((name, buffer))
        for name, output in outputs:
            result: Array = np.zeros((1, *output.shape[1:]), NUMPY[output.dtype])
            self._binding.bind_output(name, "cpu", 0, NUMPY[output.dtype], result.shape, result.ctypes.data)
            self._outputs.append(result)

    @classmethod
    def bind(cls, session: Any, dtypes: dict[str, str], outputs: list[tuple[str, Output]]) -> _OneRow | None:
        """The bound session, or None where strings or open shapes rule fixed buffers out."""
        kinds = [*dtypes.values(), *(output.dtype for _, output in outputs)]
        if "string" in kinds or any(size < 1 for _, output in outputs for size in output.shape[1:]):
            return None
        return cls(session, dtypes, outputs)

    def run(self, columns: dict[str, Array]) -> list[Array]:
        for name, buffer in self._inputs:
            buffer[0, 0] = columns[name].item()
        self._session.run_with_iobinding(self._binding)
        return [buffer.copy() for buffer in self._outputs]


class SklearnRuntime:
    """The estimator itself, for models that do not convert to ONNX.

    Args:
        bundle: a bundle with a cloudpickle of the fitted estimator.

    Raises:
        BundleError: it cannot be unpickled here.
    """

    platform = "sklearn_cloudpickle"

    def __init__(self, bundle: Bundle) -> None:
        try:
            import cloudpickle
            import pandas  # noqa: F401 - what `run` needs must be missed here, not at the first request

            self._estimator: Any = cloudpickle.loads(bundle.content)
        except ImportError as error:
            raise BundleError(f"the model needs scikit-learn's runtime, and {error.name!r} is not installed") from None
        except Exception as error:  # a pickle may raise anything
            raise BundleError(f"{bundle.manifest.file} cannot be loaded: {type(error).__name__}: {error}") from None
        self._manifest = bundle.manifest

    def run(self, columns: dict[str, Array], rows: int) -> list[Array]:
        """See `Runtime`."""
        import pandas

        frame = pandas.DataFrame({column.name: columns[column.name][:, 0] for column in self._manifest.inputs})
        arrays: list[Array] = []
        for output in self._manifest.outputs:
            method = "predict_proba" if output.name == "probabilities" else "predict"
            values = np.asarray(getattr(self._estimator, method)(frame))
            values = values.astype(str).astype(object) if output.dtype == "string" else values
            shape = [rows, *output.shape[1:]]
            arrays.append(values.astype(NUMPY[output.dtype], copy=False).reshape(shape))
        return arrays
