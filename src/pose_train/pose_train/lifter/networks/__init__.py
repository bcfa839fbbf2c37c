"""Networks that lift keypoints, one file each, which registers itself in `NETWORKS`. They need torch."""

from __future__ import annotations

import sys

from pose_train.lifter.network import OUTPUTS, LiftingNetwork
from pose_train.trunk.network import Networks

NETWORKS: Networks[LiftingNetwork] = Networks(sys.modules[__name__], OUTPUTS)
"""Network classes by name."""
