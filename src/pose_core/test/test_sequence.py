from __future__ import annotations

import io
import json
import zipfile
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from pose_core.geometry.covariance import std_of
from pose_core.people import JointState, People2D, People3D, Person2D, Person3D, ScaleSource
from pose_core.sequence import ARRAYS, PoseSequence

START = 1_700_000_000_000_000_000
STEP = 20_000_000


def sequence(frames: int = 10, dims: int = 3, seed: int = 0) -> PoseSequence:
    rng = np.random.default_rng(seed)
    return PoseSequence(
        "coco17",
        START + STEP * np.arange(frames),
        rng.normal(size=(frames, 17, dims)),
        rng.uniform(size=(frames, 17)),
        rng.uniform(0.01, 0.1, (frames, 17)),
        rng.uniform(0.1, 0.2, (frames, dims)),
        np.full((frames, 17), JointState.LIFTED, np.uint8),
        rng.uniform(size=frames),
        "camera",
        "p1",
        {"height": 1.8, "scale_source": "SUBJECT", "licence": "CC0", "rate": [25, None]},
    )


def without(one: PoseSequence, frame: int | slice, joint: int | slice) -> PoseSequence:
    changed = {name: getattr(one, name).copy() for name in ("xyz", "std", "confidence", "state")}
    changed["xyz"][frame, joint] = np.nan
    changed["std"][frame, joint] = np.nan
    changed["confidence"][frame, joint] = 0.0
    changed["state"][frame, joint] = JointState.MISSING
    return replace(one, **changed)


def same(a: PoseSequence, b: PoseSequence) -> None:
    for name in ARRAYS:
        np.testing.assert_array_equal(getattr(a, name), getattr(b, name), err_msg=name)
        assert getattr(a, name).dtype == getattr(b, name).dtype
    assert (a.skeleton, a.frame_id, a.person, a.metadata) == (b.skeleton, b.frame_id, b.person, b.metadata)


def test_slices_and_times():
    one = sequence()
    same(one[2:5], one.between(START + 2 * STEP, START + 5 * STEP))
    same(one.between(START - 99, START + 2 * STEP + 1), one[:3])
    same(one[::2][1:], one[2::2])
    assert len(one[::3]) == 4
    assert one.duration == pytest.approx(0.18)
    assert one[:1].duration == 0.0
    assert len(one[5:5]) == 0
    assert one[5:5].duration == 0.0
    with pytest.raises(ValueError, match="stamps must increase"):
        one[::-1]


def test_a_gap_is_a_pause_without_any_joint():
    one = without(sequence(), slice(3, 6), slice(None))
    one = without(one, 8, 4)
    assert one.gaps(0.05) == [(START + 2 * STEP, START + 6 * STEP)]
    assert one.gaps(0.1) == []
    assert len(one.gaps(0.001)) == 6
    assert one.missing.sum() == 3 * 17 + 1


def test_resampling_to_the_same_rate_changes_nothing():
    one = without(sequence(), 4, 3)
    got = one.resampled(50.0, 0.001)
    same(got, one)


def test_resampling_interpolates_by_hand():
    one = sequence(3)
    got = one.resampled(100.0, 0.05)
    np.testing.assert_array_equal(got.stamps, START + 10_000_000 * np.arange(5))
    np.testing.assert_allclose(got.xyz[1], (one.xyz[0] + one.xyz[1]) / 2)
    np.testing.assert_array_equal(got.xyz[2], one.xyz[1])
    np.testing.assert_allclose(got.std[3], (one.std[1] + one.std[2]) / 2)
    np.testing.assert_allclose(got.root_std[3], (one.root_std[1] + one.root_std[2]) / 2)
    np.testing.assert_allclose(got.confidence[1], (one.confidence[0] + one.confidence[1]) / 2)
    np.testing.assert_array_equal(
        got.state[:, 0], [JointState.LIFTED, JointState.INTERPOLATED] * 2 + [JointState.LIFTED]
    )
    np.testing.assert_allclose(got.person_confidence[1], one.person_confidence[:2].mean())


def test_a_straight_motion_survives_any_rate():
    line = sequence(20)
    t = (line.stamps - START) * 1e-9
    line = replace(line, xyz=np.broadcast_to(t[:, None, None] * [1.0, 2.0, 3.0], line.xyz.shape).copy())
    line = without(line, slice(6, 9), 2)
    for rate in (13.0, 30.0, 120.0):
        got = line.resampled(rate, 0.1)
        t = (got.stamps - START) * 1e-9
        np.testing.assert_allclose(np.diff(t), 1 / rate, atol=1e-9)
        np.testing.assert_allclose(
            got.xyz, np.broadcast_to(t[:, None, None] * [1.0, 2.0, 3.0], got.xyz.shape), atol=1e-9
        )


def test_wide_gaps_and_ends_are_not_bridged():
    one = without(without(sequence(), slice(3, 6), 2), slice(8, 10), 5)
    got = one.resampled(100.0, 0.05)
    np.testing.assert_array_equal(np.flatnonzero(got.missing[:, 2]), np.arange(5, 12))
    np.testing.assert_array_equal(np.flatnonzero(got.missing[:, 5]), np.arange(15, 19))
    assert (got.state[got.missing] == JointState.MISSING).all()
    assert (got.confidence[got.missing] == 0.0).all()
    assert not got.missing[:, 3].any()
    bridged = one.resampled(100.0, 0.081)
    assert not bridged.missing[:, 2].any()
    np.testing.assert_allclose(bridged.xyz[8, 2], (one.xyz[2, 2] + one.xyz[6, 2]) / 2)


def test_a_joint_never_seen_stays_missing_and_nothing_stays_nothing():
    one = without(sequence(), slice(None), 7).resampled(75.0, 1.0)
    assert one.missing[:, 7].all()
    assert len(sequence()[:0].resampled(75.0, 1.0)) == 0
    with pytest.raises(ValueError, match="rate_hz must be positive"):
        sequence().resampled(0.0, 1.0)


@pytest.mark.parametrize("dims", [2, 3])
def test_a_file_gives_everything_back(tmp_path, dims):
    one = without(sequence(dims=dims), slice(2, 4), 3)
    one.save(tmp_path / "one.npz")
    same(PoseSequence.load(tmp_path / "one.npz"), one)
    one.save(tmp_path / "two.npz")
    assert (tmp_path / "one.npz").read_bytes() == (tmp_path / "two.npz").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.npz", "two.npz"]
    one[:0].save(tmp_path / "none.npz")
    assert len(PoseSequence.load(tmp_path / "none.npz")) == 0


@settings(max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_a_damaged_file_is_an_error_that_names_it(tmp_path, data):
    path = tmp_path / "one.npz"
    sequence(3).save(path)
    content = bytearray(path.read_bytes())
    if data.draw(st.booleans()):
        del content[data.draw(st.integers(0, len(content) - 1)) :]
    else:
        place = data.draw(st.integers(0, len(content) - 1))
        content[place] ^= data.draw(st.integers(1, 255))
    path.write_bytes(content)
    try:
        got = PoseSequence.load(path)
    except ValueError as caught:
        message = str(caught)
    else:
        same(got, sequence(3))  # bytes that carry nothing, such as a date
        return
    assert str(path) in message


def foreign(**changes) -> bytes:
    """The file of a sequence with members replaced, or left out where the change is None."""
    one = sequence(3)
    header = {"format": "pose_sequence 1", "skeleton": "coco17", "frame_id": "", "person": "", "metadata": {}}
    members = {name: getattr(one, name) for name in ARRAYS} | {"header": np.array(json.dumps(header))}
    members = {name: array for name, array in (members | changes).items() if array is not None}
    content = io.BytesIO()
    np.savez(content, **members)
    return content.getvalue()


def encrypted() -> bytes:
    """The same with the flag that says so set in every entry of the directory."""
    content = bytearray(foreign())
    place = content.find(b"PK\x01\x02")
    while place >= 0:
        content[place + 8] |= 1
        place = content.find(b"PK\x01\x02", place + 1)
    return bytes(content)


def npy(array: np.ndarray) -> bytes:
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def plain_zip() -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w") as archive:
        archive.writestr("readme.txt", "hello")
    return content.getvalue()


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no .npz archive"),
        (b"hello", "no .npz archive"),
        (npy(np.zeros(3)), "no .npz archive"),
        (plain_zip(), "header"),
        (encrypted(), "encrypted"),
        (foreign(header=None), "header"),
        (foreign(header=np.array("{")), "Expecting property name"),
        (foreign(header=np.array('{"format": "pose_sequence 2"}')), "its format is 'pose_sequence 2'"),
        (foreign(header=np.array('{"format": "pose_sequence 1"}')), "skeleton"),
        (foreign(header=np.array("[1]")), "list indices"),
        (foreign(xyz=None), "xyz"),
        (foreign(xyz=np.zeros((3, 33, 3))), "'coco17' has 17 joints, got a person with 33"),
        (foreign(xyz=np.zeros((3, 17, 3), np.float32)), "'xyz' must hold float64, got float32"),
        (foreign(stamps=np.zeros(3, np.int64)), "stamps must increase"),
        (foreign(stamps=np.zeros(2, np.int64)), "stamps must have shape"),
        (foreign(std=np.array([None, {}], object)), "holds object where numbers"),
    ],
)
def test_a_foreign_file_is_explained(tmp_path, content, message, without_checks):
    path = tmp_path / "foreign.npz"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=message) as caught:
        PoseSequence.load(path)
    assert str(path) in str(caught.value)


def test_a_missing_file_is_a_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError):
        PoseSequence.load(tmp_path / "none.npz")


@pytest.mark.parametrize("metadata", [{"a": np.zeros(3)}, {"a": float("nan")}, {"a": {1, 2}}])
def test_metadata_must_be_json(tmp_path, metadata):
    with pytest.raises(ValueError, match="metadata must be what JSON can say"):
        replace(sequence(), metadata=metadata).save(tmp_path / "one.npz")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"xyz": np.zeros((10, 17, 4))}, r"\(frames, joints, 2 or 3\), got \(10, 17, 4\)"),
        ({"xyz": np.zeros((10, 33, 3))}, "'coco17' has 17 joints"),
        ({"confidence": np.zeros((10, 16))}, r"confidence must have shape \(10, 17\), got \(10, 16\)"),
        ({"root_std": np.zeros((10, 2))}, r"root_std must have shape \(10, 3\)"),
        ({"stamps": np.zeros(10, np.int64)}, "stamps must increase, got 0 after 0"),
        ({"skeleton": "coco"}, "unknown skeleton 'coco'"),
    ],
)
def test_arrays_must_agree(change, message, without_checks):
    with pytest.raises(ValueError, match=message):
        replace(sequence(), **change)


def person3d(seed: int, name: str = "p1") -> Person3D:
    rng = np.random.default_rng(seed)
    state = np.full(17, JointState.MEASURED, np.uint8)
    return Person3D(
        name,
        float(rng.uniform()),
        rng.normal(size=(17, 3)),
        rng.uniform(0.01, 0.1, 17),
        rng.uniform(0.1, 0.2, 3),
        rng.uniform(size=17),
        state,
        1.75,
        0.05,
        ScaleSource.SUBJECT,
    )


def shaped(one: PoseSequence) -> PoseSequence:
    """The same with a doubt that is longest along z."""
    shape = np.square(one.std)[..., None] * np.array([0.5, 0.0, 0.1, 0.5, 0.0, 2.0])
    return replace(one, covariance=shape)


def test_covariances_follow_frames_files_and_deviations(tmp_path):
    one = shaped(without(sequence(), 3, 5))
    shape = one.covariance
    assert shape is not None
    assert np.isnan(shape[3, 5]).all()
    np.testing.assert_allclose(shape[4, 5], one.std[4, 5] ** 2 * np.array([0.5, 0.0, 0.1, 0.5, 0.0, 2.0]))
    np.testing.assert_array_equal(one[2:8:2].covariance, shape[2:8:2])
    one.save(tmp_path / "one.npz")
    np.testing.assert_array_equal(PoseSequence.load(tmp_path / "one.npz").covariance, shape)
    people = PoseSequence.from_people(one.to_people(), "p1")
    np.testing.assert_array_equal(people.covariance, shape)
    np.testing.assert_allclose(replace(one, std=0.5 * one.std).covariance, 0.25 * shape)
    wider = replace(one, std=2.0 * one.std).covariance
    assert wider is not None
    np.testing.assert_allclose(
        wider[4, 5] - shape[4, 5], 3.0 * one.std[4, 5] ** 2 * np.array([1, 0, 0, 1, 0, 1])
    )
    between = one.resampled(1e9 / STEP * 2.0, 1.0)
    assert between.covariance is not None
    np.testing.assert_allclose(between.covariance[8], shape[4])
    np.testing.assert_allclose(std_of(between.covariance), between.std)
    assert sequence().covariance is None


def test_covariances_that_do_not_fit_are_refused(without_checks):
    for bad in (np.zeros((10, 17, 5)), np.zeros((9, 17, 6))):
        with pytest.raises(ValueError, match=r"covariance must have shape \(10, 17, 6\)"):
            replace(sequence(), covariance=bad)
    with pytest.raises(ValueError, match="joints in 3D, got"):
        replace(sequence(dims=2), covariance=np.zeros((10, 17, 6)))


def test_people_in_3d_and_back():
    frames = [
        People3D(
            START + i * STEP, "camera", "coco17", (person3d(i + 50, "p2"), *([person3d(i)] if i != 2 else []))
        )
        for i in range(5)
    ]
    one = PoseSequence.from_people(frames, "p1")
    assert (one.person, one.frame_id, one.skeleton) == ("p1", "camera", "coco17")
    assert one.metadata == {"height": 1.75, "height_std": 0.05, "scale_source": "SUBJECT"}
    assert one.missing[2].all()
    assert np.isnan(one.person_confidence[2])
    for frame, original in zip(one.to_people(), frames, strict=True):
        assert (frame.stamp, frame.frame_id, frame.skeleton) == (original.stamp, "camera", "coco17")
        kept = [person for person in original.people if person.id == "p1"]
        assert len(frame.people) == len(kept)
        for got, expected in zip(frame.people, kept, strict=True):
            for name in ("xyz", "std", "root_std", "joint_confidence", "state"):
                np.testing.assert_array_equal(getattr(got, name), getattr(expected, name))
            assert (got.confidence, got.height, got.height_std) == (expected.confidence, 1.75, 0.05)
            assert got.scale_source is ScaleSource.SUBJECT


def test_an_unknown_height_stays_unknown_and_can_be_saved(tmp_path):
    nameless = replace(
        person3d(0), height=float("nan"), height_std=float("nan"), scale_source=ScaleSource.NONE
    )
    one = PoseSequence.from_people([People3D(START, "camera", "coco17", (nameless,))], "p1")
    one.save(tmp_path / "one.npz")
    back = PoseSequence.load(tmp_path / "one.npz").to_people()[0].people[0]
    assert np.isnan(back.height)
    assert back.scale_source is ScaleSource.NONE


def test_people_in_2d():
    xy = np.random.default_rng(0).uniform(0, 640, (17, 2))
    xy[4] = np.nan
    one = Person2D("p1", 0.9, np.zeros(4), xy, np.full(17, 0.5))
    frames = [
        People2D(START, "camera", "coco17", 640, 480, (one,)),
        People2D(START + STEP, "camera", "coco17", 640, 480),
    ]
    got = PoseSequence.from_people(frames, "p1")
    np.testing.assert_array_equal(got.xyz[0], xy)
    np.testing.assert_array_equal(np.flatnonzero(got.state[0] == JointState.MISSING), [4])
    assert got.missing[1].all()
    assert np.isnan(got.std).all()
    with pytest.raises(ValueError, match="only a sequence in 3D"):
        got.to_people()


def test_people_that_make_no_sequence():
    frame = People3D(START, "camera", "coco17", (person3d(0),))
    with pytest.raises(ValueError, match="'p9' is in none of the 1 images"):
        PoseSequence.from_people([frame], "p9")
    with pytest.raises(ValueError, match="in none of the 0 images"):
        PoseSequence.from_people([], "p1")
    with pytest.raises(ValueError, match="one kind, skeleton and frame"):
        PoseSequence.from_people([frame, replace(frame, stamp=START + 1, frame_id="other")], "p1")
    with pytest.raises(ValueError, match="stamps must increase"):
        PoseSequence.from_people([frame, frame], "p1")
