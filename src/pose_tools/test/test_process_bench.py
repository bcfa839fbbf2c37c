"""The measurement of speed: what it runs on, and its arithmetic."""

from __future__ import annotations

from pathlib import Path

import cv2
import pytest

from pose2d_node.params import Pose2DParams
from pose2d_node.sources import open_source
from pose2d_node.testing import image_of, index_of
from pose_tools.bench import process as process_bench
from pose_tools.bench.process import film_of, speed


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "film.mp4"
    writer = cv2.VideoWriter(str(path), cv2.VideoWriter.fourcc(*"mp4v"), 30.0, (64, 48))
    for index in range(5):
        writer.write(image_of(index))
    writer.release()
    return path


def test_a_film_runs_forwards_and_backwards_by_turns(video: Path) -> None:
    with film_of(video, 3) as film:
        shown = [index_of(frame.bgr) for frame in open_source(Pose2DParams(source=str(film)))]
    # Encoded twice, grey may be a shade darker throughout.
    assert [number - shown[0] for number in shown] == [0, 1, 2, 3, 4, 4, 3, 2, 1, 0, 0, 1, 2, 3, 4]
    assert not film.exists()
    with film_of(video, 1) as film:
        assert film == video


def test_ratios_are_those_of_medians(video: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    bare = iter([10.0, 40.0, 20.0])
    ours = iter([30.0, 31.0, 32.0])
    monkeypatch.setattr(
        process_bench, "bare_rates", lambda _: ({"bare loop": next(bare), "detect only": 25.0}, 10)
    )

    def rates(_video: Path) -> dict[str, float]:
        return {"stages": next(ours), "files": 20.0, "everything": 15.0}

    monkeypatch.setattr(process_bench, "process_rates", rates)
    said: list[str] = []
    result = speed(video, 3, said.append, repeat=2)
    assert result["over the bare loop"] == {"stages": 31.0 / 20.0, "files": 1.0, "everything": 0.75}
    assert result["over its detection alone"]["stages"] == pytest.approx(31.0 / 25.0)
    assert result["images"] == 10
    assert len(said) == 3
