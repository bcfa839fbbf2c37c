"""What every refiner must do, run over the registry: a file dropped into `refiners` is covered at once."""

from __future__ import annotations

from dataclasses import fields, replace

import numpy as np
import pytest

from pose_core.geometry.covariance import std_of
from pose_core.people import JointState, Person3D, with_missing
from pose_core.skeleton import SKELETONS
from refine_node import network_refiner
from refine_node.params import RefineParams
from refine_node.refiner import Refiner
from refine_node.refiners import REFINERS

# what has been trained is not exact: it has tests of its own
EXACT = [name for name in REFINERS if name == "averaging" or not REFINERS.get(name).runs_network]
ALL = pytest.mark.parametrize("name", EXACT)
PREDICTING = pytest.mark.parametrize("name", [name for name in EXACT if name != "raw"])
AHEAD = pytest.mark.parametrize("name", [name for name in EXACT if REFINERS.get(name).looks_ahead])
MS = 1_000_000
STEP = 1_000_000_000 / 60


def stamps(frames: int, step: float = STEP) -> list[int]:
    return [1_000_000_000 + round(k * step) for k in range(frames)]


def uneven(frames: int) -> list[int]:
    steps = np.random.default_rng(1).choice([1, 8, 16, 33, 100, 500], frames)
    return (1_000_000_000 + np.cumsum(steps) * MS).tolist()


def make(name: str, skeleton: str = "mediapipe33", **params) -> Refiner:
    return REFINERS.get(name)(RefineParams(**params), SKELETONS.get(skeleton))


def walk(
    figure, times: list[int], velocity=(1.0, 0.0, 0.5), noise: float = 0.0, seed: int = 0
) -> list[Person3D]:
    rng = np.random.default_rng(seed)
    return [
        figure.person(
            figure.xyz
            + np.array([0.0, 0.0, 3.0])
            + np.array(velocity) * (t - times[0]) * 1e-9
            + noise * rng.normal(size=figure.xyz.shape)
        )
        for t in times
    ]


def refine(refiner: Refiner, people: list[Person3D], times: list[int]) -> np.ndarray:
    """(T, J, 3)"""
    return np.array([refiner.refine(person, t).xyz for person, t in zip(people, times, strict=True)])


def content(person: Person3D) -> list[bytes]:
    return [np.asarray(getattr(person, field.name)).tobytes() for field in fields(person)]


def test_the_registry_knows_the_files():
    assert {"raw", "one_euro", "kalman", "savitzky_golay", "hpstm", "smoothnet"} <= set(REFINERS)
    with pytest.raises(ValueError, match="unknown refiner 'kalmann'; did you mean 'kalman'"):
        REFINERS.get("kalmann")


@ALL
@pytest.mark.parametrize("skeleton", SKELETONS.names())
def test_any_skeleton_from_the_first_frame_with_any_missing_joints(name, skeleton):
    rng = np.random.default_rng(0)
    joints = len(SKELETONS.get(skeleton))
    refiner, shape = make(name, skeleton), rng.normal(size=(joints, 3))
    for t in uneven(40):
        seen = rng.random(joints) < rng.choice([0.0, 0.3, 0.7, 1.0])
        person = Person3D(
            id="p1",
            confidence=1.0,
            xyz=np.where(seen[:, None], shape + 0.01 * rng.normal(size=(joints, 3)), np.nan),
            std=np.where(seen, 0.05, np.nan),
            root_std=np.full(3, 0.02),
            joint_confidence=seen.astype(float),
            state=np.where(seen, JointState.LIFTED, JointState.MISSING).astype(np.uint8),
        )
        out = refiner.refine(person, t)
        assert out.state.dtype == np.uint8
        given = out.state != JointState.MISSING
        assert given[seen].all()
        assert (out.state[given & ~seen] == JointState.PREDICTED).all()
        for values in (out.xyz[:, 0], out.xyz[:, 1], out.xyz[:, 2], out.std):
            np.testing.assert_array_equal(np.isfinite(values), given)
        assert np.isfinite(out.root_std).all() or not given.any()
        assert (out.joint_confidence[~given] == 0.0).all()
        assert np.abs(out.xyz[seen] - shape[seen]).max(initial=0.0) < 0.5


@ALL
def test_first_frame_comes_back(name, figure):
    person = figure.person()
    out = make(name).refine(person, 5)
    np.testing.assert_allclose(out.xyz, person.xyz, atol=1e-12)
    np.testing.assert_allclose(out.std, person.std, atol=1e-12)
    np.testing.assert_allclose(out.root_std, person.root_std, atol=1e-12)
    assert (out.id, out.confidence, out.height, out.height_std) == ("p1", 0.9, 1.75, 0.02)
    assert out.scale_source == person.scale_source


@ALL
def test_what_stands_still_stays(name, figure):
    times = uneven(50)
    out = refine(make(name), [figure.person()] * 50, times)
    np.testing.assert_allclose(
        out, np.broadcast_to(figure.xyz + np.array([0.0, 0.0, 3.0]), out.shape), atol=1e-9
    )


@ALL
def test_later_frames_change_nothing(name, figure):
    times = stamps(60)
    people = walk(figure, times, noise=0.02)
    other = people[:30] + walk(figure, times, velocity=(-2.0, 1.0, 0.0), noise=0.1, seed=9)[30:]
    a, b = (refine(make(name), seen, times) for seen in (people, other))
    np.testing.assert_array_equal(a[:30], b[:30])


@ALL
def test_people_do_not_touch_each_other(name, figure):
    times = stamps(20)
    mine, other = (
        walk(figure, times, noise=0.02),
        walk(figure, times, velocity=(-1.0, 0, 0), noise=0.05, seed=3),
    )
    alone = refine(make(name), mine, times)
    first, second = make(name), make(name)
    together = []
    for a, b, t in zip(mine, other, times, strict=True):
        together.append(first.refine(a, t).xyz)
        second.refine(b, t)
    np.testing.assert_array_equal(np.array(together), alone)


@ALL
def test_input_is_not_changed_and_output_stays_as_it_was(name, figure):
    refiner, times = make(name), stamps(10)
    people = walk(figure, times, noise=0.02)
    people[5] = with_missing(people[5], np.arange(33) < 12)
    before = [content(person) for person in people]
    out = [refiner.refine(person, t) for person, t in zip(people, times, strict=True)]
    given = [content(person) for person in out]
    refiner.refine(figure.person(), times[-1] + 1)
    refiner.predict(times[-1] + 10)
    assert [content(person) for person in people] == before
    assert [content(person) for person in out] == given


@ALL
def test_reset_is_a_new_start(name, figure):
    times = stamps(20)
    people = walk(figure, times, noise=0.02)
    refiner = make(name)
    refine(refiner, walk(figure, stamps(30), velocity=(3.0, 0, 0)), stamps(30))
    refiner.reset()
    assert refiner.predict(times[0]) is None
    np.testing.assert_array_equal(refine(refiner, people, times), refine(make(name), people, times))


@ALL
def test_replay_gives_the_same_bytes(name, figure):
    times = uneven(40)
    people = walk(figure, times, noise=0.05)
    assert refine(make(name), people, times).tobytes() == refine(make(name), people, times).tobytes()


@ALL
@pytest.mark.parametrize("rate", [15.0, 30.0, 60.0])
def test_a_step_of_the_pose_arrives_within_a_fifth_of_a_second(name, rate, figure):
    # a wrist that moves by 5 cm about the body, too little for any gate
    times = stamps(60, 1e9 / rate)
    wrist = figure.skeleton.index("left_wrist")
    moved = figure.person().xyz
    moved[wrist] += (0.05, 0.0, 0.0)
    people = [figure.person() if k < 30 else figure.person(moved.copy()) for k in range(60)]
    x = refine(make(name), people, times)[:, wrist, 0] - figure.xyz[wrist, 0]
    at = 30 + int(np.ceil(0.2 * rate))
    assert np.abs(x[:30]).max() < 1e-9
    assert x[at] > 0.8 * 0.05
    assert x.max() < 1.35 * 0.05
    assert x[-1] == pytest.approx(0.05, rel=0.1)


@ALL
def test_a_walk_is_followed_without_much_lag(name, figure):
    times = stamps(180)
    people = walk(figure, times, velocity=(1.4, 0.0, 0.7))
    lag = np.array([p.xyz for p in people])[-1] - refine(make(name), people, times)[-1]
    assert np.abs(lag[:, 0] / 1.4).max() < 0.05
    assert np.abs(lag[:, 2] / 0.7).max() < 0.08


@PREDICTING
def test_noise_becomes_less(name, figure):
    times, params = stamps(600), RefineParams()
    rng = np.random.default_rng(4)
    walked = [replace(p, std=np.full(33, 0.1), root_std=np.full(3, 0.06)) for p in walk(figure, times)]
    true = np.array([p.xyz for p in walked])
    # the share of the stated deviations that is independent from frame to frame
    joints, root = params.white_share * 0.1, params.root_white_share * 0.06
    seen = [
        replace(p, xyz=p.xyz + joints * rng.normal(size=(33, 3)) + root * rng.normal(size=3)) for p in walked
    ]
    raw = np.array([p.xyz for p in seen])
    out = refine(make(name), seen, times)
    root, root_raw, root_true = (x[:, [23, 24]].mean(1) for x in (out, raw, true))
    about, about_raw, about_true = out - root[:, None], raw - root_raw[:, None], true - root_true[:, None]
    # of the motion that is left after its own lag, which is a constant offset here
    for got, had, was in ((root, root_raw, root_true), (about, about_raw, about_true)):
        assert (got - was)[100:].std(0).mean() < 0.8 * (had - was)[100:].std(0).mean()
    acceleration = [np.abs(np.diff(x, 2, axis=0)).mean() for x in (out, raw)]
    assert acceleration[0] < 0.5 * acceleration[1]


@PREDICTING
def test_predictions_grow_uncertain_and_change_nothing(name, figure):
    refiner, times = make(name), stamps(60)
    people = walk(figure, times)
    last = [refiner.refine(person, t) for person, t in zip(people, times, strict=True)][-1]
    stds, places = [], []
    for ahead in (0, 16, 50, 100, 200, 400):
        predicted = refiner.predict(times[-1] + ahead * MS)
        assert (predicted.state == JointState.PREDICTED).all()
        assert (predicted.id, predicted.height, predicted.scale_source) == (
            "p1",
            1.75,
            people[0].scale_source,
        )
        stds.append(np.concatenate([predicted.std, predicted.root_std]))
        places.append(predicted.xyz)
    assert (np.diff(stds, axis=0) > 0.0).all()
    np.testing.assert_allclose(stds[0][:33], last.std, rtol=1e-9)
    np.testing.assert_allclose(places[0], last.xyz, atol=1e-9)
    assert np.isfinite(places).all()
    assert np.abs(places[-1] - places[0]).max() < 1.0
    again = make(name)
    refine(again, people, times)
    after = [r.refine(people[-1], times[-1] + 20 * MS) for r in (refiner, again)]
    np.testing.assert_array_equal(after[0].xyz, after[1].xyz)


SHAPE = np.array([0.5, 0.0, 0.2, 0.5, 0.0, 2.0])
"""Of a covariance whose deviation is 1."""


def shaped(person: Person3D) -> Person3D:
    return replace(person, covariance=np.square(person.std)[:, None] * SHAPE)


@ALL
def test_the_shape_of_the_doubt_is_carried_on(name, figure):
    refiner, times = make(name), stamps(40)
    wrist = np.arange(33) == figure.skeleton.index("left_wrist")
    for k, (person, t) in enumerate(zip(walk(figure, times), times, strict=True)):
        gone = 30 <= k < 35
        out = refiner.refine(shaped(with_missing(person, wrist) if gone else person), t)
        assert out.covariance is not None
        np.testing.assert_allclose(std_of(out.covariance), out.std, rtol=1e-9)
        body = out.covariance[~wrist] / np.square(out.std[~wrist, None])
        if name == "raw":
            np.testing.assert_allclose(body, np.tile(SHAPE, (32, 1)))
        assert (body[:, 5] > body[:, 0]).all()
        if gone and name != "raw":
            assert np.isfinite(out.covariance[wrist]).all()
    later = refiner.predict(times[-1] + 100 * MS)
    if later is not None:
        assert later.covariance is not None
        np.testing.assert_allclose(std_of(later.covariance), later.std, rtol=1e-9)
        assert (later.covariance[:, 5] > later.covariance[:, 0]).all()
    plain = refiner.refine(figure.person(), times[-1] + 200 * MS)
    assert plain.covariance is None


WITH_VELOCITY = pytest.mark.parametrize("name", ["kalman", "hpstm", "smoothnet"])


@WITH_VELOCITY
@pytest.mark.parametrize("ahead", [0, 4])
def test_the_root_has_a_velocity(name, ahead, figure):
    refiner, times = make(name, look_ahead=ahead), stamps(60)
    for person, t in zip(walk(figure, times), times, strict=True):
        out = refiner.refine(person, t)
    np.testing.assert_allclose(out.root_velocity, [1.0, 0.0, 0.5], atol=0.05)
    assert (out.root_velocity_std > 0.0).all()
    assert out.root_velocity_std[2] > out.root_velocity_std[0]  # depth is seen worst
    if ahead:
        earlier = refiner.recall(times[-1 - ahead])
        assert earlier is not None
        np.testing.assert_allclose(earlier.root_velocity, [1.0, 0.0, 0.5], atol=0.05)
        assert (earlier.root_velocity_std <= out.root_velocity_std).all()
    later = refiner.predict(times[-1] + 250 * MS)
    assert later is not None
    np.testing.assert_allclose(later.root_velocity, out.root_velocity * np.exp(-1.0), rtol=0.01)
    assert (later.root_velocity_std > out.root_velocity_std).all()


@WITH_VELOCITY
def test_who_stands_still_has_no_velocity_within_what_is_stated(name, figure):
    refiner, times = make(name), stamps(200)
    draw = np.random.default_rng(3)
    inside = []
    for person, t in zip(walk(figure, times, velocity=(0.0, 0.0, 0.0)), times, strict=True):
        moved = person.xyz + draw.normal(size=3) * (0.005, 0.005, 0.02)
        out = refiner.refine(replace(person, xyz=moved), t)
        if t > times[60]:
            inside.append(np.abs(out.root_velocity) < 1.645 * out.root_velocity_std)
    assert np.mean(inside) > 0.85


@PREDICTING
def test_a_missing_joint_is_carried_on_and_comes_back(name, figure):
    refiner, times = make(name), stamps(60)
    wrist = np.arange(33) == figure.skeleton.index("left_wrist")
    stds = []
    for k, (person, t) in enumerate(zip(walk(figure, times), times, strict=True)):
        gone = 30 <= k < 40
        out = refiner.refine(with_missing(person, wrist) if gone else person, t)
        assert out.state[wrist] == (JointState.PREDICTED if gone else JointState.LIFTED)
        assert (out.state[~wrist] == JointState.LIFTED).all()
        stds.append(float(out.std[wrist][0]))
        assert np.abs(out.xyz[wrist] - person.xyz[wrist]).max() < 0.06
    assert (np.diff(stds[29:40]) > 0.0).all()
    assert stds[41] < stds[39]


TRAINED = [name for name in REFINERS if (network_refiner.WEIGHTS / f"{name}.onnx").is_file()]


@pytest.mark.parametrize("name", [name for name in EXACT if name != "raw"] + TRAINED)
def test_a_joint_that_leaps_is_not_seen_until_it_stays(name, figure):
    """Ten metres in one frame, and half a metre in one frame, which a limb can do."""
    times, wrist = stamps(60), figure.skeleton.index("left_wrist")
    people = walk(figure, times)
    along = np.eye(33)[:, [wrist]]

    def off(person: Person3D, by: float) -> Person3D:
        return replace(person, xyz=person.xyz + by * along)

    refiner = make(name)
    refine(refiner, people[:30], times[:30])
    out = refiner.refine(off(people[30], 10.0), times[30])
    assert out.state[wrist] == JointState.PREDICTED
    assert np.linalg.norm(out.xyz[wrist] - people[30].xyz[wrist]) < 0.1
    after = refiner.refine(people[31], times[31])
    assert after.state[wrist] == JointState.LIFTED
    assert np.linalg.norm(after.xyz[wrist] - people[31].xyz[wrist]) < 0.1
    if name != "kalman":  # which has a gate of its own
        assert refiner.refine(off(people[32], 0.3), times[32]).state[wrist] == JointState.LIFTED
    states = [
        refiner.refine(off(person, 10.0), t).state[wrist]
        for person, t in zip(people[33:], times[33:], strict=True)
    ]
    frames = RefineParams().gate_frames
    if name not in ("kalman", *TRAINED):
        assert states[: frames - 1] == [JointState.PREDICTED] * (frames - 1)
        assert set(states[frames - 1 :]) == {JointState.LIFTED}


@ALL
def test_a_joint_never_seen_is_missing(name, figure):
    refiner = make(name)
    nose = np.arange(33) == 0
    for t in stamps(5):
        out = refiner.refine(with_missing(figure.person(), nose), t)
        assert out.state[0] == JointState.MISSING
        assert out.joint_confidence[0] == 0.0
        assert np.isnan(out.xyz[0]).all()
        assert np.isnan(out.std[0])


@PREDICTING
def test_without_a_hip_the_root_is_inferred(name, figure):
    """The person walks on while a hip is hidden: the other joints must follow as they do with it."""
    times = stamps(90)
    people = walk(figure, times)
    hip = np.arange(33) == figure.skeleton.index("left_hip")
    hidden = people[:30] + [with_missing(person, hip) for person in people[30:60]] + people[60:]
    whole, without = refine(make(name), people, times), refine(make(name), hidden, times)
    np.testing.assert_allclose(without[:, ~hip], whole[:, ~hip], atol=1e-3)


@PREDICTING
def test_a_person_whose_hips_were_never_seen_is_refined_and_then_rooted(name, figure):
    times = stamps(60)
    people = walk(figure, times)
    hips = np.isin(np.arange(33), figure.skeleton.indices("left_hip", "right_hip"))
    hidden = [with_missing(person, hips) for person in people[:30]] + people[30:]
    out = refine(make(name), hidden, times)
    true = np.array([p.xyz for p in people])
    assert np.isnan(out[:30, hips]).all()
    assert np.abs(out[:30, ~hips] - true[:30, ~hips]).max() < 0.06
    np.testing.assert_allclose(out[30], true[30], atol=1e-9)


@PREDICTING
@pytest.mark.parametrize("rates", [(60, 30), (60, 10), (15, 60)])
def test_a_change_of_frame_rate_does_not_show(name, rates, figure):
    times = stamps(60, 1e9 / rates[0])
    times += [times[-1] + round((k + 1) * 1e9 / rates[1]) for k in range(30)]
    people = walk(figure, times, velocity=(1.0, 0.0, 0.0))
    error = refine(make(name), people, times) - np.array([p.xyz for p in people])
    assert np.abs(error[60:]).max() < np.abs(error[:60]).max() + 1e-9


# Looking ahead: what comes out is for an earlier frame.


def recalled(refiner: Refiner, people: list[Person3D], times: list[int], ahead: int) -> np.ndarray:
    """(T - ahead, J, 3) each frame as it is known `ahead` frames later."""
    out = []
    for k, (person, t) in enumerate(zip(people, times, strict=True)):
        refiner.refine(person, t)
        if k >= ahead:
            out.append(refiner.recall(times[k - ahead]).xyz)
    return np.array(out)


@AHEAD
@pytest.mark.parametrize("ahead", [0, 1, 2, 4, 8])
def test_a_step_is_recalled_where_it_was(name, ahead, figure):
    """The wrist moves over in frame 30: whatever the look-ahead, that is when half of the way is done."""
    times = stamps(60, 1e9 / 30)
    wrist = figure.skeleton.index("left_wrist")
    moved = figure.person().xyz
    moved[wrist] += (0.05, 0.0, 0.0)
    people = [figure.person() if k < 30 else figure.person(moved.copy()) for k in range(60)]
    refiner = make(name, look_ahead=ahead)
    x = recalled(refiner, people, times, ahead)[:, wrist, 0] - figure.xyz[wrist, 0]
    half = int(np.argmax(x > 0.025))
    assert 30 - (ahead > 0) <= half <= 32 - (ahead > 1)
    np.testing.assert_allclose(x[: 30 - max(ahead, 1) - 6], 0.0, atol=1e-3)
    assert x[-1] == pytest.approx(0.05, rel=0.1)


@AHEAD
@pytest.mark.parametrize("ahead", [0, 2, 8])
def test_the_newest_is_recalled_as_it_came(name, ahead, figure):
    times, refiner = stamps(20), make(name, look_ahead=ahead)
    wrist = np.arange(33) == 15
    for k, (person, t) in enumerate(zip(walk(figure, times, noise=0.02), times, strict=True)):
        out = refiner.refine(with_missing(person, wrist) if k % 5 == 3 else person, t)
        again = refiner.recall(t)
        for field in ("xyz", "std", "root_std", "state"):
            np.testing.assert_allclose(getattr(again, field), getattr(out, field), rtol=1e-9)


@AHEAD
def test_frames_further_back_are_not_known(name, figure):
    times, refiner = stamps(20), make(name, look_ahead=4)
    refine(refiner, walk(figure, times), times)
    assert refiner.recall(times[-6]) is None
    assert refiner.recall(times[-1] - 1) is None
    assert refiner.recall(times[-5]) is not None
    refiner.reset()
    assert refiner.recall(times[-5]) is None


@AHEAD
def test_looking_ahead_leaves_the_newest_frame_as_it_is(name, figure):
    times = uneven(40)
    people = walk(figure, times, noise=0.03)
    # a longer window is another filter
    params = {"savgol_window": 17}
    np.testing.assert_array_equal(
        refine(make(name, **params), people, times), refine(make(name, look_ahead=8, **params), people, times)
    )


@AHEAD
@pytest.mark.parametrize("ahead", [2, 4, 8])
def test_without_noise_the_input_comes_back(name, ahead, figure):
    still = recalled(make(name, look_ahead=ahead), [figure.person()] * 40, uneven(40), ahead)
    np.testing.assert_allclose(still, np.broadcast_to(figure.person().xyz, still.shape), atol=1e-9)


@AHEAD
@pytest.mark.parametrize("ahead", [0, 2, 4, 8])
def test_constant_motion_has_no_lag(name, ahead, figure):
    times = stamps(240)
    people = walk(figure, times, velocity=(1.4, 0.0, 0.7))
    out = recalled(make(name, look_ahead=ahead), people, times, ahead)
    true = np.array([person.xyz for person in people])
    np.testing.assert_allclose(out[180:], true[180 : len(out)], atol=1e-3)


@pytest.mark.parametrize("name", ["kalman", "savitzky_golay"])
def test_what_comes_later_makes_it_better(name, figure):
    """With the noise that the parameters suppose, on arms that swing."""
    times, rng = stamps(300, 1e9 / 30), np.random.default_rng(5)
    swing = 0.15 * np.sin(2 * np.pi * 0.8 * (np.array(times) - times[0]) * 1e-9)
    wrists, errors = figure.skeleton.indices("left_wrist", "right_wrist"), []
    true = np.array([figure.person().xyz] * 300)
    true[:, wrists, 2] += swing[:, None]
    people = [figure.person(xyz + 0.01 * rng.normal(size=xyz.shape)) for xyz in true]
    for ahead in (0, 2, 4):
        out = recalled(make(name, look_ahead=ahead), people, times, ahead)
        late = slice(60, 280)
        about = (out - out[:, [23, 24]].mean(1, keepdims=True))[late, wrists]
        errors.append(
            np.sqrt(((about - (true - true[:, [23, 24]].mean(1, keepdims=True))[late, wrists]) ** 2).mean())
        )
    assert max(errors[1:]) < 0.9 * errors[0]


@AHEAD
def test_a_joint_hidden_for_a_moment_is_interpolated_with_the_frames_after_it(name, figure):
    times, refiner = stamps(60), make(name, look_ahead=4)
    wrist = np.arange(33) == 15
    states = []
    for k, (person, t) in enumerate(zip(walk(figure, times), times, strict=True)):
        refiner.refine(with_missing(person, wrist) if k in (40, 41) else person, t)
        if k >= 4:
            out = refiner.recall(times[k - 4])
            states.append(int(out.state[15]))
            assert (out.joint_confidence[15] == 0.0) == (k - 4 in (40, 41))
            assert np.abs(out.xyz[15] - walk(figure, times)[k - 4].xyz[15]).max() < 0.02
    lifted, between = int(JointState.LIFTED), int(JointState.INTERPOLATED)
    assert states == [lifted] * 40 + [between] * 2 + [lifted] * 14


@pytest.mark.parametrize("name", ["raw", "one_euro"])
def test_a_refiner_that_cannot_look_ahead_says_so(name):
    said = f"refiner '{name}' cannot use look_ahead 2; set look_ahead to 0, or refiner to one of .*kalman"
    with pytest.raises(ValueError, match=said):
        REFINERS.get(name).check(RefineParams(refiner=name, look_ahead=2))
    with pytest.raises(ValueError, match=f"refiner '{name}' cannot use model a.onnx; set model to nothing"):
        REFINERS.get(name).check(RefineParams(refiner=name, model="a.onnx"))


def test_a_polynomial_needs_frames():
    with pytest.raises(ValueError, match="window must exceed the order 3"):
        REFINERS.get("savitzky_golay").check(RefineParams(savgol_window=3, savgol_order=3))
