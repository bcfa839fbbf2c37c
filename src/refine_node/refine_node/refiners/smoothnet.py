"""The network `smoothnet` as a refiner: layers over time alone, the same ones for every coordinate."""

from __future__ import annotations

from refine_node.network_refiner import NetworkRefiner
from refine_node.refiner import REFINERS


@REFINERS.register("smoothnet")
class SmoothNet(NetworkRefiner):
    """See `pose_train.refiner.networks.smoothnet`."""

    network = "smoothnet"
