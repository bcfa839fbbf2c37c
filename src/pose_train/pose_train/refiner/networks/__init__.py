"""Networks that refine joints, one file each, which registers itself in `NETWORKS`. They need torch."""

from __future__ import annotations

import sys

from pose_train.refiner.network import OUTPUTS, RefiningNetwork
from pose_train.trunk.network import Networks

NETWORKS: Networks[RefiningNetwork] = Networks(sys.modules[__name__], OUTPUTS)
"""Network classes by name."""
