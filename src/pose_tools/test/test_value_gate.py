"""One gate for values: whatever conversions accept no stage raises or warns on, and what stages hand on is accepted again.

Messages are arbitrary, and so is their order. `make test` tries a few; for longer:
`.venv/bin/python -m pytest --hypothesis-profile long src/pose_tools/test/test_value_gate.py`.
"""

from __future__ import annotations

import pkgutil
from array import array
from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pose_msgs import msg as msgs
from sensor_msgs.msg import CameraInfo

from lift3d_node.intrinsics import Intrinsics
from lift3d_node.params import STATED, Lift3DParams
from lift3d_node.pipeline import PeopleLifter
from lift3d_node.subjects import Subjects
from pose_core.geometry.camera import Camera
from pose_core.geometry.covariance import along_rays, components
from pose_core.geometry.standing import standing_joints
from pose_core.people import (
    MOST_PEOPLE,
    JointState,
    People2D,
    People3D,
    Person2D,
    Person3D,
    Posture,
    ScaleSource,
)
from pose_core.skeleton import SKELETONS
from pose_ros import conversions
from pose_ros.conversions import MalformedMessage
from pose_ros.messages.ranges import RANGES, Range
from pose_viz.overlay import draw
from pose_viz.params import VizParams
from pose_viz.scene import SceneBuilder
from refine_node import refiners
from refine_node.angle_stage import AngleStage
from refine_node.params import RefineParams
from refine_node.pipeline import PeopleRefiner
from refine_node.refiners import REFINERS

pytestmark = pytest.mark.filterwarnings("error::RuntimeWarning")

LONG = settings.get_current_profile_name() == "long"
NAN, INF = float("nan"), float("inf")
TINY = 1e-45
"""The smallest float32."""
BAD = (0.0, TINY, 1e-38, 1e38, -1.0, INF, -INF, NAN)
BODY = "mediapipe33"
JOINTS = len(SKELETONS.get(BODY))
SECOND = 10**9
YEAR = 365 * 24 * 3600 * SECOND
CAMERA = Camera.from_field_of_view(640, 480, 60.0)
CANVAS = np.zeros((48, 64, 3), np.uint8)
REFINING = [
    RefineParams(refiner=name, look_ahead=ahead, angle_refinement=name == "kalman")
    for name in [module.name for module in pkgutil.iter_modules(refiners.__path__)]
    for ahead in ((0, 2) if REFINERS.get(name).looks_ahead else (0,))
]
REFINABLE = {
    params.refiner: [BODY] if REFINERS.get(params.refiner).runs_network else [BODY, *SKELETONS.names()]
    for params in REFINING
}
"""Skeletons whose people each refiner takes; networks were trained for one."""
LIFTING = [
    Lift3DParams(joint_centres=True),
    Lift3DParams(lifter="mediapipe_world", camera_tilt=STATED, camera_pitch_deg=20.0),
]


def some(examples: int) -> settings:
    """So many examples, or as many as the profile `long` asks for."""
    return settings(
        max_examples=settings().max_examples if LONG else examples,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )


def posed(skeleton: str = BODY, height: float = 1.75, away: float = 4.0) -> np.ndarray:
    """(J, 3) metres, camera axes: somebody who stands before the camera and looks into it; a hand is a spiral."""
    standing = standing_joints(skeleton)
    if np.isnan(standing).all():
        turn = np.arange(len(standing)) / 3.0
        standing = 0.05 * np.column_stack([np.cos(turn), np.sin(turn), turn])
    x, y, z = np.nan_to_num(standing).T * height
    return np.column_stack([x, 0.5 * height - y, away - z])


# The chain, as nodes run it.


class Refining:
    """3D messages in; refined, with angles, as a scene and as an overlay; each result must be a legal message."""

    def __init__(self, params: RefineParams) -> None:
        self.refiner, self.angles = PeopleRefiner(params), AngleStage(params)
        self.scene = SceneBuilder(VizParams(uncertainty="ellipsoids", show_labels=True))

    def hear(self, msg: msgs.People3D) -> msgs.People3D | None:
        """What comes out for a message; None where it is refused, or waits. Raises what a stage raises."""
        try:
            people = conversions.people3d_from_msg(msg)
        except MalformedMessage:
            return None
        self.look(people)
        try:
            self.refiner.check(people)
        except ValueError:  # the node drops it: a stamp that stands still, a skeleton for other refiners
            return None
        refined = self.refiner.process(people)
        self.refiner.contradictions()
        if refined is None:
            return None
        result = conversions.people3d_to_msg(refined)
        again = conversions.people3d_from_msg(result)
        self.look(again)
        angles = conversions.angles_to_msg(self.angles.process(again))
        conversions.angles_to_joint_state(conversions.angles_from_msg(angles))
        return result

    def look(self, people: People3D) -> None:
        self.scene.build(people)
        nobody = People2D(people.stamp, people.frame_id, people.skeleton, 640, 480)
        draw(CANVAS, nobody, people, CAMERA, VizParams(overlay_reprojection=True))


class Lifting:
    """2D messages in, refined ones out."""

    def __init__(self, lifting: Lift3DParams, refining: RefineParams) -> None:
        self.lifter, self.intrinsics = PeopleLifter(lifting), Intrinsics(60.0)
        self.after = Refining(refining)
        self.centres = Refining(RefineParams(refiner="kalman"))
        self.stamp = -1

    def calibrate(self, msg: CameraInfo) -> bool:
        try:
            self.intrinsics.hear(conversions.camera_from_msg(msg))
        except MalformedMessage:
            return False
        return True

    def hear(self, msg: msgs.People2D, world: msgs.People3D | None = None) -> msgs.People3D | None:
        try:
            people = conversions.people2d_from_msg(msg)
            solid = None if world is None else conversions.people3d_from_msg(world)
        except MalformedMessage:
            return None
        camera = self.intrinsics.of(people.width, people.height)
        draw(CANVAS, people, solid, camera, VizParams(overlay_reprojection=True))
        if people.stamp == self.stamp:
            return None
        self.stamp = people.stamp
        self.lifter.check(people)
        lifted = conversions.people3d_to_msg(self.lifter.process(people, solid, camera))
        conversions.people3d_from_msg(lifted)
        self.lifter.scales()
        self.lifter.quality.joint_median_px()
        if self.lifter.centres is not None:
            self.centres.hear(conversions.people3d_to_msg(self.lifter.centres))
        self.after.hear(lifted)
        return lifted


# Single values, field by field.


def message2d() -> msgs.People2D:
    person = Person2D(
        "p1", 0.9, np.array([200.0, 50.0, 400.0, 400.0]), CAMERA.project(posed()), np.full(JOINTS, 0.9)
    )
    return conversions.people2d_to_msg(People2D(SECOND, "camera", BODY, 640, 480, (person,)))


def message3d(stamp: int = SECOND) -> msgs.People3D:
    person = Person3D(
        id="p1",
        confidence=0.9,
        xyz=posed(),
        std=np.full(JOINTS, 0.05),
        root_std=np.array([0.05, 0.05, 0.2]),
        joint_confidence=np.full(JOINTS, 0.9),
        state=np.full(JOINTS, JointState.LIFTED, np.uint8),
        height=1.75,
        height_std=0.02,
        scale_source=ScaleSource.SUBJECT,
        covariance=along_rays(posed(), np.full(JOINTS, 0.0055), np.full(JOINTS, 0.001)),
    )
    return conversions.people3d_to_msg(People3D(stamp, "camera", BODY, (person,)))


def camera_message() -> CameraInfo:
    matrix = np.array([[600.0, 0.0, 320.0], [0.0, 600.0, 240.0], [0.0, 0.0, 1.0]])
    camera = Camera(640, 480, matrix, np.array([0.1, -0.05, 0.001, 0.001, 0.01]))
    return conversions.camera_to_msg(camera, SECOND, "camera")


def changed(owner: object, field: str, value: float) -> Iterator[None]:
    """Each way to put `value` into a field of a message, one after the other: into one place of it, and into all."""
    before = deepcopy(getattr(owner, field))
    if isinstance(before, float | int):
        setattr(owner, field, value)
        yield
    else:
        values = np.array(before, float)
        for places in ([0], range(len(values))) if len(values) else ():
            some_changed = values.copy()
            some_changed[list(places)] = value
            setattr(owner, field, _like(before, some_changed))
            yield
    setattr(owner, field, before)


def _like(before: object, values: np.ndarray) -> object:
    with np.errstate(over="ignore"):
        if isinstance(before, array):
            return array(before.typecode, values.astype(before.typecode).tolist())
        return values.astype(np.asarray(before).dtype)


FIELDS_2D = ["confidence", "box_px", "xy_px", "joint_confidence"]
FIELDS_3D = ["confidence", "xyz", "std", "root_std", "joint_confidence", "height", "height_std"]
FIELDS_3D += ["covariance", "root_velocity", "root_velocity_std", "foot_contact", "posture_confidence"]
SCALES = list(ScaleSource)


@pytest.mark.parametrize("value", BAD)
@pytest.mark.parametrize("field", FIELDS_2D)
def test_a_single_value_of_people2d(field: str, value: float) -> None:
    msg = message2d()
    chain = Lifting(Lift3DParams(), RefineParams())
    assert chain.hear(msg) is not None
    for _ in changed(msg.people[0], field, value):
        msg.header.stamp.sec += 1
        chain.hear(msg)


@pytest.mark.parametrize("params", REFINING, ids=lambda p: f"{p.refiner}-{p.look_ahead}")
@pytest.mark.parametrize("field", FIELDS_3D)
def test_a_single_value_of_people3d(field: str, params: RefineParams) -> None:
    for source in SCALES if field == "height" else [ScaleSource.SUBJECT]:
        msg, chain = message3d(), Refining(params)
        msg.people[0].scale_source = int(source)
        for value in BAD:
            for _ in changed(msg.people[0], field, value):
                msg.header.stamp.nanosec += SECOND // 50
                chain.hear(msg)
            msg.header.stamp.nanosec += SECOND // 50
            chain.hear(msg)  # and as it was


LENS_VALUES = [(field, value) for field in ("k", "d") for value in (5e-324, *BAD)]
LENS_VALUES += [
    (field, value) for field in ("width", "height", "binning_x") for value in (0, 1, 2**16, 2**32 - 1)
]


@pytest.mark.parametrize(("field", "value"), LENS_VALUES)
def test_a_single_value_of_camera_info(field: str, value: float) -> None:
    msg = camera_message()
    for number, _ in enumerate(changed(msg, field, value)):
        chain = Lifting(Lift3DParams(), RefineParams())
        if chain.calibrate(msg):
            people = message2d()
            people.header.stamp.sec += number
            chain.hear(people)


def test_single_values_of_joint_angles() -> None:
    msg = conversions.angles_to_msg(
        AngleStage(RefineParams()).process(conversions.people3d_from_msg(message3d()))
    )
    accepted = set()
    for field in ("angle", "std"):
        for value in BAD:
            for _ in changed(msg.people[0], field, value):
                try:
                    angles = conversions.angles_from_msg(msg)
                except MalformedMessage:
                    continue
                accepted.add((field, value))
                conversions.angles_from_msg(conversions.angles_to_msg(angles))
                conversions.angles_to_joint_state(angles)
    numbers = {("angle", 0.0), ("angle", TINY), ("angle", 1e-38), ("angle", -1.0), ("std", 0.0)}
    assert {found for found in accepted if not np.isnan(found[1])} == numbers


@pytest.mark.parametrize("value", [TINY, 1e38, -1.0, INF, NAN, 0.49])
@pytest.mark.parametrize("field", ["height", "mass"])
def test_a_subject_is_stated_through_the_same_gate(field: str, value: float) -> None:
    subjects = Subjects(Lift3DParams())
    with pytest.raises(ValueError, match=f"{field} must be from"):
        subjects.state("p1", **{"height": 1.7, "mass": 70.0, field: value})
    assert subjects.of("p1").source == ScaleSource.DEFAULT


@pytest.mark.parametrize("person", ["1", "p" * 65, "p\n", "p\x00", "p\u202e"])
def test_an_id_is_the_same_at_both_doors(person: str) -> None:
    with pytest.raises(ValueError, match="a person's id must"):
        Subjects(Lift3DParams()).state(person, 1.7, 0.0)
    msg = message3d()
    msg.people[0].id = person
    with pytest.raises(MalformedMessage, match="a person's id must"):
        conversions.people3d_from_msg(msg)


def test_a_height_of_zero_is_not_known() -> None:
    msg = message3d()
    msg.people[0].height = 0.0
    (person,) = conversions.people3d_from_msg(msg).people
    assert np.isnan(person.height)


# Ranges.


@pytest.mark.parametrize("name", RANGES)
def test_a_range_ends_where_it_says(name: str) -> None:
    valid = RANGES[name]
    low, high = np.float32(valid.low), np.float32(valid.high)
    for value, refused in (
        (low, False),
        (high, False),
        (np.nextafter(low, np.float32(-INF)), not (valid.zero and valid.low == TINY)),
        (np.nextafter(high, np.float32(INF)), True),
        (0.0, not (valid.zero or valid.low <= 0.0 <= valid.high)),
        (INF, True),
        (-INF, True),
        (NAN, not valid.missing),
    ):
        assert valid.refuses_one(float(value)) == refused, value
        assert valid.refuses(np.array([float(low), float(value), float(high)])) == refused, value
        assert valid.refuses(np.array([float(value)])) == refused, value
    assert not valid.refuses(np.zeros(0))


def test_the_table_in_the_documents_is_that_of_the_code() -> None:
    topics = Path(__file__).parents[3] / "docs" / "topics.md"
    rows = [f"| `{name}` | {valid} | {valid.reason} |" for name, valid in RANGES.items()]
    held = [
        line for line in topics.read_text().splitlines() if line.startswith(tuple(f"| `{n}" for n in RANGES))
    ]
    assert held == rows


def test_more_people_than_an_image_holds_are_refused_and_never_published() -> None:
    chain = Refining(RefineParams(refiner="one_euro"))
    msg = message3d()
    for number in range(3):
        people = [deepcopy(message3d().people[0]) for _ in range(MOST_PEOPLE)]
        for i, person in enumerate(people):
            person.id = f"p{number}x{i}"
        msg.people = people
        msg.header.stamp.nanosec = 1000 * number
        assert chain.refiner.process(conversions.people3d_from_msg(msg)) is not None
    msg.people.append(message3d().people[0])
    with pytest.raises(MalformedMessage, match="at most 256 people, got 257"):
        conversions.people3d_from_msg(msg)


# Arbitrary messages in arbitrary order.


def legal(valid: Range) -> st.SearchStrategy[float]:
    """Ends of a range and what is usual within it."""
    ends = [valid.low, valid.high, *[0.0] * valid.zero, *[NAN] * valid.missing]
    inside = [v for v in (0.0, TINY, -TINY, 1e-38, 0.05, 0.9, 1.75) if valid.low <= v <= valid.high]
    return st.sampled_from(inside + ends).map(lambda v: float(np.float32(v)))


def spoil(draw: st.DrawFn, people: list[msgs.Person2D] | list[msgs.Person3D], fields: list[str]) -> None:
    """Now and then put a value that may not be valid into somebody."""
    if people and draw(st.integers(0, 9)) == 9:
        ways = changed(people[-1], draw(st.sampled_from(fields)), draw(st.sampled_from(BAD)))
        for _ in range(draw(st.integers(1, 2))):
            next(ways, None)


@st.composite
def places(draw: st.DrawFn, skeleton: str, body: np.ndarray, valid: Range) -> tuple[np.ndarray, np.ndarray]:
    """Positions (J, D), and which (J,) are missing."""
    kind = draw(
        st.sampled_from(
            ["body", "body", "body", "point", "line", "origin", "behind", "far", "tiny", "mirrored"]
        )
    )
    at = body.copy()
    if kind == "point":
        at[:] = body[0]
    elif kind == "line":
        at[:] = body[0] + np.linspace(0.0, 1.0, len(body))[:, None] * (body[-1] - body[0])
    elif kind == "origin":
        at[:] = 0.0
    elif kind == "behind":
        at = -at
    elif kind == "far":
        at *= draw(st.sampled_from([1e-3, 30.0, 1000.0, 2000.0]))
    elif kind == "tiny":
        at = np.sign(at) * TINY
    elif kind == "mirrored":
        at = body[SKELETONS.get(skeleton).flip]
    for joint, axis, value in draw(
        st.lists(
            st.tuples(st.integers(0, len(body) - 1), st.integers(0, body.shape[1] - 1), legal(valid)),
            max_size=3,
        )
    ):
        at[joint, axis] = value
    missing = np.isnan(at).any(-1)
    hidden = draw(st.sampled_from(["none", "none", "none", "some", "all", "all but one"]))
    if hidden == "some":
        missing[draw(st.lists(st.integers(0, len(body) - 1), max_size=12))] = True
    elif hidden != "none":
        missing[0 if hidden == "all" else 1 :] = True
    # As float32 rounds them, or they would lie a bit beyond what is valid.
    at = np.clip(at, np.float32(valid.low), np.float32(valid.high))
    return np.where(missing[:, None], np.nan, at), missing


@st.composite
def per_joint(draw: st.DrawFn, joints: int, valid: Range, usual: float) -> np.ndarray:
    values = np.full(joints, draw(st.just(usual) | legal(valid)))
    for joint, value in draw(st.lists(st.tuples(st.integers(0, joints - 1), legal(valid)), max_size=2)):
        values[joint] = value
    return values


IDS = st.lists(st.sampled_from(["p1", "p2", "q", "Ä" * 64]), max_size=2, unique=True)
STEPS = st.sampled_from(
    [0, 1, 33_000_000, 33_000_000, 33_000_000, 33_000_000, SECOND, 40 * SECOND, YEAR, -SECOND, -YEAR]
)


@st.composite
def stamps(draw: st.DrawFn) -> list[int]:
    """Stamps of successive messages: they stand still, go back, and jump by years."""
    at = draw(st.sampled_from([0, SECOND, 1_700_000_000 * SECOND, 2**31 * SECOND - 1]))
    found = [at]
    for step in draw(st.lists(STEPS, min_size=2, max_size=7)):
        found.append(min(max(found[-1] + step, 0), 2**31 * SECOND - 1))
    return found


@st.composite
def solid_person(draw: st.DrawFn, person: str, skeleton: str, body: np.ndarray) -> Person3D:
    xyz, missing = draw(places(skeleton, body, RANGES["Person3D.xyz"]))
    state = np.full(len(body), draw(st.sampled_from([s for s in JointState if s])), np.uint8)
    std = draw(per_joint(len(body), RANGES["Person3D.std"], 0.05))
    covariance = None
    if draw(st.booleans()):
        # Flat, long and round ones, of the size that the deviation says.
        axes = draw(st.sampled_from([(1.0, 1.0, 1.0), (1e-6, 1e-6, 1.0), (1.0, 1.0, 0.0), (0.0, 0.0, 1.0)]))
        shape = components(np.diag(axes) * 3.0 / sum(axes))
        covariance = shape * np.square(std)[:, None]
    return Person3D(
        id=person,
        confidence=draw(legal(RANGES["Person3D.confidence"])),
        xyz=xyz,
        std=std,
        covariance=covariance,
        root_velocity=np.array([draw(legal(RANGES["Person3D.root_velocity"])) for _ in range(3)]),
        root_velocity_std=np.full(3, draw(legal(RANGES["Person3D.root_velocity_std"]))),
        foot_contact=np.full(2, draw(legal(RANGES["Person3D.foot_contact"]))),
        posture=draw(st.sampled_from(Posture)),
        parent=draw(st.sampled_from(["", "", "q9"])),
        root_std=np.array([draw(st.just(0.1) | legal(RANGES["Person3D.root_std"])) for _ in range(3)]),
        joint_confidence=np.where(
            missing, 0.0, draw(per_joint(len(body), RANGES["Person3D.joint_confidence"], 0.9))
        ),
        state=np.where(missing, JointState.MISSING, state).astype(np.uint8),
        height=draw(st.just(1.75) | legal(RANGES["Person3D.height"])),
        height_std=draw(legal(RANGES["Person3D.height_std"])),
        scale_source=draw(st.sampled_from(ScaleSource)),
    )


@st.composite
def solid(
    draw: st.DrawFn, stamp: int, ids: list[str], skeleton: str = BODY, away: float = 4.0
) -> msgs.People3D:
    with np.errstate(over="ignore"):
        body = posed(skeleton, away=away)
        people = tuple(draw(solid_person(person, skeleton, body)) for person in ids)
        up = draw(st.sampled_from([None, None, np.array([0.0, -1.0, 0.0]), np.array([0.0, 0.0, 1.0])]))
        delay = draw(st.just(0.0) | legal(RANGES["People3D.delay"]))
        frame = draw(st.sampled_from(["camera"] * 9 + [""]))
        msg = conversions.people3d_to_msg(People3D(stamp, frame, skeleton, people, delay, (), up))
    spoil(draw, msg.people, FIELDS_3D)
    return msg


@st.composite
def flat_person(draw: st.DrawFn, person: str) -> Person2D:
    xy_px, missing = draw(places(BODY, CAMERA.project(posed()), RANGES["Person2D.xy_px"]))
    box = [draw(legal(RANGES["Person2D.box_px"])) for _ in range(2)]
    return Person2D(
        person,
        draw(legal(RANGES["Person2D.confidence"])),
        draw(st.sampled_from([np.array([200.0, 50.0, 400.0, 400.0]), np.sort([*box, *box])])),
        xy_px,
        np.where(missing, 0.0, draw(per_joint(JOINTS, RANGES["Person2D.joint_confidence"], 0.9))),
    )


@st.composite
def flat(draw: st.DrawFn, stamp: int, ids: list[str]) -> msgs.People2D:
    with np.errstate(over="ignore"):
        size = draw(st.sampled_from([(640, 480)] * 12 + [(1, 1), (65535, 65535), (1, 65535), (65536, 1)]))
        people = tuple(draw(flat_person(person)) for person in ids)
        msg = conversions.people2d_to_msg(People2D(stamp, "camera", BODY, *size, people))
    spoil(draw, msg.people, FIELDS_2D)
    return msg


@st.composite
def lenses(draw: st.DrawFn) -> CameraInfo:
    longer = 640.0
    focal = (
        st.just(600.0)
        | st.just(600.0)
        | legal(RANGES["CameraInfo.focal length"]).map(lambda f: (f or 0.5) * longer)
    )
    point = st.just(320.0) | legal(RANGES["CameraInfo.principal point"]).map(lambda c: c * longer)
    model, counts = draw(
        st.sampled_from([("plumb_bob", 5), ("rational_polynomial", 8), ("equidistant", 4), ("", 0)])
    )
    usual = [0.0, 0.1, -0.2, 0.001, -0.3]
    coefficient = st.sampled_from(
        usual + draw(st.sampled_from([[], [1e-310, 5e-324, 1e-30], [1e4, -1e4], [1e38, NAN]]))
    )
    skew = draw(st.sampled_from([0.0, 0.0, 1e-310, 6.0]))
    k = [draw(focal), skew, draw(point), 0.0, draw(focal), draw(point), 0.0, 0.0, 1.0]
    if draw(st.integers(0, 9)) == 9:
        k[draw(st.integers(0, 8))] = draw(st.sampled_from(BAD))
    return CameraInfo(
        width=640,
        height=480,
        k=k,
        d=[draw(coefficient) for _ in range(counts)],
        distortion_model=model,
        binning_x=draw(st.sampled_from([0, 0, 1, 2, 641])),
    )


@pytest.mark.parametrize("params", REFINING, ids=lambda p: f"{p.refiner}-{p.look_ahead}")
@some(15)
@given(data=st.data())
def test_any_people3d_in_any_order_are_refined(params: RefineParams, data: st.DataObject) -> None:
    chain = Refining(params)
    skeleton = data.draw(st.sampled_from(REFINABLE[params.refiner]))
    for stamp in data.draw(stamps()):
        chain.hear(data.draw(solid(stamp, data.draw(IDS), skeleton)))
    for people in chain.refiner.flush():
        conversions.people3d_from_msg(conversions.people3d_to_msg(people))


@pytest.mark.parametrize("lifting", LIFTING, ids=lambda p: p.lifter)
@some(40)
@given(data=st.data())
def test_any_people2d_in_any_order_are_lifted_and_refined(lifting: Lift3DParams, data: st.DataObject) -> None:
    chain = Lifting(lifting, data.draw(st.sampled_from(REFINING)))
    for stamp in data.draw(stamps()):
        ids = data.draw(IDS)
        if data.draw(st.booleans()):
            chain.calibrate(data.draw(lenses()))
        world = data.draw(solid(stamp, ids, away=0.0)) if chain.lifter.lifter.uses_world else None
        chain.hear(data.draw(flat(stamp, ids)), world)


@some(100)
@given(lens=lenses())
def test_any_lens_projects_and_looks_back(lens: CameraInfo) -> None:
    try:
        camera = conversions.camera_from_msg(lens)
    except MalformedMessage:
        return
    assert camera is not None
    rays = camera.ray(np.array([[0.0, 0.0], [320.0, 240.0], [1e6, -1e6]]))
    assert not np.isinf(rays).any()
