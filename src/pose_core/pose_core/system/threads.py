"""Threads of the numerical libraries."""

from __future__ import annotations

from threadpoolctl import threadpool_limits


def one_blas_thread() -> None:
    """Let NumPy and SciPy compute linear algebra in the calling thread alone, from now on.

    The matrices here are small: handing six columns to a second thread made the inverse of a 6 x 6 matrix take 2.6 ms on two
    cores in place of 10 us. It also makes results independent of the number of cores. Call it when all libraries are loaded.
    """
    threadpool_limits(limits=1, user_api="blas")
