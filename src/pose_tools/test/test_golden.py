"""What the pipeline makes of a second of real video, stage by stage, against numbers that are kept in `golden.npz`.

It catches what no other test means to: that anything has changed which the product computes. Where that was meant, the numbers
are written anew, by one of

    .venv/bin/python src/pose_tools/test/test_golden.py                  from the same people in 2D
    .venv/bin/python src/pose_tools/test/test_golden.py out/demo/bag     from those in a bag of `pose demo`

and the commit says by how much they moved. A change that only moves code changes nothing here but imports.

The people in 2D are what MediaPipe saw in camera 1 of Pose2Sim's single person demo (BSD-3-Clause), images 20 to 79.
`scripts/golden.py` compares much more, two revisions on one machine, to the byte.
"""

from __future__ import annotations

import io
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from lift3d_node.params import STATED, Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from pose_biomechanics.angle_refiner import AngleRefiner
from pose_biomechanics.angles import AngleOptions, angles_of_markers
from pose_biomechanics.augmentation import NAMES, MarkerAugmenter, marker_errors
from pose_biomechanics.marker_set import markers_of
from pose_core.angles import AngleSequence, PersonAngles
from pose_core.files import write_whole
from pose_core.geometry.camera import Camera
from pose_core.people import People2D, People3D, Person2D
from pose_core.sequence import PoseSequence
from pose_core.skeleton import MEDIAPIPE33
from refine_node import recording
from refine_node.angle_stage import AngleStage
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner

Arrays = dict[str, np.ndarray]

FILE = Path(__file__).with_name("golden.npz")
INPUTS = ("stamps", "xy_px", "confidence")
IMAGES = slice(20, 80)
"""Of the demo video: somebody walks past the camera."""
CAMERA = Camera(
    1080,
    1920,
    np.array([[1668.883, 0.0, 529.051], [0.0, 1668.818, 948.22], [0.0, 0.0, 1.0]]),
    np.array([-0.046183, 0.139983, 0.000608, 0.00069, 0.0]),
)
"""As it was calibrated."""
TILT = {"camera_pitch_deg": 22.5, "camera_roll_deg": -13.4}
"""Likewise."""
LIFT3D = Lift3DParams(camera_tilt=STATED, height=1.8, device="cpu", **TILT)
REFINE = RefineParams(**TILT)
MASS = 75.0

TOLERANCES = {
    "xyz": 1e-4,
    "std": 1e-4,
    "joint_confidence": 1e-4,
    "angle": 0.05,
    "angle_std": 0.05,
    "state": 0.0,
    "flags": 0.0,
}
"""Metres, shares of 1 and degrees, by the last word of an array's name. Processors and versions of libraries round otherwise:
with all that the networks give off by a random two millionths, positions moved by 0.006 mm at most, angles by 0.005 degrees, and
no state or flag became another one."""
FINENESS = 2.0**-4
"""Of what is kept, as a share of the tolerance: noise beyond it would only make the file larger."""


def computed(given: Arrays) -> Arrays:
    """Results of every stage by stage and kind: metres, degrees, NaN where missing; live image by image, and offline."""
    lifter, refiner = PeopleLifter(LIFT3D), PeopleRefiner(REFINE)
    solver, corrector = AngleStage(REFINE), AngleStage(replace(REFINE, angle_refinement=True))
    lifted, refined, solved, corrected = [], [], [], []
    for image in images(given):
        lifted.append(lifter.process(image, None, CAMERA))
        now = refiner.process(lifted[-1])
        assert now is not None, "without look-ahead there is an answer to each image"
        refined.append(now)
        solved.append(solver.process(now))
        corrected.append(corrector.process(now))
    smooth = recording.smooth(sequence(lifted), REFINE)
    augmented = MarkerAugmenter("cpu").augment(markers_of(smooth, **TILT), LIFT3D.height, MASS)
    assert augmented.used, augmented.reason
    markers = augmented.markers
    options = AngleOptions.of(REFINE)
    by_markers = angles_of_markers(markers, options, marker_errors(markers.names))
    corrected_by_markers, _ = AngleRefiner().refine(by_markers)
    return {
        **of_people("lifted", sequence(lifted)),
        **of_people("refined", sequence(refined)),
        **of_angles("live", [image.people[0] for image in solved]),
        "live corrected angle": np.degrees([image.people[0].angle for image in corrected]),
        **of_people("offline", smooth),
        "markers xyz": markers.xyz,
        "markers std": markers.std,
        **of_angles("markers", [by_markers]),
        "markers corrected angle": np.degrees(corrected_by_markers.angle),
    }


def images(given: Arrays) -> list[People2D]:
    """One person in each."""
    shown = []
    for stamp, xy_px, confidence in zip(*(given[name] for name in INPUTS), strict=True):
        points = xy_px.astype(float)
        box_px = np.concatenate([np.nanmin(points, 0), np.nanmax(points, 0)])
        person = Person2D("p1", 1.0, box_px, points, confidence.astype(float))
        shown.append(People2D(int(stamp), "camera", MEDIAPIPE33.name, CAMERA.width, CAMERA.height, (person,)))
    return shown


def sequence(frames: list[People3D]) -> PoseSequence:
    """Of the one person."""
    return PoseSequence.from_people(frames, "p1")


def of_people(stage: str, person: PoseSequence) -> Arrays:
    """Named by stage and kind."""
    kinds = {"xyz": "xyz", "std": "std", "confidence": "joint_confidence", "state": "state"}
    return {f"{stage} {kind}": getattr(person, name) for name, kind in kinds.items()}


def of_angles(stage: str, parts: Sequence[PersonAngles | AngleSequence]) -> Arrays:
    """(T, A) likewise, of angles image by image or of a whole recording."""
    angle, std, flags = (
        np.vstack([getattr(part, name) for part in parts]) for name in ("angle", "std", "flags")
    )
    return {
        f"{stage} angle": np.degrees(angle),
        f"{stage} angle_std": np.degrees(std),
        f"{stage} flags": flags,
    }


def tolerance(name: str) -> float:
    """Of the array called so."""
    return TOLERANCES[name.rpartition(" ")[2]]


def off(name: str, got: np.ndarray, kept: np.ndarray) -> np.ndarray:
    """Which numbers of an array differ by more than they may; angles that are a whole turn apart do not, NaN and a number do."""
    apart = np.abs(got.astype(float) - kept)
    if name.endswith("angle"):
        apart = np.minimum(apart, np.abs(apart - 360.0))
    return ~(apart <= tolerance(name)) & ~(np.isnan(got) & np.isnan(kept))


def rounded(name: str, array: np.ndarray) -> np.ndarray:
    """As it is kept."""
    if array.dtype != float:
        return array
    unit = 2.0 ** np.floor(np.log2(FINENESS * tolerance(name)))
    return (unit * np.rint(array / unit)).astype(np.float32)


def written(given: Arrays, results: Arrays) -> bytes:
    """The file: what is put in, and what comes out."""
    content = io.BytesIO()
    np.savez_compressed(content, **given, **{name: rounded(name, array) for name, array in results.items()})
    return content.getvalue()


def read(content: bytes) -> tuple[Arrays, Arrays]:
    """What was put in, and what is to come out."""
    with np.load(io.BytesIO(content), allow_pickle=False) as stored:
        arrays = {name: stored[name] for name in stored.files}
    given = {name: arrays.pop(name) for name in INPUTS}
    return given, arrays


def seen_in(folder: Path) -> Arrays:
    """The person of a bag in 2D."""
    from pose_ros import topics
    from pose_ros.conversions import people2d_from_msg
    from pose_tools.bag.reader import read as read_bag

    frames = [people2d_from_msg(message.decode()) for message in read_bag(folder, [f"/{topics.PEOPLE2D}"])]
    person = PoseSequence.from_people(frames, frames[0].people[0].id)[IMAGES]
    return {
        "stamps": person.stamps,
        "xy_px": person.xyz.astype(np.float32),
        "confidence": person.confidence.astype(np.float32),
    }


@pytest.fixture(scope="module")
def results() -> tuple[Arrays, Arrays]:
    """What is computed, and what is kept."""
    given, kept = read(FILE.read_bytes())
    with threadpool_limits(limits=1, user_api="blas"):  # as the stages do: matrices are small
        return computed(given), kept


def test_every_number_is_as_it_was(results: tuple[Arrays, Arrays]):
    got, kept = results
    assert list(got) == list(kept)
    wrong = []
    for name, array in kept.items():
        assert got[name].shape == array.shape, name
        differ = off(name, got[name], array)
        if differ.any():
            largest = np.nanmax(np.abs(got[name].astype(float) - array))
            wrong.append(f"{name}: {differ.sum()} of {differ.size} differ, by up to {largest:.4g}")
    assert not wrong, "\n".join(wrong)


def test_what_is_kept_shows_every_stage_at_work(results: tuple[Arrays, Arrays]):
    """Numbers that are missing, or the same in all stages, would hide a change."""
    _, kept = results
    for name, array in kept.items():
        assert np.isfinite(array).mean() > 0.6, name
    for before, after, least in (
        ("lifted xyz", "refined xyz", 1e-3),
        ("refined xyz", "offline xyz", 1e-3),
        ("live angle", "live corrected angle", 0.1),
        ("markers angle", "markers corrected angle", 0.1),
    ):
        assert np.nanmean(np.abs(kept[before] - kept[after])) > least, (before, after)
    assert np.isfinite(kept["markers xyz"]).all(2).any(0).sum() == len(NAMES)


@pytest.mark.parametrize(
    ("name", "change", "counts"),
    [("xyz", 0.5e-4, 0), ("xyz", 2e-4, 1), ("angle", 360.02, 0), ("angle", 180.0, 1), ("angle", np.nan, 1)],
)
def test_a_number_that_is_off_counts(name: str, change: float, counts: int):
    kept = np.array([[1.0, np.nan, -170.0]])
    got = kept.copy()
    got[0, 2] += change
    assert off(f"any {name}", got, kept).sum() == counts


def test_what_is_written_is_read_again(results: tuple[Arrays, Arrays]):
    got, _ = results
    given, _ = read(FILE.read_bytes())
    content = written(given, got)
    assert len(content) < 200_000, "fewer images would do"
    again, kept = read(content)
    for name, array in given.items():
        np.testing.assert_array_equal(again[name], array)
    for name, array in got.items():
        assert not off(name, array, kept[name]).any()


def write(bag: Path | None) -> None:
    """The file anew, from the people in 2D of a bag, else from those that it holds."""
    given = read(FILE.read_bytes())[0] if bag is None else seen_in(bag)
    write_whole(FILE, written(given, computed(given)))


if __name__ == "__main__":
    write(Path(sys.argv[1]) if sys.argv[1:] else None)
