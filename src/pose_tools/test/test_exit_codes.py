"""Exit codes of the commands that run the graph and of `pose process`: a row for each kind of failure (docs/running.md)."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from pose2d_node.node import Pose2DNode
from pose_core import assets
from pose_core.system.exits import FAILED, USAGE, WRONG_CONFIGURATION
from pose_ros.messages import names
from pose_ros.messages.delivery import IMAGES
from pose_tools.bag.messages import constructor, serialize
from pose_tools.bag.topics import Topic
from pose_tools.bag.writer import BagWriter
from pose_tools.cli import main as cli
from pose_tools.graph import live as live_module
from pose_tools.graph import play as play_module
from pose_tools.graph import replay as replay_module
from pose_tools.result_folder import part_of

STAMP_NS = 5 * 10**9


def bag_of(folder: Path, topics: dict[str, str], name: str = "") -> Path:
    """A bag with one empty message on each topic, of these types."""
    with BagWriter(folder, [Topic(topic, kind, IMAGES) for topic, kind in topics.items()], name=name) as bag:
        for topic, kind in topics.items():
            bag.write(topic, serialize(constructor(kind)()), STAMP_NS)
    return folder


@pytest.fixture
def places(tmp_path: Path) -> dict[str, str]:
    """What commands are pointed at, by the word that stands for it in a row."""
    (tmp_path / "thesis").mkdir()
    (tmp_path / "thesis" / "thesis.tex").write_text("keep")
    (tmp_path / "misspelt.yaml").write_text("/**/refine: {ros__parameters: {refinr: kalman}}\n")
    film = cv2.VideoWriter(str(tmp_path / "film.mp4"), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (320, 240))
    for _ in range(4):
        film.write(np.full((240, 320, 3), 128, np.uint8))
    film.release()
    people = {"/pose2d/people": names.PEOPLE2D}
    cut = bag_of(part_of(tmp_path / "cut"), people, name="cut")
    return {
        "TAKEN": str(tmp_path / "thesis"),
        "MISSPELT": str(tmp_path / "misspelt.yaml"),
        "FILM": str(tmp_path / "film.mp4"),
        "TEXT": str(tmp_path / "thesis" / "thesis.tex"),
        "PEOPLE": str(bag_of(tmp_path / "people", people)),
        "NO_IMAGE": str(bag_of(tmp_path / "no_image", {"/image_raw/compressed": names.COMPRESSED_IMAGE})),
        "TALK": str(bag_of(tmp_path / "talk", {"/camera_info": names.CAMERA_INFO})),
        "TWO": str(bag_of(tmp_path / "two", {"/a/pose2d/people": names.PEOPLE2D, "/b/pose2d/people": names.PEOPLE2D})),
        "CUT": str(cut.with_name("cut")),
        "NEW": str(tmp_path / "new"),
        "NOWHERE": str(tmp_path / "nowhere"),
    }  # fmt: skip


Ended = Callable[..., tuple[int, list[str]]]


@pytest.fixture
def ended(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], places: dict[str, str]
) -> Ended:
    """Runs `pose` with words; its exit code and what it said of a failure."""

    def run(*words: str) -> tuple[int, list[str]]:
        monkeypatch.setattr(sys, "argv", ["pose", *(places.get(word, word) for word in words)])
        with pytest.raises(SystemExit) as end:
            cli.main()
        said = capfd.readouterr().err.splitlines()
        assert not any("Traceback" in line for line in said)
        code = end.value.code
        return (code if isinstance(code, int) else 0), [line for line in said if line.startswith("pose: ")]

    return run


ROWS = [
    # words that are no options
    (["live", "--sauce", "0"], USAGE, "no such option"),
    (["replay", "PEOPLE"], USAGE, "missing option '--record'"),
    (["play", "PEOPLE", "--rate", "-1"], USAGE, "--rate"),
    (["record"], USAGE, "missing argument"),
    (["bag-recover", "PEOPLE"], USAGE, "missing argument"),
    (["demo", "--max-frames", "few"], USAGE, "--max-frames"),
    (["process", "FILM"], USAGE, "missing option '--out'"),
    # a parameter that cannot be, wherever it is said
    (["live", "--height", "30"], WRONG_CONFIGURATION, "height must be from 0.0 to 2.6, got 30.0"),
    (["live", "--set", "refine.refinr=raw"], WRONG_CONFIGURATION, "did you mean 'refine.refiner'?"),
    (["live", "--params", "NOWHERE"], WRONG_CONFIGURATION, "cannot be read"),
    (["live", "--params", "MISSPELT"], WRONG_CONFIGURATION, "did you mean 'refiner'?"),
    (["replay", "PEOPLE", "--record", "NEW", "--height", "30"], WRONG_CONFIGURATION, "height must be"),
    (["replay", "PEOPLE", "--record", "NEW", "--params", "NOWHERE"], WRONG_CONFIGURATION, "cannot be read"),
    (["replay", "PEOPLE", "--record", "NEW", "--lifter", "kalman"], WRONG_CONFIGURATION, "lifter"),
    (
        ["replay", "PEOPLE", "--record", "NEW", "--set", "pose2d.model=lite"],
        WRONG_CONFIGURATION,
        "add --images",
    ),
    (["play", "PEOPLE", "--wait-for", "lift2d"], WRONG_CONFIGURATION, "did you mean 'lift3d'?"),
    (["record", "NEW", "--set", "record.image=true"], WRONG_CONFIGURATION, "did you mean 'record.images'?"),
    (["demo", "--out", "NEW", "--set", "viz.peple=1"], WRONG_CONFIGURATION, "did you mean 'viz.people'?"),
    (["process", "FILM", "-o", "NEW", "--height", "30"], WRONG_CONFIGURATION, "height must be"),
    (["process", "FILM", "-o", "NEW", "--params", "NOWHERE"], WRONG_CONFIGURATION, "cannot be read"),
    # input that is not there, or is something else
    (["replay", "NOWHERE", "--record", "NEW"], FAILED, "there is no bag at"),
    (["replay", "TEXT", "--record", "NEW"], FAILED, "is no bag"),
    (["replay", "TALK", "--record", "NEW"], FAILED, "no message on /pose2d/people"),
    (["replay", "PEOPLE", "--record", "NEW", "--images"], FAILED, "has no images"),
    (["replay", "TWO", "--record", "NEW"], FAILED, "choose with --namespace"),
    (["replay", "CUT", "--record", "NEW"], FAILED, "was cut short"),
    (["play", "NOWHERE"], FAILED, "there is no bag at"),
    (["bag-recover", "NOWHERE", "NEW"], FAILED, "there is no bag at"),
    (["process", "NOWHERE", "-o", "NEW"], FAILED, "nowhere"),
    (["process", "TEXT", "-o", "NEW"], FAILED, "thesis.tex"),
    # a result that may not be written there
    (["live", "--record", "TAKEN"], FAILED, "is not an empty folder"),
    (["live", "--record", "CUT"], FAILED, "pose bag-recover"),
    (["replay", "PEOPLE", "--record", "TAKEN"], FAILED, "is not an empty folder"),
    (["record", "TAKEN"], FAILED, "is not an empty folder"),
    (["record", "CUT"], FAILED, "pose bag-recover"),
    (["bag-recover", "PEOPLE", "TAKEN"], FAILED, "is not an empty folder"),
    (["demo", "--out", "TAKEN"], FAILED, "holds other files"),
    (["process", "FILM", "-o", "TAKEN"], FAILED, "holds other files"),
    # nobody is there
    (["play", "PEOPLE"], FAILED, "lift3d and refine did not come in"),
]  # fmt: skip


@pytest.mark.parametrize(("words", "code", "sentence"), ROWS, ids=[" ".join(words) for words, _, _ in ROWS])
def test_each_kind_of_failure_has_its_code_and_one_sentence(
    ended: Ended,
    places: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
    words: list[str],
    code: int,
    sentence: str,
) -> None:
    monkeypatch.setattr(play_module.play, "__defaults__", ((), 0.1))
    got, said = ended(*words)
    assert got == code
    assert len(said) == 1
    assert sentence in said[0]
    new = Path(places["NEW"])
    assert not new.exists()
    assert not part_of(new).exists()


real = pytest.mark.skipif(
    not assets.is_intact("pose_landmarker_full.task"),
    reason="NOT RUN WITH THE DETECTOR: fetch it with `python -m pose_core.assets`",
)


@real
@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--source", "NOWHERE"], WRONG_CONFIGURATION, "is no camera index, no file and no folder"),
        (["--source", "TEXT"], WRONG_CONFIGURATION, "thesis.tex"),
        (["--source", "93"], FAILED, "camera 93 gives no image"),
        (["--source", "FILM", "--calibration", "NOWHERE"], WRONG_CONFIGURATION, "cannot be read"),
        (["--source", "FILM", "--lifter", "kalman"], WRONG_CONFIGURATION, "lifter"),
    ],
)
def test_a_stage_that_cannot_start_tells_whether_trying_again_may_help(
    ended: Ended, places: dict[str, str], words: list[str], code: int, sentence: str
) -> None:
    got, said = ended("live", *words, "--record", "NEW")
    assert got == code
    assert len(said) == 1
    assert sentence in said[0]
    assert not Path(places["NEW"]).exists()
    assert not part_of(Path(places["NEW"])).exists()


@real
def test_what_came_out_is_no_failure(ended: Ended, places: dict[str, str]) -> None:
    assert ended("live", "--source", "FILM", "--record", "NEW") == (0, [])
    assert Path(places["NEW"]).is_dir()


@real
def test_a_source_out_of_which_no_image_comes_is_one(ended: Ended, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pose2DNode, "_publish", lambda self, *more: None)
    monkeypatch.setattr(live_module, "DRAIN_S", 0.1)
    code, said = ended("live", "--source", "FILM")
    assert code == FAILED
    assert "no image came out of the stages" in said[0]


@pytest.mark.parametrize("stores", [0, 1])
@real
def test_a_full_disk_is_one_even_at_the_very_end(
    ended: Ended, places: dict[str, str], monkeypatch: pytest.MonkeyPatch, stores: int
) -> None:
    """A bag of four images is written when it is opened and when it is closed."""
    really, calls = os.pwrite, []

    def full(file: int, data: bytes, at: int) -> int:
        calls.append(at)
        if len(calls) > stores:
            raise OSError(errno.ENOSPC, "No space left on device")
        return really(file, data, at)

    monkeypatch.setattr(os, "pwrite", full)
    code, said = ended("live", "--source", "FILM", "--record", "NEW")
    assert code == FAILED
    assert "the disk is full" in said[0]
    assert len(said) == 1
    assert not Path(places["NEW"]).exists()


@real
def test_a_frame_that_never_comes_out_is_one_and_leaves_no_bag(
    ended: Ended, places: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its image is none, and dropped."""
    monkeypatch.setattr(replay_module, "ANSWER_S", 0.3)
    code, said = ended("replay", "NO_IMAGE", "--images", "--record", "NEW")
    assert code == FAILED
    assert "did not come out of the stages" in said[0]
    assert not Path(places["NEW"]).exists()
    assert not part_of(Path(places["NEW"])).exists()
