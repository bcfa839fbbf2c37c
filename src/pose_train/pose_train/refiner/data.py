"""What refining networks see of clips."""

from __future__ import annotations

import numpy as np
import torch

from pose_train.data.clips import Clip
from pose_train.trunk.batch import Batch
from refine_node import encoding


def batch_of(clip: Clip) -> Batch:
    """Clips (n, T, ...) as a refining network sees them, each from an empty past, with the truth."""
    joints = encoding.encode(clip.xyz, clip.std, clip.confidence, np.ones(clip.step.shape))
    step = np.array(clip.step, float)
    step[:, 0] = np.nan
    return Batch(
        joints=torch.from_numpy(joints),
        context=torch.from_numpy(encoding.context(step)),
        target={"xyz": torch.from_numpy(clip.truth.astype(np.float32))},
        known=torch.from_numpy(np.isfinite(clip.truth).all((-2, -1))),
        height=torch.full((len(clip.step),), encoding.DEFAULT_HEIGHT),
        step=torch.from_numpy(clip.step.astype(np.float32)),
    )
