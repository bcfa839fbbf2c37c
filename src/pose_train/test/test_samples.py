"""Training input and targets: what the network is asked is the truth, in the axes it sees."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from lift3d_node.learned.encoding import Encoder
from pose_core.skeleton import SKELETONS
from pose_train.data.detector import CLEAN, FULL
from pose_train.data.samples import Preparer
from pose_train.data.synthesis import Synthesizer


def test_targets_project_onto_the_encoded_joints(synthesizer: Synthesizer):
    clips = synthesizer.clips(30, 4, np.random.default_rng(0), CLEAN)
    batch = Preparer("mediapipe33", "mediapipe33").prepare(clips)
    skeleton = SKELETONS.get("mediapipe33")
    view, _ = Encoder("mediapipe33").sequence(clips.xy, clips.confidence, clips.step)
    root = np.einsum("ntji,ntj->nti", view.R_cam_view, skeleton.root_of(clips.joints["mediapipe33"]))
    xyz = batch.target["xyz"].double().numpy() * clips.height[:, None, None, None] + root[:, :, None]
    seen = xyz[..., :2] / xyz[..., 2:] / view.size[..., None, None]
    near = xyz[..., 2] > 0.3
    np.testing.assert_allclose(seen[near], batch.joints[..., :2].double().numpy()[near], atol=1e-4)


@pytest.mark.parametrize("skeleton", ["mediapipe33", "coco17", "h36m17", "mpi_inf28"])
def test_targets_are_the_truth_about_the_root_in_heights(synthesizer: Synthesizer, skeleton: str):
    clips = synthesizer.clips(4, 3, np.random.default_rng(1), FULL)
    target = Preparer("mediapipe33", skeleton).prepare(clips).target["xyz"].double().numpy()
    own = SKELETONS.get(skeleton)
    np.testing.assert_allclose(own.root_of(target), 0.0, atol=1e-6)
    source = "mediapipe33" if skeleton == "coco17" else skeleton
    rows = SKELETONS.get(source).indices(*own.joints)
    lengths = own.bone_lengths(clips.joints[source][:, :, rows].astype(float))
    np.testing.assert_allclose(own.bone_lengths(target) * clips.height[:, None, None], lengths, atol=1e-5)


def test_the_centres_are_those_of_h36m17(synthesizer: Synthesizer):
    clips = synthesizer.clips(4, 3, np.random.default_rng(1), FULL)
    batch = Preparer("mediapipe33", "mediapipe33").prepare(clips)
    own = Preparer("mediapipe33", "h36m17").prepare(clips)
    torch.testing.assert_close(batch.target["centres"], own.target["xyz"])


def test_shapes_types_and_known_frames(synthesizer: Synthesizer):
    clips = synthesizer.clips(3, 5, np.random.default_rng(2), FULL)
    clips.xy[1, 2] = np.nan
    batch = Preparer("mediapipe33", "mediapipe33").prepare(clips)
    assert batch.joints.shape == (3, 5, 33, 3)
    assert batch.context.shape == (3, 5, 5)
    assert batch.joints.dtype == batch.context.dtype == batch.target["xyz"].dtype == torch.float32
    assert not batch.known[1, 2]
    assert batch.known.sum() == 14
    assert all(torch.isfinite(value).all() for value in (batch.joints, batch.context, *batch.target.values()))
