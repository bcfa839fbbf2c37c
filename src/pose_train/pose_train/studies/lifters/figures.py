"""What is measured of a lifter: how far off it is on the simulated test and on real video."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from lift3d_node import models
from lift3d_node.learned import backends
from lift3d_node.params import Lift3DParams
from pose_core.networks import runtime
from pose_core.skeleton import SKELETONS
from pose_train.data import synthesis
from pose_train.lifter.family import FAMILY
from pose_train.lifter.tracks import Arrays, Track, tracks, truth_of
from pose_train.studies import real_video
from pose_train.studies.lifters import running
from pose_train.studies.lifters.candidates import Candidate
from pose_train.studies.lifters.scenes import CONDITIONS, Scenes, Settings
from pose_train.studies.real_video import CAMERAS, RealVideo
from pose_train.studies.scores import Cost, Result, Scores, score
from pose_train.trunk import checkpoint
from pose_train.trunk.batch import Batch, part_of
from pose_train.trunk.training import whole

Forward = Callable[[Batch], Arrays]
TILT_KNOWN = ", tilt known"
"""Added to the name of a network whose figures are those with the direction that points up stated, without error."""
STEADY_HZ = (25.0, 35.0)
"""Rates of the clips that accelerations are stated for."""
BASELINES = ("mean_pose", "last_pose")
MEMORY = 1.0
"""Seconds for which `last_pose` keeps what it last knew."""
MAX_GAP = 0.02
"""Heights that an exported network, whose weights have 16 bits, may give otherwise than the trained one; more is an error."""


def evaluate_network(
    candidate: Candidate,
    test: Scenes,
    settings: Settings,
    video: RealVideo | None,
    tilt_known: bool = False,
) -> Result:
    """All figures of one network; with the tilt of cameras stated, but what it costs, which is the same.

    Raises ValueError where its two files disagree on the test.
    """
    card = candidate.card
    forward, exported = forwards(candidate, settings)
    simulated, gap = {}, None
    for condition in CONDITIONS:
        batch = test.batch(condition, card.skeleton_in, card.skeleton_out, card.config, tilt_known)
        outputs = forward(batch)
        simulated[condition] = score(
            tracks(card, outputs, batch), SKELETONS.get(card.skeleton_out), STEADY_HZ
        )
        if exported is not None and gap is None:
            few = part_of(batch, slice(0, min(settings.batch, settings.clips)))
            gap = export_gap(outputs, exported(few))
    if gap is not None and gap > MAX_GAP:
        raise ValueError(
            f"{candidate.onnx} and {candidate.checkpoint} differ by {gap:.2g} heights on the test; export the checkpoint again"
        )
    real: dict[str, dict[str, Scores]] = {}
    if video is not None and not card.look_ahead:
        file = candidate.onnx or candidate.checkpoint
        lifter = models.make(Lift3DParams(model=str(file), device="cpu"))
        real = real_scores(
            lambda camera, step: real_video.evaluate_view(lifter, video, camera, step, tilt_known)
        )
    spent = Cost() if tilt_known else running.cost(candidate, settings)
    name = candidate.name + TILT_KNOWN * tilt_known
    return Result(name, card.skeleton_out, simulated, real, spent, gap)


def evaluate_baseline(name: str, test: Scenes, settings: Settings) -> Result:
    """Figures of what knows nothing of the image: one of `BASELINES`.

    `mean_pose` is the mean of other people in the axes of the view; `last_pose` the true pose of `MEMORY` seconds ago. Both are
    of the simulated detector's skeleton, and the same under all conditions with the same cameras. Raises ValueError for other
    names.
    """
    skeleton = SKELETONS.get(synthesis.SKELETON)
    batch = test.batch("noise", skeleton.name, skeleton.name)
    truth = truth_of(batch)
    if name == "mean_pose":
        others = Scenes(settings, "val").batch("noise", skeleton.name, skeleton.name)
        heights = others.target["xyz"].double().numpy()[others.known.numpy()].mean(0)
        metres = batch.height.double().numpy()[:, None, None, None]
        predicted = np.broadcast_to(heights * metres, truth.shape)
    elif name == "last_pose":
        predicted = np.stack(
            [_earlier(one, step) for one, step in zip(truth, batch.step.double().numpy(), strict=True)]
        )
    else:
        raise ValueError(f"a baseline is one of {', '.join(BASELINES)}, got '{name}'")
    steps = batch.step.double().numpy()
    found = score([Track(*one) for one in zip(predicted, truth, steps, strict=True)], skeleton, STEADY_HZ)
    alike = [condition for condition, what in CONDITIONS.items() if not what.tilted]
    return Result(name, skeleton.name, dict.fromkeys(alike, found))


def evaluate_mediapipe(video: RealVideo | None) -> Result:
    """Figures of the detector's own 3D, which simulation does not have."""
    if video is None:
        raise ValueError("MediaPipe's own 3D needs the real video; let settings.real be true")
    lifter = models.make(Lift3DParams(lifter="mediapipe_world"))
    real = real_scores(lambda camera, step: real_video.evaluate_view(lifter, video, camera, step))
    return Result("mediapipe_world", lifter.skeleton_out, {}, real)


def real_scores(of: Callable[[int, int], Scores]) -> dict[str, dict[str, Scores]]:
    """`Result.real` from a function of camera (1 to 4) and step."""
    return {
        str(real_video.RATE_HZ // step): {str(camera): of(camera, step) for camera in CAMERAS}
        for step in (1, 2)
    }


def forwards(candidate: Candidate, settings: Settings) -> tuple[Forward, Forward | None]:
    """How sequences go through the network; and, where there are both files, how they do through the exported one."""
    exported = None
    if candidate.onnx is not None:
        session = backends.OnnxSession(candidate.onnx, "cpu")

        def exported(batch: Batch) -> Arrays:
            return _in_parts(lambda part: stream(session, part), batch, settings.batch)

    if candidate.checkpoint is None:
        assert exported is not None  # a candidate has one of them
        return exported, None
    _, trained = checkpoint.load_of(FAMILY, candidate.checkpoint)
    trained.to(settings.device).eval()
    return lambda batch: _in_parts(lambda part: whole(trained, part), batch, settings.batch), exported


def stream(session: backends.Session, batch: Batch) -> Arrays:
    """The same frame by frame through a session, as on a robot."""
    joints, context = batch.joints.numpy(), batch.context.numpy()
    state = runtime.empty_state(session.card, len(joints))
    frames = []
    for t in range(joints.shape[1]):
        outputs, state = session.run(joints[:, t].copy(), context[:, t].copy(), state)
        frames.append(outputs)
    return {name: np.stack([frame[name] for frame in frames], 1) for name in session.card.outputs}


def export_gap(outputs: Arrays, others: Arrays) -> float:
    """Largest difference of positions and directions, over the clips that both have."""
    names = [name for name in ("xyz", "limbs", "centres") if name in outputs and name in others]
    gaps = [np.abs(outputs[name][: len(others[name])] - others[name]).max() for name in names]
    return float(max(gaps))


def _in_parts(forward: Forward, batch: Batch, size: int) -> Arrays:
    count = len(batch.height)
    parts = [forward(part_of(batch, slice(start, start + size))) for start in range(0, count, size)]
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def _earlier(truth: np.ndarray, step: np.ndarray) -> np.ndarray:
    """Each frame's pose of `MEMORY` seconds before; NaN where there is none."""
    time_ = np.cumsum(step)
    before = np.searchsorted(time_, time_ - MEMORY + 1e-9) - 1
    return np.where((before >= 0)[:, None, None], truth[np.maximum(before, 0)], np.nan)
