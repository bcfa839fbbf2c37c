"""What a job needs is fetched once, before it runs."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from pose_core import assets
from pose_tools.process import first_use
from pose_tools.process.job import ProcessJob


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ProcessJob:
    """A job on a machine with an empty cache."""
    monkeypatch.setenv("POSE_CACHE_DIR", str(tmp_path / "cache"))
    (tmp_path / "walk.mp4").touch()
    return ProcessJob(source=tmp_path / "walk.mp4", out=tmp_path / "out")


def test_the_model_and_the_markers_networks_are_fetched_and_said(
    job: ProcessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fetch(names: Iterable[str], progress: object) -> list[Path]:
        for name in names:
            asked.append(name)
            file = assets.cache_dir() / name
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(b"x")
        return []

    monkeypatch.setattr(assets, "fetch", fetch)
    said: list[str] = []
    first_use.fetch_missing(first_use.missing(job), said.append)
    assert asked == ["pose_landmarker_full.task", *assets.GROUPS["marker_augmenter"]]
    assert said == ["fetching pose_landmarker_full.task, MarkerAugmenter for the first time"]
    first_use.fetch_missing(first_use.missing(job), said.append)
    assert len(said) == 1, "the second run finds everything"


def test_a_model_of_ones_own_is_not_fetched(tmp_path: Path, job: ProcessJob) -> None:
    (tmp_path / "mine.task").touch()
    own = ProcessJob.asked(job.source, job.out, model=str(tmp_path / "mine.task"))
    assert first_use.missing(own) == list(assets.GROUPS["marker_augmenter"])


def test_without_a_network_the_run_itself_says_what_lacks(
    job: ProcessJob, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fetch(names: Iterable[str], progress: object) -> list[Path]:
        raise assets.FetchFailed("pip could not download mediapipe 0.10.21 (no network)")

    monkeypatch.setattr(assets, "fetch", fetch)
    said: list[str] = []
    first_use.fetch_missing(first_use.missing(job), said.append)
    assert said[1] == "going on without: pip could not download mediapipe 0.10.21 (no network)"
