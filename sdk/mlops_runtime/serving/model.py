"""A bundle, loaded and warm: columns go in, the manifest's outputs come out."""

from __future__ import annotations

import time

import numpy as np

from mlops_runtime.serving.bundle import Bundle, BundleError, Manifest
from mlops_runtime.serving.columns import Array, ColumnError, read_column
from mlops_runtime.serving.runtimes import NUMPY, OnnxRuntime, Runtime, SklearnRuntime

# A prediction that is expected to take longer leaves the event loop for a thread.
INLINE_SECONDS = 0.001

# The bundle's sample must come out as it did at registration, to this absolute and relative difference: far above the
# rounding of any CPU, far below what a wrong operator or damaged weight makes.
_SAMPLE_TOLERANCE = 1e-3
_COST_ROWS = 64
_COST_TIMES = 10


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
            self._threshold = self.manifest.threshold or 0.0
            self._classes, self._positive = self._class_values()
            self._one_label = [self._classes[:1], self._classes[1:]]

    def predict(self, columns: dict[str, Array], rows: int) -> list[Array]:
        """The manifest's outputs, in their order, from columns of shape [rows, 1].

        Where the manifest has a threshold, the label is the positive class exactly when its probability reaches it.
        """
        arrays = self.runtime.run(columns, rows)
        if self._decide:
            probabilities = arrays[self._probabilities]
            if rows == 1:
                arrays[self._label] = self._one_label[probabilities.item(self._positive) >= self._threshold]
            else:
                # In double precision as for one row: NumPy would round a plain float to the array's dtype.
                reached = probabilities[:, self._positive] >= np.float64(self._threshold)
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
            arrays = self.predict(columns, len(next(iter(columns.values()))))
        except (KeyError, ColumnError) as error:
            raise BundleError(f"the manifest's sample does not fit its inputs: {error}") from None
        except Exception as error:  # whatever the runtime raises
            raise BundleError(f"the model fails on its own sample: {error}") from None
        self._check_sample(arrays)
        one = {name: values[:1] for name, values in columns.items()}
        many = {name: np.repeat(values[:1], _COST_ROWS, axis=0) for name, values in columns.items()}
        first = _least_seconds(self, one, max(requests, _COST_TIMES))
        self._row_seconds = max(0.0, (_least_seconds(self, many, _COST_TIMES) - first) / (_COST_ROWS - 1))
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
            return np.array(names, dtype=object).astype(NUMPY[dtype]), positive
        except ValueError:
            raise BundleError(f"the classes {', '.join(names)} are not of the label's dtype {dtype}") from None


def _least_seconds(model: Model, columns: dict[str, Array], times: int) -> float:
    # The least, since whatever else the machine does only adds; a slow estimate would last as long as the version.
    taken, rows = [], len(next(iter(columns.values())))
    for _ in range(times):
        start = time.perf_counter()
        model.predict(columns, rows)
        taken.append(time.perf_counter() - start)
    return min(taken)
