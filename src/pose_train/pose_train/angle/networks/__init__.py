"""Networks that refine joint angles, one file each, which registers itself in `NETWORKS`. They need torch."""

from __future__ import annotations

import sys

from pose_train.angle.network import OUTPUTS, AngleNetwork
from pose_train.trunk.network import Networks

NETWORKS: Networks[AngleNetwork] = Networks(sys.modules[__name__], OUTPUTS)
"""Network classes by name."""
