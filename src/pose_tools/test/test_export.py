"""`pose export`: small bags end to end, and bags that nobody should believe."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from pose_msgs.msg import JointAngles as JointAnglesMsg
from pose_msgs.msg import People2D as People2DMsg
from pose_msgs.msg import People3D as People3DMsg
from rclpy.serialization import serialize_message
from scipy.spatial.transform import Rotation
from std_msgs.msg import String

from pose_biomechanics.angles import AngleOptions, AngleSolver, angles_of
from pose_biomechanics.isb import NAMES
from pose_core import files
from pose_core.angles import PELVIS_SEQUENCES, AngleSequence, PeopleAngles, PersonAngles
from pose_core.callbacks import Say
from pose_core.formats import c3d
from pose_core.formats.c3d import read_c3d
from pose_core.formats.mot import Motion, read_mot
from pose_core.formats.trc import read_trc
from pose_core.geometry.standing import standing_joints
from pose_core.markers import up_in_camera, world_from_camera
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource
from pose_core.sequence import PoseSequence
from pose_core.skeleton import SKELETONS
from pose_ros.conversions import angles_to_msg, people2d_to_msg, people3d_to_msg
from pose_ros.messages import names
from pose_ros.messages.names import type_name
from pose_tools.bag.people import read_people
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.files import formats as export_formats
from pose_tools.files.export import ExportJob, export
from pose_tools.files.formats import PELVIS, PLACE, coordinates, pelvis_place
from pose_tools.parameters.own import ProcessParams
from pose_tools.process.person import file_name

NAN = float("nan")
MEDIAPIPE = SKELETONS.get("mediapipe33")
START = 5_000_000_000
PERIOD = 20_000_000
"""50 images per second."""
KINDS = {"refine/people": People3DMsg, "lift3d/people": People3DMsg, "pose2d/people": People2DMsg}
KINDS["refine/joint_angles"] = JointAnglesMsg
ALL = ("trc", "c3d", "mot", "bvh", "csv", "npz")
LEGS = ("knee", "ankle", "heel", "foot_index")


def body(height: float = 1.75, place: tuple[float, float, float] = (0.0, 0.0, 4.0)) -> np.ndarray:
    """(33, 3) somebody who stands before the camera and looks into it."""
    return height * standing_joints("mediapipe33") * [1.0, -1.0, -1.0] + place


@dataclass(frozen=True)
class Actor:
    """A person of a made bag, who walks to the right."""

    id: str = "p1"
    first: int = 0
    last: int = 10**9
    """Images in which they are."""
    height: float = 1.75
    scale: ScaleSource = ScaleSource.SUBJECT
    missing: tuple[str, ...] = ()

    def xyz(self, image: int) -> np.ndarray:
        xyz = body(self.height, (0.01 * image, 0.0, 4.0))
        xyz[MEDIAPIPE.indices(*self.missing)] = NAN
        # what a message can hold
        return xyz.astype(np.float32).astype(float)

    def solid(self, image: int) -> Person3D:
        xyz = self.xyz(image)
        there = np.isfinite(xyz).all(-1)
        state = np.where(there, JointState.LIFTED, JointState.MISSING).astype(np.uint8)
        std = np.where(there, 0.015625, NAN)
        confidence = np.where(there, 0.75, 0.0)
        return Person3D(
            self.id, 0.5, xyz, std, np.full(3, 0.25), confidence, state, self.height, 0.0625, self.scale
        )

    def flat(self, image: int) -> Person2D:
        xy = np.stack([np.arange(33.0), np.full(33, float(image))], -1)
        return Person2D(self.id, 0.5, np.array([0.0, 0.0, 40.0, 500.0]), xy, np.full(33, 0.75))

    def angles(self, image: int) -> PersonAngles:
        return PersonAngles(
            self.id, np.arange(len(NAMES)) / 64, np.full(len(NAMES), 0.03125), np.zeros(len(NAMES), np.uint8)
        )

    def pelvis_sequence(self, image: int) -> str:
        """That is stated of their angles."""
        return AngleOptions.pelvis_sequence


BY_DEFAULT = AngleOptions()


@dataclass(frozen=True)
class Turning(Actor):
    """Somebody who leans forward from the hips, and turns on the spot; angles are recorded in any sequence."""

    facing: tuple[float, float] = (180.0, 540.0)
    """Degrees by which they have turned to the left since they walked away, in image 0 and 60."""
    lean: float = 20.0
    recorded: AngleOptions = BY_DEFAULT

    def xyz(self, image: int) -> np.ndarray:
        xyz = body(self.height)
        hips = xyz[MEDIAPIPE.indices("left_hip", "right_hip")].mean(0)
        above = [row for row, name in enumerate(MEDIAPIPE.joints) if not name.endswith(LEGS)]
        leaning = Rotation.from_euler("x", self.lean, degrees=True)
        xyz[above] = hips + leaning.apply(xyz[above] - hips)
        start, end = self.facing
        # the camera's y points down
        turned = Rotation.from_euler("y", 180.0 - (start + (end - start) * image / 60.0), degrees=True)
        xyz = hips + turned.apply(xyz - hips)
        xyz[MEDIAPIPE.indices(*self.missing)] = NAN
        return xyz.astype(np.float32).astype(float)

    def angles(self, image: int) -> PersonAngles:
        return AngleSolver(MEDIAPIPE, self.recorded).solve(self.solid(image), 0)

    def pelvis_sequence(self, image: int) -> str:
        return self.recorded.pelvis_sequence


Up = Callable[[int], np.ndarray | None]
"""What points up in each image."""


def messages(
    actors: Iterable[Actor], stamps: Iterable[int], topics: Iterable[str], up: Up = lambda image: None
) -> Iterable[tuple[str, Any, int]]:
    """Relative topic, message and stamp, image by image."""
    for image, stamp in enumerate(stamps):
        here = [actor for actor in actors if actor.first <= image <= actor.last]
        solid = tuple(actor.solid(image) for actor in here)
        flat = tuple(actor.flat(image) for actor in here)
        turned = tuple(actor.angles(image) for actor in here)
        sequence = here[0].pelvis_sequence(image) if here else ""
        angles = PeopleAngles(stamp, "camera", NAMES, turned, pelvis_sequence=sequence)
        made = {
            "pose2d/people": people2d_to_msg(People2D(stamp, "camera", "mediapipe33", 640, 480, flat)),
            "lift3d/people": people3d_to_msg(People3D(stamp, "camera", "mediapipe33", solid)),
            "refine/people": people3d_to_msg(People3D(stamp, "camera", "mediapipe33", solid, up=up(image))),
            "refine/joint_angles": angles_to_msg(angles),
        }
        for topic in topics:
            yield topic, made[topic], stamp


def write_bag(
    folder: Path,
    actors: Iterable[Actor] = (Actor(),),
    images: int = 60,
    topics: tuple[str, ...] = ("pose2d/people", "refine/people"),
    stamps: Iterable[int] | None = None,
    namespaces: tuple[str, ...] = ("",),
    up: Up = lambda image: None,
) -> Path:
    stamps = [START + PERIOD * i for i in range(images)] if stamps is None else stamps
    with BagWriter(
        folder, [Topic(f"{n}/{t}", type_name(KINDS[t])) for n in namespaces for t in topics]
    ) as writer:
        for topic, message, stamp in messages(tuple(actors), stamps, topics, up):
            for namespace in namespaces:
                writer.write(f"{namespace}/{topic}", serialize_message(message), stamp)
    return folder


def silent(done: int, total: int | None) -> None:
    """Take progress that a test is not about."""


def run(bag: Path, out: Path, say: Say = lambda _: None, **options: Any) -> dict[str, Any]:
    return export(ExportJob(bag, out, **{"to": ALL, **options}), silent, say)


def names_in(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


@pytest.fixture(scope="module")
def bag(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """1.2 s of one person."""
    return write_bag(tmp_path_factory.mktemp("bags") / "Übung 1")


def test_a_set_of_files(bag: Path, tmp_path: Path):
    told: list[int] = []
    result = export(ExportJob(bag, tmp_path / "out"), lambda done, _: told.append(done))
    assert told
    files = names_in(tmp_path / "out")
    plain = {
        f"Übung 1{ending}"
        for ending in (".trc", ".c3d", ".mot", ".bvh", "_markers.csv", "_raw_landmarks.csv")
    }
    assert {name for name in files if "/" not in name} == plain
    groups = {name.removeprefix("Übung 1_joint_angles/") for name in files - plain}
    assert len(groups) == 12
    assert {"pelvis.csv", "right_knee.csv", "left_shoulder.csv"} <= groups
    assert result["topic"] == "/refine/people"
    assert result["rate Hz"] == 50.0
    assert result["people"]["p1"]["images"] == 60
    assert result["people"]["p1"]["markers"] == 22
    assert "not exported" not in result


def test_markers_are_where_the_joints_are(bag: Path, tmp_path: Path):
    run(bag, tmp_path, to=("trc", "c3d"))
    trc, binary = read_trc(tmp_path / "Übung 1.trc"), read_c3d(tmp_path / "Übung 1.c3d")
    assert trc.names == binary.names
    np.testing.assert_array_equal(trc.stamps, PERIOD * np.arange(60))
    np.testing.assert_array_equal(binary.stamps, trc.stamps)
    np.testing.assert_allclose(binary.xyz, trc.xyz, atol=1e-6)
    for image in (0, 59):
        xyz = Actor().xyz(image)
        # the camera's z is X, its y is -Y, its x is Z
        x, y, z = xyz[MEDIAPIPE.index("right_wrist")]
        np.testing.assert_allclose(trc.of("RWrist")[image], [z, -y, x], atol=1e-6)
        hips = xyz[MEDIAPIPE.indices("left_hip", "right_hip")].mean(0)
        np.testing.assert_allclose(trc.of("Hip")[image], [hips[2], -hips[1], hips[0]], atol=1e-6)


def test_a_camera_that_looks_down_is_levelled(bag: Path, tmp_path: Path):
    run(bag, tmp_path, to=("trc", "bvh"), tilt=(20.0, -5.0))
    expected = world_from_camera(20.0, -5.0) @ Actor().xyz(7)[MEDIAPIPE.index("nose")]
    np.testing.assert_allclose(read_trc(tmp_path / "Übung 1.trc").of("Nose")[7], expected, atol=1e-6)
    motion = (tmp_path / "Übung 1.bvh").read_text().split("MOTION\n")[1].splitlines()[2 + 7]
    hips = Actor().xyz(7)[MEDIAPIPE.indices("left_hip", "right_hip")].mean(0)
    expected = world_from_camera(20.0, -5.0) @ hips
    np.testing.assert_allclose(np.array(motion.split()[:3], float), expected, atol=1e-6)


def test_a_tilt_that_the_bag_knows_is_taken_off(tmp_path: Path):
    def up(image: int) -> np.ndarray | None:
        return None if image < 3 else up_in_camera(20.0 + 0.01 * (image - 31), -5.0)

    bag = write_bag(tmp_path / "walk", up=up, topics=("refine/people", "refine/joint_angles"))
    result = run(bag, tmp_path / "out", to=("trc",))
    assert result["people"]["p1"]["angles"] == "as recorded"
    seen = Actor().xyz(7)[MEDIAPIPE.index("nose")]
    found = read_trc(tmp_path / "out" / "walk.trc").of("Nose")[7]
    np.testing.assert_allclose(found, world_from_camera(20.0, -5.0) @ seen, atol=1e-3)
    # What is stated counts.
    run(bag, tmp_path / "level", to=("trc",), tilt=(0.0, 0.0))
    found = read_trc(tmp_path / "level" / "walk.trc").of("Nose")[7]
    np.testing.assert_allclose(found, world_from_camera(0.0, 0.0) @ seen, atol=1e-6)


def test_a_camera_that_turns_has_no_one_tilt(tmp_path: Path):
    turning = write_bag(tmp_path / "walk", up=lambda image: up_in_camera(0.1 * image, 0.0))
    assert read_people(turning, silent, lambda _: None).tilt is None


def test_everybody_has_a_set_on_one_time_axis(tmp_path: Path):
    actors = (Actor("p1"), Actor("p 2", first=10, last=99, missing=("left_wrist",)), Actor("p3", 5, 20))
    bag = write_bag(tmp_path / "walk", actors, 100)
    result = run(bag, tmp_path / "out")
    assert set(result["people"]) == {"p1", "p 2"}
    assert result["not exported"] == {"p3": "0.3 s"}
    late = read_trc(tmp_path / "out" / "walk_p 2.trc")
    assert (late.stamps[0], len(late)) == (10 * PERIOD, 90)
    assert read_c3d(tmp_path / "out" / "walk_p 2.c3d").stamps[0] == 10 * PERIOD
    assert read_mot(tmp_path / "out" / "walk_p 2.mot").stamps[0] == 10 * PERIOD
    assert np.isnan(late.of("LWrist")).all()
    assert np.isfinite(late.of("RWrist")).all()
    assert len(read_trc(tmp_path / "out" / "walk_p1.trc")) == 100
    assert result["people"]["p 2"]["seconds"] == pytest.approx(1.78)


def test_who_is_exported_can_be_chosen(tmp_path: Path):
    bag = write_bag(tmp_path / "walk", (Actor("p1"), Actor("p2", 5, 20)), 100)
    assert set(run(bag, tmp_path / "a", people=("p2",), to=("trc",))["people"]) == {"p2"}
    assert names_in(tmp_path / "a") == {"walk.trc"}
    assert set(run(bag, tmp_path / "b", process=ProcessParams(min_seconds=0.1), to=("trc",))["people"]) == {
        "p1",
        "p2",
    }
    with pytest.raises(ValueError, match="shows no p7; it shows p1, p2"):
        run(bag, tmp_path / "c", people=("p7",))
    assert not (tmp_path / "c").exists()


def test_gaps_and_lost_images(tmp_path: Path):
    """Images 10 and 11 are lost, and the person is away in five others: interpolated here, missing there."""

    class Leaving(Actor):
        def solid(self, image: int) -> Person3D:
            person = super().solid(image)
            return replace(person, id="p9") if 30 <= image < 35 else person

    stamps = [START + PERIOD * i for i in range(60) if i not in (10, 11)]
    bag = write_bag(tmp_path / "walk", (Leaving(),), stamps=stamps)
    run(bag, tmp_path / "out")
    markers = read_trc(tmp_path / "out" / "walk.trc")
    np.testing.assert_array_equal(markers.stamps, PERIOD * np.arange(60))
    # image 10 follows image 9 and shows the person 1 cm further
    np.testing.assert_allclose(np.diff(markers.of("Hip")[8:14, 2]), [0.01, *[0.01 / 3] * 3, 0.01], atol=2e-6)
    np.testing.assert_array_equal(np.flatnonzero(markers.missing.all(1)), np.arange(32, 37))


def test_angles_are_those_of_the_bag(tmp_path: Path):
    topics = ("refine/people", "refine/joint_angles")
    bag = write_bag(tmp_path / "walk", topics=topics)
    result = run(bag, tmp_path / "out", to=("csv", "mot"))
    assert result["people"]["p1"]["angles"] == "as recorded"
    table = np.genfromtxt(
        tmp_path / "out" / "walk_joint_angles" / "right_knee.csv", delimiter=",", names=True
    )
    assert table.dtype.names[:4] == ("time_s", *(f"right_knee_{dof}_deg" for dof in ("flex", "abd", "rot")))
    knee = NAMES.index("right_knee_flexion")
    np.testing.assert_allclose(table["right_knee_flex_deg"], np.degrees(knee / 64), atol=1e-6)
    np.testing.assert_allclose(table["right_knee_flex_std_deg"], np.degrees(0.03125), atol=1e-6)
    motion = read_mot(tmp_path / "out" / "walk.mot")
    np.testing.assert_allclose(motion.columns["knee_angle_r"], np.degrees(knee / 64), atol=1e-6)
    assert motion.degrees
    # stated tilt makes the recorded angles of the pelvis wrong
    again = run(bag, tmp_path / "tilted", to=("csv",), tilt=(10.0, 0.0))
    assert again["people"]["p1"]["angles"] == "from joints"


def test_angles_are_computed_where_the_bag_has_none(bag: Path, tmp_path: Path):
    result = run(bag, tmp_path, to=("csv", "mot"))
    assert result["people"]["p1"]["angles"] == "from joints"
    held = read_people(bag, silent, lambda _: None)
    expected = angles_of(held.joints("p1"))
    found = coordinates(expected)
    motion = read_mot(tmp_path / "Übung 1.mot")
    np.testing.assert_allclose(motion.columns["knee_angle_r"], found["knee_angle_r"], atol=1e-6)
    np.testing.assert_array_equal(found["hip_adduction_r"], -np.degrees(expected.of("right_hip_abduction")))
    # a straight limb does not tell how it is turned: left out, and said
    unknown = [name for name, values in found.items() if np.isnan(values).all()]
    assert unknown
    text = (tmp_path / "Übung 1.mot").read_text()
    for name in unknown:
        assert f"\n{name}: could not be told\n" in text
        assert name not in motion.columns
    assert np.isfinite(list(motion.columns.values())).all()


def pelvis_in(motion: Motion) -> np.ndarray:
    """(T, 3) degrees."""
    return np.stack([motion.columns[name] for name in PELVIS], -1)


@pytest.mark.parametrize("missing", [(), ("left_knee", "right_knee")])
def test_the_pelvis_in_opensim_does_not_depend_on_the_sequence_of_recorded_angles(
    tmp_path: Path, missing: tuple[str, ...]
):
    motions = {}
    for sequence in PELVIS_SEQUENCES:
        actor = Turning(missing=missing, recorded=AngleOptions(pelvis_sequence=sequence))
        bag = write_bag(tmp_path / sequence, (actor,), topics=("refine/people", "refine/joint_angles"))
        result = run(bag, tmp_path / f"{sequence}_out", to=("mot",))
        assert result["people"]["p1"]["angles"] == "as recorded"
        assert result["people"]["p1"]["pelvis sequence"] == sequence
        motions[sequence] = read_mot(tmp_path / f"{sequence}_out" / f"{sequence}.mot")
    one, other = motions.values()
    assert one.columns.keys() == other.columns.keys()
    for name, values in one.columns.items():
        # A message holds half a turn to 7e-6 degrees, and they begin at half a turn, which is one to the left or to the right.
        apart = np.mod(other.columns[name] - values + 180.0, 360.0) - 180.0
        np.testing.assert_allclose(apart, 0.0, atol=3e-5 if name in PELVIS else 1e-6, err_msg=name)
        assert np.ptp(other.columns[name] - values) < 1e-4, name
    # They lean towards the camera, to its right and away from it, and turn on and on.
    found = pelvis_in(one)
    np.testing.assert_allclose(found[0, :2], [20.0, 0.0], atol=0.01)
    np.testing.assert_allclose(found[15, :2], [0.0, 20.0], atol=0.01)
    np.testing.assert_allclose(found[30, :2], [-20.0, 0.0], atol=0.01)
    np.testing.assert_allclose(np.diff(found[:, 2]), 6.0, atol=0.5)


@pytest.mark.parametrize("sequence", PELVIS_SEQUENCES)
def test_recorded_angles_that_are_not_those_of_the_joints_stay(tmp_path: Path, sequence: str):
    """Such as those of a stage that knew how the camera is tilted, which nobody states here."""
    actor = Turning(
        facing=(150.0, 210.0), recorded=AngleOptions(sequence, camera_pitch_deg=12.0, camera_roll_deg=-3.0)
    )
    bag = write_bag(tmp_path / "walk", (actor,), topics=("refine/people", "refine/joint_angles"))
    run(bag, tmp_path / "out", to=("mot",))
    zxy = replace(actor, recorded=replace(actor.recorded, pelvis_sequence="ZXY"))
    expected = [np.degrees(zxy.angles(image).angle[:3]) * (-1.0, 1.0, 1.0) for image in range(60)]
    found = pelvis_in(read_mot(tmp_path / "out" / "walk.mot"))
    difference = np.mod(found - expected + 180.0, 360.0) - 180.0
    np.testing.assert_allclose(difference, 0.0, atol=1e-4)


def test_a_pelvis_of_which_no_sequence_is_stated_is_left_out_of_mot(tmp_path: Path):
    class Silent(Turning):
        def pelvis_sequence(self, image: int) -> str:
            return ""

    bag = write_bag(tmp_path / "walk", (Silent(),), topics=("refine/people", "refine/joint_angles"))
    said: list[str] = []
    result = export(ExportJob(bag, tmp_path / "out", to=("mot", "csv")), silent, said.append)
    assert result["people"]["p1"]["angles"] == "as recorded"
    assert result["people"]["p1"]["pelvis sequence"] == "not stated"
    (sentence,) = said
    assert "p1: no coordinates of the pelvis" in sentence
    text = (tmp_path / "out" / "walk.mot").read_text()
    columns = read_mot(tmp_path / "out" / "walk.mot").columns
    assert "hip_flexion_r" in columns
    for name in (*PELVIS, *PLACE):
        assert f"\n{name}: could not be told: the angles do not state their pelvis_sequence\n" in text
        assert name not in columns
    # the table has them as they were recorded
    table = np.genfromtxt(tmp_path / "out" / "walk_joint_angles" / "pelvis.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["pelvis_flex_deg"], 20.0, atol=0.01)


@pytest.mark.parametrize(
    ("sequences", "sentence"),
    [
        (("YXZ", "ZXY"), "while it shows 'p1': YXZ and ZXY; cut it in two there"),
        (("", "ZXY"), "while it shows 'p1': not stated and ZXY; cut it in two there"),
    ],
)
def test_angles_whose_sequence_was_changed_on_the_way_are_refused(
    tmp_path: Path, sequences: tuple[str, str], sentence: str
):
    """Somebody who was gone before that is not."""

    class Changing(Turning):
        def pelvis_sequence(self, image: int) -> str:
            return sequences[image >= 30]

    actors = (Changing(), Changing("p2", first=0, last=29))
    bag = write_bag(tmp_path / "walk", actors, topics=("refine/people", "refine/joint_angles"))
    with pytest.raises(ValueError, match="changes pelvis_sequence on /refine/joint_angles") as error:
        run(bag, tmp_path / "out", to=("mot",))
    assert sentence in str(error.value)
    assert not (tmp_path / "out").exists()
    run(bag, tmp_path / "out", to=("mot",), people=("p2",))
    held = read_people(bag, silent, lambda _: None)
    angles = held.angles("p2")
    assert angles is not None
    assert angles.pelvis_sequence == sequences[0]


def test_opensim_has_one_pelvis_whatever_the_sequence():
    """Of angles that no message has rounded."""
    random = np.random.default_rng(3)
    stamps = START + PERIOD * np.arange(200)
    turned = Rotation.from_rotvec(np.cumsum(random.normal(0.0, 0.1, (200, 3)), 0))
    found = {}
    for sequence in PELVIS_SEQUENCES:
        by_axis = dict(zip(sequence, turned.as_euler(sequence).T, strict=True))
        angle = np.stack([-by_axis["Z"], by_axis["X"], by_axis["Y"]], -1)
        zero = np.zeros(angle.shape)
        angles = AngleSequence(NAMES[:3], stamps, angle, zero, zero, pelvis_sequence=sequence)
        found[sequence] = coordinates(angles)
        assert np.isnan(list(coordinates(replace(angles, pelvis_sequence="")).values())).all()
    assert found["YXZ"].keys() == set(PELVIS)
    for name, values in found["ZXY"].items():
        np.testing.assert_allclose(found["YXZ"][name], values, atol=1e-6, err_msg=name)
    back = Rotation.from_euler("ZXY", np.stack([found["YXZ"][name] for name in PELVIS], -1), degrees=True)
    np.testing.assert_allclose((back * turned.inv()).magnitude(), 0.0, atol=1e-7)


def test_a_pelvis_that_was_not_seen_for_a_moment_does_not_spin(tmp_path: Path):
    """Turned by 175 degrees before the gap and by 185, which is -175, after it."""

    class Leaving(Turning):
        def solid(self, image: int) -> Person3D:
            person = super().solid(image)
            return replace(person, id="p9") if 25 <= image < 35 else person

    bag = write_bag(tmp_path / "walk", (Leaving(facing=(170.0, 190.0)),), topics=("refine/people",))
    run(bag, tmp_path / "out", to=("mot",))
    assert "\npelvis_rotation: 10 of 60 rows" in (tmp_path / "out" / "walk.mot").read_text()
    found = pelvis_in(read_mot(tmp_path / "out" / "walk.mot"))
    np.testing.assert_allclose(np.diff(found[:, 2]), 1.0 / 3.0, atol=0.05)


def test_the_model_of_opensim_stands_where_the_person_does():
    """Tilted forward by 90 degrees (-90 about Z), the offset of the hips, back and down, turns into back up and down back."""
    turned = {
        "pelvis_tilt": np.array([0.0, -90.0, NAN]),
        "pelvis_list": np.zeros(3),
        "pelvis_rotation": np.zeros(3),
    }
    hip = np.array([[1.0, 2.0, 3.0]] * 3)
    place = np.stack(list(pelvis_place(hip, turned).values()), -1)
    np.testing.assert_allclose(place[0], [1.056276, 2.07849, 3.0], atol=1e-12)
    np.testing.assert_allclose(place[1], [1.07849, 2.0 - 0.056276, 3.0], atol=1e-12)
    assert np.isnan(place[2]).all()


def test_lifted_people_do_where_there_are_no_refined_ones(tmp_path: Path):
    bag = write_bag(tmp_path / "walk", topics=("lift3d/people",))
    assert run(bag, tmp_path / "out", to=("trc",))["topic"] == "/lift3d/people"
    both = write_bag(tmp_path / "both", topics=("lift3d/people", "refine/people"))
    assert run(both, tmp_path / "out2", to=("trc",))["topic"] == "/refine/people"
    # and without people in 2D there are no landmarks
    run(bag, tmp_path / "out3", to=("csv",))
    assert not [name for name in names_in(tmp_path / "out3") if "landmarks" in name]


def test_landmarks_are_those_that_were_seen(bag: Path, tmp_path: Path):
    run(bag, tmp_path, to=("csv",))
    table = np.genfromtxt(tmp_path / "Übung 1_raw_landmarks.csv", delimiter=",", names=True)
    np.testing.assert_allclose(table["time_s"], 0.02 * np.arange(60), atol=1e-6)
    np.testing.assert_allclose(table["left_knee_x_px"], MEDIAPIPE.index("left_knee"))
    np.testing.assert_allclose(table["left_knee_y_px"], np.arange(60))


def test_joints_come_back_bit_by_bit(tmp_path: Path):
    bag = write_bag(tmp_path / "walk", (Actor(missing=("left_wrist",), scale=ScaleSource.DEPTH),), 60)
    run(bag, tmp_path / "out", to=("npz",))
    joints = PoseSequence.load(tmp_path / "out" / "walk.npz")
    people = [
        People3D(
            START + PERIOD * i,
            "camera",
            "mediapipe33",
            (Actor(missing=("left_wrist",), scale=ScaleSource.DEPTH).solid(i),),
        )
        for i in range(60)
    ]
    expected = PoseSequence.from_people(people, "p1")
    for name in ("stamps", "xyz", "confidence", "std", "root_std", "state", "person_confidence"):
        np.testing.assert_array_equal(getattr(joints, name), getattr(expected, name), err_msg=name)
    assert joints.metadata == expected.metadata
    assert (joints.skeleton, joints.frame_id, joints.person) == ("mediapipe33", "camera", "p1")


def test_the_same_bag_gives_the_same_bytes(bag: Path, tmp_path: Path):
    run(bag, tmp_path / "a")
    run(bag, tmp_path / "b")
    assert len(names_in(tmp_path / "a")) == 19
    for name in names_in(tmp_path / "a"):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes(), name


def test_a_stated_height_scales_people(tmp_path: Path):
    bag = write_bag(tmp_path / "walk", (Actor(height=1.75, scale=ScaleSource.DEFAULT),))
    run(bag, tmp_path / "out", to=("trc", "npz"), height=1.4)
    joints = PoseSequence.load(tmp_path / "out" / "walk.npz")
    np.testing.assert_allclose(joints.xyz[3], 0.8 * Actor().xyz(3), rtol=1e-6)
    np.testing.assert_allclose(joints.std[3], 0.8 * 0.015625)
    assert joints.metadata["height"] == 1.4
    assert joints.metadata["scale_source"] == "SUBJECT"
    assert read_trc(tmp_path / "out" / "walk.trc").of("Hip")[0, 0] == pytest.approx(0.8 * 4.0, abs=0.05)
    measured = write_bag(tmp_path / "depth", (Actor(scale=ScaleSource.DEPTH),))
    with pytest.raises(ValueError, match=r"size of 'p1' was measured \(depth\); leave --height out"):
        run(measured, tmp_path / "no", height=1.4)
    assert not (tmp_path / "no").exists()


def test_long_recordings_have_several_c3d_files(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(export_formats, "MOST_FRAMES", 25)
    monkeypatch.setattr(c3d, "MOST_FRAMES", 25)
    run(bag, tmp_path, to=("c3d", "trc"))
    whole_markers = read_trc(tmp_path / "Übung 1.trc")
    names = ("Übung 1.c3d", "Übung 1_part2.c3d", "Übung 1_part3.c3d")
    parts = [read_c3d(tmp_path / name) for name in names]
    assert [len(part) for part in parts] == [25, 25, 10]
    assert [part.stamps[0] for part in parts] == [0, 0, 0]
    np.testing.assert_allclose(np.concatenate([part.xyz for part in parts]), whole_markers.xyz, atol=1e-6)


def test_a_single_image_is_a_recording(tmp_path: Path):
    bag = write_bag(tmp_path / "one", images=1)
    run(bag, tmp_path / "out")
    assert len(read_trc(tmp_path / "out" / "one.trc")) == 1
    assert len(read_c3d(tmp_path / "out" / "one.c3d")) == 1
    assert len(read_mot(tmp_path / "out" / "one.mot").stamps) == 1


# Names


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("p1", "p1"),
        ("Übung 1", "Übung 1"),
        ("../../etc/passwd", "_.._etc_passwd"),
        ("..", "_"),
        ("", "_"),
        (" .hidden ", "hidden"),
        ("a/b\\c:d*e?f\n\0g", "a_b_c_d_e_f__g"),
        ("名前", "名前"),
        ("x" * 500, "x" * 120),
        ("é" * 100, "é" * 60),
        ("-rf", "-rf"),
    ],
)
def test_names_of_files(text: str, name: str):
    assert file_name(text) == name


def test_ids_cannot_leave_the_folder(tmp_path: Path):
    actors = (Actor("p/../../../x"), Actor("p\\..\\..\\..\\X"), Actor("x?"), Actor("x" * 64))
    bag = write_bag(tmp_path / "walk", actors)
    run(bag, tmp_path / "deep" / "out", to=("trc", "npz"))
    assert names_in(tmp_path / "deep") == {f"out/{name}" for name in names_in(tmp_path / "deep" / "out")}
    files = names_in(tmp_path / "deep" / "out")
    assert len(files) == 8
    # capitals are small letters to some file systems
    assert {"walk_p_.._.._.._x.trc", "walk_p_.._.._.._X_2.trc", "walk_x_.trc"} <= files
    assert {path.name for path in tmp_path.iterdir()} == {"walk", "deep"}


@pytest.mark.parametrize("id", ["x\u202e", "x" * 65])
def test_ids_that_no_message_may_have_are_named(tmp_path: Path, id: str):
    bag = write_bag(tmp_path / "walk", (Actor(id),))
    with pytest.raises(ValueError, match="a person's id must have at most 64 printable characters"):
        run(bag, tmp_path / "out")


# What is there already, and what goes wrong on the way


def test_existing_files_are_kept_unless_forced(bag: Path, tmp_path: Path):
    (tmp_path / "Übung 1.mot").write_text("precious")
    with pytest.raises(
        ValueError, match=r"Übung 1\.mot exists already; name another folder, or replace it with --force"
    ):
        run(bag, tmp_path)
    assert names_in(tmp_path) == {"Übung 1.mot"}
    assert (tmp_path / "Übung 1.mot").read_text() == "precious"
    run(bag, tmp_path, to=("trc",))
    run(bag, tmp_path, force=True)
    assert len(read_mot(tmp_path / "Übung 1.mot").stamps) == 60
    (tmp_path / "Übung 1_markers.csv").unlink()
    with pytest.raises(ValueError, match="_joint_angles exists already"):
        run(bag, tmp_path, to=("csv",))


def test_parts_of_a_longer_recording_do_not_stay(bag: Path, tmp_path: Path):
    for number in (2, 3):
        (tmp_path / f"Übung 1_part{number}.c3d").write_text("old")
    with pytest.raises(ValueError, match=r"part2\.c3d exists already"):
        run(bag, tmp_path, to=("c3d",))
    run(bag, tmp_path, to=("c3d",), force=True)
    assert names_in(tmp_path) == {"Übung 1.c3d"}


@pytest.mark.parametrize("writes", range(0, 19, 3))
def test_a_full_disk_leaves_nothing(bag: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int):
    left = [writes]

    def full(_: int) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(28, "No space left on device")

    monkeypatch.setattr(files.os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        run(bag, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    (tmp_path / "old").mkdir()
    (tmp_path / "old" / "Übung 1.trc").write_text("old")
    left[0] = writes
    with pytest.raises(OSError, match="No space left"):
        run(bag, tmp_path / "old", force=True)
    assert names_in(tmp_path / "old") == {"Übung 1.trc"}
    assert (tmp_path / "old" / "Übung 1.trc").read_text() == "old"


# Bags


def test_a_bag_that_was_cut_short_is_read_as_far_as_it_goes(tmp_path: Path):
    bag = write_bag(tmp_path / "walk", images=400)
    cut = tmp_path / "cut"
    shutil.copytree(bag, cut)
    file = next(cut.glob("*.mcap"))
    content = file.read_bytes()
    file.write_bytes(content[: len(content) * 2 // 3])
    said: list[str] = []
    result = run(cut, tmp_path / "out", said.append, to=("trc",))
    assert len(said) == 1
    assert "was cut short" in said[0]
    frames = len(read_trc(tmp_path / "out" / "cut.trc"))
    assert 150 < frames < 300
    assert result["people"]["p1"]["images"] == frames


def test_a_bare_file_is_a_bag(bag: Path, tmp_path: Path):
    run(next(bag.glob("*.mcap")), tmp_path, to=("trc",))
    assert names_in(tmp_path) == {"Übung 1.trc"}


def test_a_bag_without_our_topics_says_what_it_has(tmp_path: Path):
    with BagWriter(
        tmp_path / "talk",
        [Topic("/chatter", "std_msgs/msg/String"), Topic("/refine/people", "std_msgs/msg/String")],
    ) as writer:
        for topic in ("/chatter", "/refine/people"):
            writer.write(topic, serialize_message(String(data="hello")), START)
    with pytest.raises(
        ValueError, match="no people in 3D, which would be on refine/people or lift3d/people"
    ) as raised:
        run(tmp_path / "talk", tmp_path / "out")
    assert "it has /chatter, /refine/people" in str(raised.value)
    assert not (tmp_path / "out").exists()


def test_a_bag_that_shows_nobody_says_so(tmp_path: Path):
    bag = write_bag(tmp_path / "empty", ())
    with pytest.raises(ValueError, match="shows nobody in its 60 images on /refine/people"):
        run(bag, tmp_path / "out")


def test_broken_messages_are_left_out_and_told(tmp_path: Path):
    made = list(messages((Actor(),), [START + PERIOD * i for i in range(60)], ("refine/people",)))
    with BagWriter(tmp_path / "walk", [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        for image, (_, message, stamp) in enumerate(made):
            if image == 20:
                message.people[0].xyz = message.people[0].xyz[:5]
            if image == 40:
                message.header.stamp = made[3][1].header.stamp
            writer.write("/refine/people", serialize_message(message), stamp)
    said: list[str] = []
    result = run(tmp_path / "walk", tmp_path / "out", said.append, to=("trc",))
    assert result["people"]["p1"]["images"] == 58
    assert len(said) == 1
    assert "2 messages on /refine/people were left out; the first: " in said[0]


def test_a_bag_of_nothing_but_broken_messages_says_what_is_wrong(tmp_path: Path):
    with BagWriter(tmp_path / "walk", [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        for _, message, stamp in messages((Actor(),), [START], ("refine/people",)):
            message.skeleton = "octopus8"
            writer.write("/refine/people", serialize_message(message), stamp)
    with pytest.raises(ValueError, match="no message on /refine/people in .* can be used: .*octopus8"):
        run(tmp_path / "walk", tmp_path / "out")


def test_a_skeleton_that_changes_says_so(tmp_path: Path):
    stamps = [START + PERIOD * i for i in range(4)]
    made = list(messages((Actor(),), stamps, ("refine/people",)))
    made[0][1].people, made[0][1].skeleton = [], "coco17"  # an image without people says nothing
    with BagWriter(tmp_path / "walk", [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        for _, message, stamp in made[:3]:
            writer.write("/refine/people", serialize_message(message), stamp)
    assert run(tmp_path / "walk", tmp_path / "out", to=("trc",))["people"]["p1"]["images"] == 2
    person = made[3][1].people[0]
    person.xyz, person.std = person.xyz[:51], person.std[:17]
    person.joint_confidence, person.state = person.joint_confidence[:17], person.state[:17]
    made[3][1].skeleton = "coco17"
    with BagWriter(tmp_path / "two", [Topic("/refine/people", names.PEOPLE3D)]) as writer:
        for _, message, stamp in made:
            writer.write("/refine/people", serialize_message(message), stamp)
    with pytest.raises(ValueError, match="changes the skeleton, the frame or the angles of /refine/people"):
        run(tmp_path / "two", tmp_path / "out2")


def test_several_robots_are_told_apart(tmp_path: Path):
    bag = write_bag(tmp_path / "two", namespaces=("/a", "/b"))
    with pytest.raises(ValueError, match="people of '/a' and '/b'; choose with --namespace"):
        run(bag, tmp_path / "out")
    assert run(bag, tmp_path / "out", namespace="/b", to=("trc",))["topic"] == "/b/refine/people"
    assert run(bag, tmp_path / "out2", namespace="a/", to=("trc",))["topic"] == "/a/refine/people"
    with pytest.raises(ValueError, match="no people in 3D in the namespace 'c'"):
        run(bag, tmp_path / "out3", namespace="c")


# Jobs


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"to": ()}, "formats must be of bvh, c3d, csv, mot, npz, trc, got none"),
        ({"to": ("trc", "xls")}, "got xls"),
        ({"height": 0.3}, "height must be from .* got 0.3"),
        ({"height": 30.0}, "height must be from .* got 30"),
        ({"height": NAN}, "height must be from"),
        ({"process": ProcessParams(mass=3000.0)}, "mass must be from 2 to 400 kg"),
        (
            {"process": ProcessParams(augmentation_cycles=0)},
            "augmentation_cycles must be from 1 to 64, got 0",
        ),
        ({"process": ProcessParams(min_seconds=-1.0)}, "min_seconds must be at least 0.0, got -1.0"),
        ({"tilt": (500.0, 0.0)}, "camera_pitch_deg must be from -180 to 180"),
    ],
)
def test_jobs_that_cannot_work_say_why(bag: Path, tmp_path: Path, options: dict[str, Any], words: str):
    with pytest.raises(ValueError, match=words):
        ExportJob(bag, tmp_path / "out", **options)
    assert not (tmp_path / "out").exists()


def test_places_are_looked_at_first(bag: Path, tmp_path: Path):
    with pytest.raises(ValueError, match="there is no bag"):
        ExportJob(tmp_path / "none", tmp_path / "out")
    (tmp_path / "file").write_text("x")
    with pytest.raises(ValueError, match="is no folder"):
        ExportJob(bag, tmp_path / "file")
    with pytest.raises(ValueError, match="is no bag"):
        run(tmp_path / "file", tmp_path / "out")
