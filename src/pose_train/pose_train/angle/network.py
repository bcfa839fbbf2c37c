"""What an angle-refining network is; the table of all of them is `pose_train/angle/networks`."""

from __future__ import annotations

from pose_train.trunk.network import StreamingNetwork


class AngleNetwork(StreamingNetwork):
    """Rotations of the groups of one person, frame by frame, to corrections of them.

    Where other networks see joints, these see groups (G, F), with a context, of `pose_biomechanics.angle_encoding`. An untrained
    network corrects nothing.
    """


OUTPUTS = ("turn",)
"""Names that a network gives: `turn` (G, 3), for each group the rotation vector in radians, in the axes of the distal segment, by
which its rotation is to be turned: R exp(turn)."""
