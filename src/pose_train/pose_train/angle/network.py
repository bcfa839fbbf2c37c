"""What an angle-refining network is, and the table of all of them: one file each in `pose_train/angle/networks`."""

from __future__ import annotations

from pose_train.angle import networks
from pose_train.trunk.network import Networks, StreamingNetwork


class AngleNetwork(StreamingNetwork):
    """Rotations of the groups of one person, frame by frame, to corrections of them.

    Where other networks see joints, these see groups (G, F), with a context, of `pose_biomechanics.angle_encoding`. An untrained
    network corrects nothing.
    """


OUTPUTS = ("turn",)
"""Names that a network gives: `turn` (G, 3), for each group the rotation vector in radians, in the axes of the distal segment, by
which its rotation is to be turned: R exp(turn)."""

NETWORKS: Networks[AngleNetwork] = Networks(networks, OUTPUTS)
"""Network classes by name."""
