"""From clips to what a network is trained on: encoded input and targets in the axes of the view."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor

from lift3d_node.correspondence import Correspondence
from lift3d_node.learned.encoding import Encoder
from lift3d_node.learned.model_card import CENTRES
from pose_core.skeleton import SKELETONS
from pose_train.data.synthesis import SKELETON, Clips
from pose_train.trunk.batch import Batch


class Preparer:
    """Prepares clips for networks that take `skeleton_in` and give `skeleton_out`."""

    def __init__(
        self, skeleton_in: str, skeleton_out: str, config: Mapping[str, object] | None = None
    ) -> None:
        """`config`: that of the network, as `Encoder` takes it."""
        self._encoder = Encoder(skeleton_in, config)
        self._match = (
            None if skeleton_in == SKELETON else Correspondence(SKELETON, skeleton_in, approximate=True)
        )
        self._out = skeleton_out

    def keypoints(self, clips: Clips) -> tuple[np.ndarray, np.ndarray]:
        """Detections (n, T, J_in, 2) and confidences (n, T, J_in) of the skeleton that the network takes."""
        if self._match is None:
            return clips.xy, clips.confidence
        return self._match.keypoints(clips.xy, clips.confidence)

    def prepare(self, clips: Clips, up: np.ndarray | None = None) -> Batch:
        """Input and targets of all clips; `up` (n, T, 3) is what is known of the direction that points up, NaN where nothing."""
        view, context = self._encoder.sequence(*self.keypoints(clips), clips.step, up)
        target = {"xyz": self._target(clips, self._out, view.R_cam_view)}
        if CENTRES in clips.joints:
            target["centres"] = self._target(clips, CENTRES, view.R_cam_view)
        return Batch(
            torch.from_numpy(view.joints),
            torch.from_numpy(context),
            target,
            torch.from_numpy(np.isfinite(view.size)),
            torch.from_numpy(clips.height.astype(np.float32)),
            torch.from_numpy(clips.step.astype(np.float32)),
        )

    def _target(self, clips: Clips, skeleton: str, R_cam_view: np.ndarray) -> Tensor:
        xyz = clips.truth(skeleton)
        about = xyz - SKELETONS.get(skeleton).root_of(xyz)[..., None, :]
        turned = np.matmul(about, R_cam_view.astype(np.float32))
        return torch.from_numpy((turned / clips.height[:, None, None, None]).astype(np.float32))
