"""Self-test of this bundle: predicts the sample rows and compares. Needs onnxruntime only, which brings NumPy."""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import onnxruntime

here = Path(__file__).resolve().parent
manifest = json.loads((here / "manifest.json").read_text(encoding="utf-8"))
model, sample = (here / manifest["file"]).read_bytes(), manifest["sample"]
if "sha256:" + hashlib.sha256(model).hexdigest() != manifest["digest"]:
    sys.exit(f"{manifest['file']} was changed after the export")
session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
columns = {c["name"]: np.array(sample["inputs"][c["name"]], c["numpy"])[:, None] for c in manifest["inputs"]}
for output in manifest["outputs"]:
    (values,) = session.run([output["tensor"]], columns)
    expected = np.array(sample["outputs"][output["name"]]).reshape(values.shape)
    if not (np.allclose(values, expected, 1e-3, 1e-3) if values.dtype.kind == "f" else (values == expected).all()):
        sys.exit(f"{output['name']} differs from the expected values: {values.tolist()}")
sys.stdout.write(f"{manifest['model']} version {manifest['version']}: {sample['rows']} sample rows as expected\n")
