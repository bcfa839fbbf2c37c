from __future__ import annotations

import hashlib

import numpy as np

from pose_core.statements.software import model, versions


def test_versions_of_what_is_installed():
    found = versions("numpy", "no-such-package-of-anybody")
    assert found["numpy"] == np.__version__
    assert set(found) == {"pose-pipeline", "numpy"}


def test_a_model_is_told_by_its_content_and_named_without_its_folder(tmp_path):
    file = tmp_path / "net.onnx"
    file.write_bytes(b"one")
    assert model(file) == {"net.onnx": f"sha256 {hashlib.sha256(b'one').hexdigest()[:12]}"}
    file.write_bytes(b"another")
    assert model(file) == {"net.onnx": f"sha256 {hashlib.sha256(b'another').hexdigest()[:12]}"}
    assert model(None) == {}
