"""Linear algebra in one thread."""

from __future__ import annotations

import numpy as np
from threadpoolctl import threadpool_info

from pose_core.system.threads import one_blas_thread


def test_blas_computes_in_one_thread():
    np.linalg.inv(np.eye(3))
    one_blas_thread()
    blas = [library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"]
    assert blas
    assert set(blas) == {1}
