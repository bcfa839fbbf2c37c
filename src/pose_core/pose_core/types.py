"""Shapes of arrays in public signatures.

To whoever runs the code the names are plain arrays: importing jaxtyping would more than double the time it
takes to import a module here. Type checkers, and tests (which import jaxtyping first, and install its hook),
see the shapes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
"""An array of which the docstring says the shape and the numbers."""

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, UInt8

    Points2 = Float[Array, "*points 2"]
    Points3 = Float[Array, "*points 3"]
    Matrix3 = Float[Array, "3 3"]
    Vector3 = Float[Array, "3"]
    Jacobians = Float[Array, "*points 2 3"]

    Views2 = Float[Array, "views *points 2"]
    ViewWeights = Float[Array, "views *points"]

    Sets = Float[Array, "*batch joints dims"]
    SetWeights = Float[Array, "*batch joints"]
    Rotations = Float[Array, "*batch dims dims"]
    Vectors = Float[Array, "*batch dims"]
    Scalars = Float[Array, "*batch"]
    Bones = Float[Array, "*batch bones"]

    Track = Float[Array, "frames joints dims"]
    TrackStd = Float[Array, "frames joints"]
    TrackState = UInt8[Array, "frames joints"]
    TrackMask = Bool[Array, "frames joints"]
    TrackVectors = Float[Array, "frames dims"]
    TrackScalars = Float[Array, "frames"]
    Stamps = Int[Array, "frames"]

    Joints = Float[Array, "joints dims"]
    JointStd = Float[Array, "joints"]
    JointMask = Bool[Array, "joints"]
else:
    Points2 = Points3 = Matrix3 = Vector3 = Jacobians = np.ndarray
    Views2 = ViewWeights = np.ndarray
    Sets = SetWeights = Rotations = Vectors = Scalars = Bones = np.ndarray
    Track = TrackStd = TrackState = TrackMask = TrackVectors = TrackScalars = Stamps = np.ndarray
    Joints = JointStd = JointMask = np.ndarray
