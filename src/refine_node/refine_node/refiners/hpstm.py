"""The network `hpstm` as a refiner: a transformer over the last frames whose answer is rotations and lengths of bones."""

from __future__ import annotations

from refine_node.network_refiner import NetworkRefiner
from refine_node.refiner import REFINERS


@REFINERS.register("hpstm")
class Hpstm(NetworkRefiner):
    """See `pose_train.refiner.networks.hpstm`."""

    network = "hpstm"
