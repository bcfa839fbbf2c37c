"""What a lifting network is; the table of all of them is `pose_train/lifter/networks`."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from pose_train.trunk.network import StreamingNetwork


class LiftingNetwork(StreamingNetwork):
    """Keypoints of one person, frame by frame, to 3D, from the first frame on.

    Sees joints (J, 3) and a context of `lift3d_node.learned.encoding`.
    """

    skeleton_in: ClassVar[str]
    skeleton_out: ClassVar[str]

    @property
    def look_ahead(self) -> int:
        """Frames after the current one that an output waits for; forward's frame t is that of input frame t - look_ahead."""
        return 0


OUTPUTS = (
    "xyz",
    "log_std",
    "centres",
    "centres_log_std",
    "limbs",
    "toward",
    "ratios",
)
"""Names that a network may give.

Per frame: `xyz` (J, 3) joints of `skeleton_out` about its root, in the axes of the view (`lift3d_node.learned.encoding`) and in
standing heights of the person; `log_std` (J, 2) natural logarithm of their standard deviation across and along z, per axis;
`centres` (17, 3) and `centres_log_std` the same for the centres of rotation of the joints, as skeleton `model_card.CENTRES`;
`limbs` (14, 3) unit directions of `lift3d_node.learned.limbs`; `toward` (14,) logits that a limb points towards the camera (z <
0); `ratios` (R,) lengths of bones in heights.
"""


def bounded_log_std(raw: Tensor) -> Tensor:
    """Logarithm of a standard deviation in heights, between 0.1 % and 50 %, from an unbounded output.

    A likelihood without a lower bound rewards one lucky frame without limit.
    """
    low, high = -6.9, -0.7
    return low + (high - low) * torch.sigmoid(raw - 0.6)
