"""The generated parts of all documents, letter by letter, from results that are made by hand (`expected/`)."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pose_biomechanics.isb import ANGLES as ANGLES_KNOWN
from pose_biomechanics.isb import GROUPS
from pose_train.studies import angle_refiner
from pose_train.studies.angle_refiner import AngleRefinerStudy, AngleScores
from pose_train.studies.angles import settings as angle_settings
from pose_train.studies.angles.noise import MIDDLE_MM, NOISES_MM
from pose_train.studies.angles.study import ANGLES, AngleStudy, Found
from pose_train.studies.lifters import scenes as lifter_scenes
from pose_train.studies.lifters.study import ALL, LifterStudy
from pose_train.studies.oracle import MARKER_SET, SKELETONS_KNOWN, kinds, pooled
from pose_train.studies.refiners import scenes as refiner_scenes
from pose_train.studies.refiners.figures import RefinerScores
from pose_train.studies.refiners.study import RefinerStudy
from pose_train.studies.refiners.variants import Variant
from pose_train.studies.scores import Cost, Result, Scores
from pose_train.studies.study import Study

EXPECTED = Path(__file__).parent / "expected"
WHERE = "2 Xeon cores"


def study_of(kind: type[Study], settings: type, **values: Any) -> Any:
    """A study of settings that name no data."""
    study, some = object.__new__(kind), object.__new__(settings)
    for name, value in values.items():
        object.__setattr__(some, name, value)
    study.settings = some
    return study


def same(name: str, parts: Mapping[str, str]) -> None:
    text = "".join(f"<!-- begin {part} -->\n{value}<!-- end {part} -->\n" for part, value in parts.items())
    assert text == (EXPECTED / f"{name}.md").read_text()


def test_lifters() -> None:
    def scores(size: float) -> Scores:
        count = len(dataclasses.fields(Scores))
        return Scores(*[math.nan if k == 8 else round(size * (k + 1) * 0.37, 4) for k in range(count)])

    def result(name: str, size: float, cost: Cost) -> Result:
        conditions = ("noise", "clean", "masked", "tilted")
        simulated = {condition: scores(size * (i + 1)) for i, condition in enumerate(conditions)}
        real = {
            str(rate): {str(c): scores(size + c / 10 + rate / 100) for c in (1, 2, 3, 4)} for rate in (60, 30)
        }
        return Result(name, "mediapipe33", simulated, real, cost)

    results = [
        result("streaming_tcn", 0.7, Cost(2642086, 2611200, 5844190, 2, 0.5, 0.1, 1.25)),
        result("streaming_tcn, tilt known", 0.6, Cost()),
        Result("mean_pose", "mediapipe33", {name: scores(2) for name in ("noise", "clean", "masked")}),
        Result("mediapipe_world", "mediapipe33", {}, result("x", 1.1, Cost()).real),
    ]
    study = study_of(LifterStudy, lifter_scenes.Settings, clips=6, frames=40, real=False)
    parts = study.report({ALL: {one.name: one for one in results}}, WHERE)
    same("lifters", {**parts, "detector": "Made by `pose evaluate lifters`.\n\n| detector |\n"})


def test_refiners() -> None:
    def scores(size: float) -> RefinerScores:
        lag = math.nan if size == 3 else 12.0 * size
        return RefinerScores(
            *(10.5 * size, 8.25 * size, 4.0 / size, 120.0 * size, 3.3 * size, 0.875 / size, lag, 0.31 * size)
        )

    found = {
        Variant("raw", "raw"): scores(1),
        Variant("raw", "raw", bones=False): scores(2),
        Variant("kalman", "kalman", look_ahead=4): scores(3),
        Variant("kalman", "kalman", look_ahead=None): scores(4),
        Variant("hpstm", "hpstm", bones=False): scores(1.5),
        Variant("hpstm_fk", "hpstm", bones=False): scores(2.5),
    }
    clean = {way: one for way, one in found.items() if way.look_ahead == 0}
    study = study_of(RefinerStudy, refiner_scenes.Settings, clips=2, frames=24)
    study.absent = ["smoothnet"]
    scenes = {"lifted": found, "mediapipe": found, "synthetic": found, "clean": clean}
    same("refiners", study.report(scenes, WHERE))


def test_angle_refiner() -> None:
    groups = (*GROUPS, "all")

    def scores(size: float) -> AngleScores:
        before = {group: round(size * (i + 1) * 0.3, 3) for i, group in enumerate(groups)}
        after = {group: value * 0.8 for group, value in before.items()}
        return AngleScores(40 * size, before, after, 3 * size, 0.25, 0.75, (5 * size, 4 * size), 0.61)

    zero = dict.fromkeys(groups, 0.0)
    clean = AngleScores(0.0, zero, {**zero, "all": 0.4}, 0.4, 0.1, math.nan, (0.0, 0.01))
    scenes = {
        "half noise": scores(0.5),
        "noise": scores(1),
        "twice noise": scores(2),
        "lifted": scores(1.5),
        "true, as unsure": clean,
        "true, sure": clean,
        "filmed, streaming_tcn": scores(0.9),
    }
    study = study_of(AngleRefinerStudy, angle_refiner.Settings, clips=3, frames=50)
    same(
        "angle_refiner",
        study.report({name: {angle_refiner.MODEL: one} for name, one in scenes.items()}, WHERE),
    )


def angle_figures() -> dict[str, Found]:
    """Of all scenes, numbers that tell kinds and ways apart."""

    def each(size: float, *names: str) -> dict[str, dict[str, float]]:
        return {
            kind: {name: round(size * (k + 1) + 0.01 * i, 3) for i, name in enumerate(names)}
            for k, kind in enumerate(kinds())
        }

    noisy = ("error", "stated", "covered", "known")
    apart = ("mean", "without_offset", "known", "offset", "span", "covered")
    seen = (MARKER_SET, *SKELETONS_KNOWN)
    known = {pooled(angle.name) for angle in ANGLES_KNOWN if angle.opensim}
    first, second = kinds()[:2]
    poses = {"standing": 3, "walking": 2}
    noise = {f"{size} mm": each(size / 100, *noisy) for size in NOISES_MM}
    noise |= {name: each(MIDDLE_MM / 90, *noisy) for name in poses}
    noise["20 mm"][first] = dict.fromkeys(noisy, math.nan) | {"known": 0.0}
    return {
        "oracle": Found(
            {
                "exact": {
                    one: {kind: 0.001 * (k + i) for k, kind in enumerate(kinds())}
                    for i, one in enumerate(seen)
                },
                "leaks": {
                    one: {f"thigh: turned: {first}": 0.5 * i, f"thigh: turned: {second}": 1e-6}
                    for i, one in enumerate((MARKER_SET, "pose2sim22"))
                },
            }
        ),
        "noise": Found(noise, {"poses": poses}),
        "lifted": Found(
            {
                "covered": {
                    way: each(0.1 * (i + 1), *noisy) for i, way in enumerate(("lifted", "independent"))
                },
                "depth_share": 0.7123,
                "handed_down": {"wrist": (0.512, 0.6), "left_hand": (0.1, 0.2)},
            }
        ),
        "opensim": Found(
            {
                way: {kind: one for kind, one in each(0.2 * (i + 1), *apart).items() if kind in known}
                for i, way in enumerate((MARKER_SET, "joints"))
            },
            {"frames": 152},
        ),
        "real": Found(
            {
                way: each(0.3 * (i + 1), *apart)
                for i, way in enumerate(("streaming_tcn, live", "raw, offline"))
            },
            {"frames": 301},
        ),
        "cost_ms": Found({"mediapipe33": {"live": 0.351, "least": 0.28, "recorded": 0.11}}),
    }


def test_angles() -> None:
    study = study_of(AngleStudy, angle_settings.Settings, draws=25, clips=60, frames=90)
    same("angles", study.report({name: {ANGLES: one} for name, one in angle_figures().items()}, WHERE))


@pytest.mark.parametrize(
    ("name", "document"),
    [
        ("lifters", "models"),
        ("refiners", "refiners"),
        ("angles", "angles"),
        ("angle_refiner", "angle_refinement"),
    ],
)
def test_documents_have_a_place_for_every_part(name: str, document: str) -> None:
    text = (Path(__file__).parents[3] / "docs" / f"{document}.md").read_text()
    for line in (EXPECTED / f"{name}.md").read_text().splitlines():
        if line.startswith("<!-- "):
            assert text.count(f"{line}\n") == 1, line
