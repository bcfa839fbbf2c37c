"""Data sets that users have and that cannot be shipped, each as `Recording`s: docs/datasets.md says what to get and where.

Importing this package enters all of them in `DATASETS`.
"""

from __future__ import annotations

from pose_train.data.datasets.aist import Aist
from pose_train.data.datasets.amass import Amass
from pose_train.data.datasets.human36m import Human36M
from pose_train.data.datasets.mpi_inf_3dhp import MpiInf17, MpiInf28
from pose_train.data.datasets.recording import DATASETS, Dataset, Recording

__all__ = ["DATASETS", "Aist", "Amass", "Dataset", "Human36M", "MpiInf17", "MpiInf28", "Recording"]
