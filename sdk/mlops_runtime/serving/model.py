"""A bundle, loaded and warm: columns go in, the manifest's outputs come out."""

from __future__ import annotations

import statistics
import time
from typing import Any, Protocol

import numpy as np

from mlops_runtime.serving.bundle import Bundle, BundleError, Manifest
from mlops_runtime.serving.columns import Array, ColumnError, read_column

# A prediction that is expected to take longer leaves the event loop for a thread.
INLINE_SECONDS = 0.001

_NUMPY = {"float32": np.float32, "float64": np.float64, "int64": np.int64, "bool": np.bool_, "string": object}
_ONNX = {
    "float32": "tensor(float)",
    "float64": "tensor(double)",
    "int64": "tensor(int64)",
    "string": "tensor(string)",
    "bool": "tensor(bool)",
}
# The bundle's sample must come out as it did at registration, to this absolute and relative difference: far above the
# rounding of any CPU, far below what a wrong operator or damaged weight makes.
_SAMPLE_TOLERANCE = 1e-3
_COST_ROWS = 64


class Runtime(Protocol):
    """Runs a model file."""

    platform: str

    def run(self, columns: dict[str, Array]) -> list[Array]:
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
        self._all = len(self._inputs) == len(dtypes)

    def run(self, columns: dict[str, Array]) -> list[Array]:
        """See `Runtime`."""
        feed = columns
        if len(columns) != len(self._inputs) or not self._all:
            feed = {name: columns[name] for name in self._inputs}
        outputs: list[Array] = self._session.run(self._outputs, feed)
        return outputs


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

    def run(self, columns: dict[str, Array]) -> list[Array]:
        """See `Runtime`."""
        import pandas

        frame = pandas.DataFrame({column.name: columns[column.name][:, 0] for column in self._manifest.inputs})
        arrays: list[Array] = []
        for output in self._manifest.outputs:
            method = "predict_proba" if output.name == "probabilities" else "predict"
            values = np.asarray(getattr(self._estimator, method)(frame))
            values = values.astype(str).astype(object) if output.dtype == "string" else values
            shape = [len(frame), *output.shape[1:]]
            arrays.append(values.astype(_NUMPY[output.dtype], copy=False).reshape(shape))
        return arrays


class Model:
    """One version of a model.

    Args:
        bundle: the verified bundle.
        threads: intra-op threads of ONNX Runtime.

    Raises:
        BundleError: the bundle cannot be loaded.
    """

    def __init__(self, bundle: Bundle, *, threads: int) -> None:
        self.manifest: Manifest = bundle.manifest
        self.version = str(bundle.manifest.version)
        self.runtime: Runtime = (
            OnnxRuntime(bundle, threads=threads) if bundle.manifest.runtime == "onnxruntime" else SklearnRuntime(bundle)
        )
        self._first_row_seconds = 0.0
        self._row_seconds = 0.0
        names = [output.name for output in self.manifest.outputs]
        self._label = names.index("label") if "label" in names else -1
        self._probabilities = names.index("probabilities") if "probabilities" in names else -1
        self._decide = self.manifest.threshold is not None and self._label >= 0 and self._probabilities >= 0
        if self._decide:
            self._classes, self._positive = self._class_values()

    def predict(self, columns: dict[str, Array]) -> list[Array]:
        """The manifest's outputs, in their order, from columns of shape [rows, 1].

        Where the manifest has a threshold, the label is the positive class exactly when its probability reaches it.
        """
        arrays = self.runtime.run(columns)
        if self._decide:
            reached = arrays[self._probabilities][:, self._positive] >= self.manifest.threshold
            arrays[self._label] = self._classes[reached.view(np.int8)]
        return arrays

    def is_quick(self, rows: int) -> bool:
        """Whether so many rows are predicted within what the event loop can be held up."""
        return self._first_row_seconds + rows * self._row_seconds <= INLINE_SECONDS

    def warm_up(self, requests: int) -> None:
        """Predict the bundle's sample: checks it, warms the runtime and times it.

        Raises:
            BundleError: the sample cannot be predicted, or comes out otherwise than at registration.
        """
        if not self.manifest.sample:
            self._first_row_seconds = INLINE_SECONDS * 2  # nothing is known: never on the event loop
            return
        try:
            columns = {
                column.name: read_column(column, self.manifest.sample[column.name], mixed=True)
                for column in self.manifest.inputs
            }
            arrays = self.predict(columns)
        except (KeyError, ColumnError) as error:
            raise BundleError(f"the manifest's sample does not fit its inputs: {error}") from None
        except Exception as error:  # whatever the runtime raises
            raise BundleError(f"the model fails on its own sample: {error}") from None
        self._check_sample(arrays)
        one = {name: values[:1] for name, values in columns.items()}
        many = {name: np.repeat(values[:1], _COST_ROWS, axis=0) for name, values in columns.items()}
        first = _median_seconds(self, one, max(requests, 3))
        self._row_seconds = max(0.0, (_median_seconds(self, many, 3) - first) / (_COST_ROWS - 1))
        self._first_row_seconds = first

    def _check_sample(self, arrays: list[Array]) -> None:
        for output, array in zip(self.manifest.outputs, arrays, strict=True):
            expected = self.manifest.sample_outputs.get(output.name)
            if expected is None or output.dtype not in ("float32", "float64"):
                continue
            try:
                wanted = np.array(expected, dtype=np.float64).reshape(array.shape)
            except (ValueError, TypeError):
                raise BundleError(f"the sample's output {output.name!r} has not the shape {array.shape}") from None
            if not np.allclose(array, wanted, rtol=_SAMPLE_TOLERANCE, atol=_SAMPLE_TOLERANCE, equal_nan=True):
                raise BundleError(
                    f"the sample's {output.name!r} comes out as {array.ravel()[:3].tolist()}, "
                    f"at registration it was {wanted.ravel()[:3].tolist()}"
                )

    def _class_values(self) -> tuple[Array, int]:
        manifest = self.manifest
        if manifest.classes is None or manifest.positive_class is None or len(manifest.classes) != 2:
            raise BundleError("a threshold needs two classes and the positive one")
        positive = manifest.classes.index(manifest.positive_class)
        dtype = manifest.outputs[self._label].dtype
        names = [manifest.classes[1 - positive], manifest.positive_class]
        try:
            return np.array(names, dtype=object).astype(_NUMPY[dtype]), positive
        except ValueError:
            raise BundleError(f"the classes {', '.join(names)} are not of the label's dtype {dtype}") from None


def _median_seconds(model: Model, columns: dict[str, Array], times: int) -> float:
    taken = []
    for _ in range(times):
        start = time.perf_counter()
        model.predict(columns)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)
