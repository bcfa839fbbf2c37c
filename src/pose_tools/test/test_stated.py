"""What a bag states of its people and its camera, and that a replay uses it unless somebody states otherwise."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from lift3d_node.params import Lift3DParams
from pose_core import assets
from pose_core.config import parameters_of, text_of
from pose_core.statements import RunStatement, SubjectStatement, SubjectStatements
from pose_ros import topics
from pose_ros.messages.names import BODIES, RUN, SUBJECTS
from pose_tools.bag import messages
from pose_tools.bag.reader import read
from pose_tools.bag.stated import Stated, recorded_values, stated_in
from pose_tools.bag.topics import result_topics
from pose_tools.bag.writer import BagWriter
from pose_tools.graph.demo import VIDEO
from pose_tools.graph.graph import Setup
from pose_tools.graph.live import Run, run
from pose_tools.graph.replay import replay
from pose_tools.process.job import ProcessJob
from pose_tools.process.run import process

FRAMES = 12
TILT = {"camera_tilt": "stated", "camera_pitch_deg": 12.5, "camera_roll_deg": -3.0}
REFINE = {"camera_pitch_deg": 12.5, "camera_roll_deg": -3.0, "process_noise": 0.2}


def lifting(**parameters: str) -> RunStatement:
    defaults = Lift3DParams()
    usual = {name: text_of(getattr(defaults, name)) for name in parameters_of(Lift3DParams)}
    return RunStatement("lift3d", versions={"numpy": "1.0"}, parameters=usual | parameters)


def refining(**parameters: str) -> RunStatement:
    return RunStatement("refine", parameters=parameters)


def both(stated: Stated, said=None) -> tuple[dict, list[str]]:
    return stated.values(said or {})


def test_only_what_is_not_usual_and_of_no_machine_is_used() -> None:
    run = lifting(
        height="1.5", max_misfit="0.2", device="cpu", stage_times="false", lossless="true", compile="true"
    )
    assert both(Stated({"lift3d": run, "refine": refining(process_noise="1e-2", angles="false")})) == (
        {"lift3d": {"height": 1.5, "max_misfit": 0.2}, "refine": {"process_noise": 0.01, "angles": False}},
        [],
    )


@pytest.mark.parametrize(
    ("said", "left"),
    [
        ({}, {"lift3d": TILT, "refine": {"camera_pitch_deg": 12.5, "camera_roll_deg": -3.0}}),
        ({"lift3d": {"camera_pitch_deg": 3.0}}, {}),
        ({"refine": {"camera_roll_deg": 3.0}}, {}),
        (
            {"lift3d": {"height": 1.8}},
            {"lift3d": TILT, "refine": {"camera_pitch_deg": 12.5, "camera_roll_deg": -3.0}},
        ),
    ],
)
def test_a_tilt_holds_as_a_whole_or_not_at_all(said, left) -> None:
    angles = {"camera_pitch_deg": "12.5", "camera_roll_deg": "-3.0"}
    stated = Stated({"lift3d": lifting(camera_tilt="stated", **angles), "refine": refining(**angles)})
    assert both(stated, said) == (left, [])


def test_a_replay_has_no_tf_but_the_tilt_that_tf_told() -> None:
    run = {"lift3d": lifting(camera_tilt="tf", level_frame="map")}
    told = {"camera_tilt": "stated", "camera_pitch_deg": 10.0, "camera_roll_deg": 1.0}
    angles = {"camera_pitch_deg": 10.0, "camera_roll_deg": 1.0}
    assert both(Stated(run, tilt=(10.0, 1.0)))[0] == {"lift3d": told, "refine": angles}
    assert both(Stated(run))[0] == {}
    assert both(Stated(tilt=(10.0, 1.0), height=1.6))[0] == {
        "lift3d": {**told, "height": 1.6},
        "refine": angles,
    }
    assert both(Stated({"lift3d": lifting()}, tilt=(10.0, 1.0)))[0] == {}  # nobody was told of it


def test_who_states_another_network_states_all_of_it() -> None:
    stated = Stated(
        {"lift3d": lifting(lifter="mediapipe_world"), "refine": refining(refiner="raw", gate="5.0")}
    )
    assert both(stated)[0] == {
        "lift3d": {"lifter": "mediapipe_world"},
        "refine": {"refiner": "raw", "gate": 5.0},
    }
    assert both(stated, {"lift3d": {"model": "x.onnx"}, "refine": {"look_ahead": 2}})[0] == {
        "refine": {"gate": 5.0}
    }


def test_a_model_that_is_not_here_and_values_that_cannot_be_are_told(tmp_path: Path) -> None:
    values, warnings = both(
        Stated({"lift3d": lifting(model="/gone/net.onnx", lifter="tiny", height="17.5", of_later="3")})
    )
    assert values == {}
    assert len(warnings) == 2
    assert "height must be from 0.0 to 2.6, got 17.5" in warnings[0]
    assert "/gone/net.onnx" in warnings[1]
    (tmp_path / "net.onnx").touch()
    here = str(tmp_path / "net.onnx")
    assert both(Stated({"lift3d": lifting(model=here)})) == ({"lift3d": {"model": here}}, [])


def test_other_versions_are_told_in_one_sentence() -> None:
    there = Stated({"lift3d": lifting()})
    assert there.differences({"lift3d": lifting()}) == ""
    here = replace(lifting(), versions={"numpy": "2.0", "torch": "1"})
    assert "numpy 1.0 (here 2.0)" in there.differences({"lift3d": here, "refine": refining()})
    assert there.differences({}) == ""


def copied(
    bag: Path, out: Path, subjects: SubjectStatements | None = None, without: tuple[str, ...] = ()
) -> Path:
    """A bag with further statements, and without some topics."""
    with BagWriter(out) as writer:
        for topic in result_topics(images=True):
            writer.add(replace(topic, name=f"/{topic.name}"))
        if subjects is not None:
            for revision in range(1, subjects.revision + 1):
                stated = subjects if revision == subjects.revision else SubjectStatements(revision)
                writer.write(f"/{topics.SUBJECTS}", messages.serialize(messages.writer().subjects(stated)))
        for message in read(bag):
            if message.topic.lstrip("/") not in without:
                latched = message.type in (RUN, SUBJECTS, BODIES) or message.topic.endswith("skeleton")
                writer.write(message.topic, message.cdr, None if latched else message.stamp)
    return out


def test_of_several_statements_the_greatest_counts_and_all_are_kept(tmp_path: Path) -> None:
    subjects = SubjectStatements(3, (SubjectStatement("p1", 1.5, 70.0),))
    with BagWriter(tmp_path / "bag") as writer:
        for name in (topics.SUBJECTS, topics.LIFTED_RUN):
            topic = next(one for one in result_topics() if one.name == name)
            writer.add(replace(topic, name=f"/robot/{name}"))
        make = messages.writer()
        for stated in (SubjectStatements(1), subjects, SubjectStatements(2), SubjectStatements(2)):
            writer.write(f"/robot/{topics.SUBJECTS}", messages.serialize(make.subjects(stated)))
        for height in ("1.5", "1.6"):
            writer.write(f"/robot/{topics.LIFTED_RUN}", messages.serialize(make.run(lifting(height=height))))
    assert len(list(read(tmp_path / "bag"))) == 3 + 2
    stated = stated_in(tmp_path / "bag", "/robot")
    assert stated.subjects.subjects == subjects.subjects
    assert stated.runs["lift3d"].parameters["height"] == "1.6"
    assert stated_in(tmp_path / "bag", "/other") == Stated()
    said: list[str] = []
    left, values = recorded_values(tmp_path / "bag", "/robot", ({}, {"lift3d": {"height": 1.9}}), said.append)
    assert (left.subjects.subjects, values, said) == ((), {}, [])


needs_video = pytest.mark.skipif(
    not all(assets.is_intact(name) for name in (VIDEO, "pose_landmarker_full.task")),
    reason="NOT RUN ON REAL VIDEO: fetch it with `python -m pose_core.assets`",
)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run with a stated height, a tilted camera and a parameter that is not usual."""
    bag = tmp_path_factory.mktemp("live") / "bag"
    chosen = {
        "pose2d": {"source": str(assets.path(VIDEO)), "stage_times": False},
        "lift3d": {"height": 1.5, "stage_times": False, **TILT},
        "refine": {"stage_times": False, **REFINE},
    }
    run(Run(Setup(overrides=chosen, private=True), record=bag, record_images=True, max_frames=FRAMES))
    return bag


RESULTS = (topics.LIFTED, topics.REFINED, topics.ANGLES)


def results(bag: Path) -> dict[tuple[str, int], bytes]:
    return {
        (message.topic, message.stamp): message.cdr
        for message in read(bag, [f"/{topic}" for topic in RESULTS])
    }


def depth(bag: Path) -> float:
    """Of the nose in the first image, m."""
    first = next(iter(read(bag, [f"/{topics.LIFTED}"]))).decode()
    return float(np.asarray(first.people[0].xyz).reshape(-1, 3)[0, 2])


def replayed(bag: Path, out: Path, images: bool = False, **lift3d) -> list[str]:
    said: list[str] = []
    quiet = {stage: {"stage_times": False} for stage in ("lift3d", "refine", *(["pose2d"] if images else []))}
    quiet["lift3d"] |= lift3d
    replay(
        bag, out, Setup(overrides=quiet), images=images, progress=lambda done, total: None, say=said.append
    )
    return said


@needs_video
def test_a_bag_states_its_runs(recorded: Path) -> None:
    stated = stated_in(recorded, "")
    assert stated.runs["lift3d"].parameters["height"] == "1.5"
    assert {"numpy", "onnxruntime", "pose-pipeline", "streaming_tcn.onnx"} <= stated.runs[
        "lift3d"
    ].versions.keys()
    detecting = next(iter(read(recorded, [f"/{topics.RUN2D}"]))).decode()
    assert {"mediapipe", "pose_landmarker_full.task"} <= set(detecting.software)
    assert (detecting.stage, detecting.token) == ("pose2d", "")


@needs_video
def test_a_replay_is_as_the_run_was_to_the_byte(recorded: Path, tmp_path: Path) -> None:
    assert replayed(recorded, tmp_path / "bag") == []
    again = results(tmp_path / "bag")
    live = results(recorded)
    assert len(again) >= 3 * FRAMES
    assert again == {key: live[key] for key in again}


@needs_video
def test_images_are_looked_at_again_for_people_of_the_same_ids_and_height(
    recorded: Path, tmp_path: Path
) -> None:
    """Pictures were compressed, so that people are not quite where they were."""
    assert replayed(recorded, tmp_path / "bag", images=True) == []
    first = next(iter(read(tmp_path / "bag", [f"/{topics.LIFTED}"]))).decode()
    assert [person.id for person in first.people] == ["p1"]
    assert depth(tmp_path / "bag") == pytest.approx(depth(recorded), rel=0.01)


@needs_video
def test_what_the_user_states_counts_more(recorded: Path, tmp_path: Path) -> None:
    replayed(recorded, tmp_path / "bag", height=1.65)
    assert depth(tmp_path / "bag") == pytest.approx(1.1 * depth(recorded), rel=1e-3)


@needs_video
def test_a_height_that_was_stated_of_a_person_holds_in_the_replay(recorded: Path, tmp_path: Path) -> None:
    subjects = SubjectStatements(3, (SubjectStatement("p1", 1.65),))
    bag = copied(recorded, tmp_path / "stated", subjects)
    for out in ("bag", "again"):
        replayed(bag, tmp_path / out / "bag")
    assert depth(tmp_path / "bag" / "bag") == pytest.approx(1.1 * depth(recorded), rel=1e-3)
    files = [(tmp_path / out / "bag" / "bag_0.mcap").read_bytes() for out in ("bag", "again")]
    assert files[0] == files[1]
    assert stated_in(tmp_path / "bag" / "bag", "").subjects.subjects[0].height == pytest.approx(1.65)
    replayed(bag, tmp_path / "mine", height=1.5)
    assert depth(tmp_path / "mine") == depth(recorded)


@needs_video
def test_a_bag_of_before_tells_tilt_and_height_by_its_people(recorded: Path, tmp_path: Path) -> None:
    bag = copied(recorded, tmp_path / "before", without=(topics.LIFTED_RUN, topics.REFINED_RUN, topics.RUN2D))
    stated = stated_in(bag, "")
    assert stated.height == 1.5
    assert stated.tilt == pytest.approx((12.5, -3.0), abs=1e-4)
    replayed(bag, tmp_path / "bag")
    assert depth(tmp_path / "bag") == pytest.approx(depth(recorded), rel=1e-5)


@needs_video
def test_pose_process_uses_heights_of_people(recorded: Path, tmp_path: Path) -> None:
    bag = copied(recorded, tmp_path / "stated", SubjectStatements(2, (SubjectStatement("p1", 1.65),)))
    said: list[str] = []
    job = ProcessJob.asked(bag, tmp_path / "out", overlay=False, processes=1)
    process(job, lambda done, total: None, said.append)
    assert any("1.65 m of p1" in sentence for sentence in said)
    assert depth(tmp_path / "out" / "bag") == pytest.approx(1.1 * depth(recorded), rel=1e-3)
