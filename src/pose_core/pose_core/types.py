"""Shapes of arrays in public signatures.

To whoever runs the code the names are plain arrays: importing jaxtyping would more than double the time it
takes to import a module here. Type checkers, and tests (which import jaxtyping first, and install its hook),
see the shapes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING or "jaxtyping" in sys.modules:
    from jaxtyping import Bool, Float, Int, UInt8

    Points2 = Float[np.ndarray, "*points 2"]
    Points3 = Float[np.ndarray, "*points 3"]
    Matrix3 = Float[np.ndarray, "3 3"]
    Vector3 = Float[np.ndarray, "3"]
    Jacobians = Float[np.ndarray, "*points 2 3"]

    Views2 = Float[np.ndarray, "views *points 2"]
    ViewWeights = Float[np.ndarray, "views *points"]

    Sets = Float[np.ndarray, "*batch joints dims"]
    SetWeights = Float[np.ndarray, "*batch joints"]
    Rotations = Float[np.ndarray, "*batch dims dims"]
    Vectors = Float[np.ndarray, "*batch dims"]
    Scalars = Float[np.ndarray, "*batch"]
    Bones = Float[np.ndarray, "*batch bones"]

    Track = Float[np.ndarray, "frames joints dims"]
    TrackStd = Float[np.ndarray, "frames joints"]
    TrackState = UInt8[np.ndarray, "frames joints"]
    TrackMask = Bool[np.ndarray, "frames joints"]
    TrackVectors = Float[np.ndarray, "frames dims"]
    TrackScalars = Float[np.ndarray, "frames"]
    Stamps = Int[np.ndarray, "frames"]

    Joints = Float[np.ndarray, "joints dims"]
    JointStd = Float[np.ndarray, "joints"]
    JointMask = Bool[np.ndarray, "joints"]
else:
    Points2 = Points3 = Matrix3 = Vector3 = Jacobians = np.ndarray
    Views2 = ViewWeights = np.ndarray
    Sets = SetWeights = Rotations = Vectors = Scalars = Bones = np.ndarray
    Track = TrackStd = TrackState = TrackMask = TrackVectors = TrackScalars = Stamps = np.ndarray
    Joints = JointStd = JointMask = np.ndarray
