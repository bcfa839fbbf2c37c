"""What a bag states of how its people were lifted and refined, so that it can be made again the same way."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from lift3d_node.params import STATED, TF, Lift3DParams
from pose2d_node.params import NO_TOKEN
from pose_core.callbacks import Say, silent
from pose_core.config import StageParams, Value, parameter_file, parameters_of
from pose_core.people import ScaleSource
from pose_core.statements import RunStatement, SubjectStatement, SubjectStatements
from pose_ros import topics
from pose_ros.messages.reading import MalformedMessage, people3d_from_msg, run_from_msg, subjects_from_msg
from pose_tools.bag.reader import read, topics_with_messages
from pose_tools.tilt import Tilt, recorded_tilt
from refine_node.params import RefineParams

Values = dict[str, dict[str, Value]]

RUNS: Mapping[str, tuple[str, type]] = {
    "lift3d": (topics.LIFTED_RUN, Lift3DParams),
    "refine": (topics.REFINED_RUN, RefineParams),
}
"""Topic and parameters of the stages that a replay runs again."""

OF_THE_MACHINE = {*parameters_of(StageParams), "device", "compile", "model", "max_tf_age", "level_frame"}
"""Parameters that say where and how it ran, not what came out; and the path of a model."""

TOGETHER: tuple[frozenset[str], ...] = (
    frozenset({"lift3d.lifter", "lift3d.model", "lift3d.backend", "lift3d.joint_centres"}),
    frozenset({"refine.refiner", "refine.model", "refine.look_ahead"}),
    frozenset(
        f"{stage}.{name}"
        for stage in RUNS
        for name in ("camera_tilt", "camera_pitch_deg", "camera_roll_deg", "level_frame", "max_tf_age")
    ),
)
"""Full names of parameters that go together: who states one of them states all."""
HEIGHT = "lift3d.height"
PLACES = 4
"""Decimals of a height, in metres, that a message in 32 bits still holds."""


@dataclass(frozen=True)
class Stated:
    """What a bag knows besides what it shows."""

    runs: Mapping[str, RunStatement] = field(default_factory=dict)
    """By stage, the latest."""
    subjects: SubjectStatements = field(default_factory=SubjectStatements)
    """Heights and masses of people by id, and of everybody; the parameter is no part of them."""
    tilt: Tilt | None = None
    """Of the camera; None where nobody knew it, and where it turned."""
    height: float = 0.0
    """Metres, of everybody where nothing else is stated; 0 where that is not known."""

    def values(self, said: Mapping[str, Mapping[str, Any]]) -> tuple[Values, list[str]]:
        """Parameters of the stages that are not as where nobody says, beside those that the user has `said`, by stage.

        Also sentences on what cannot be used here.
        """
        given = {f"{stage}.{name}" for stage, named in said.items() for name in named}
        taken = given.union(*(group for group in TOGETHER if group & given))
        found: dict[str, Value] = {}
        warnings: list[str] = []
        for stage, run in self.runs.items():
            mine, said_of_it = _changed(stage, run)
            found |= mine
            warnings += said_of_it
        if self.height:
            found[HEIGHT] = self.height
        found = self._tilted(found)
        values: Values = {}
        for full, value in found.items():
            if full not in taken:
                stage, _, name = full.partition(".")
                values.setdefault(stage, {})[name] = value
        return values, warnings

    def without_subjects(self) -> Stated:
        """The same for somebody who states heights otherwise."""
        return replace(self, subjects=SubjectStatements())

    def _tilted(self, found: dict[str, Value]) -> dict[str, Value]:
        """The same without tf, which a bag has not: with the tilt that tf told, or that messages show."""
        if found.get("lift3d.camera_tilt") == STATED or (
            "lift3d" in self.runs and "lift3d.camera_tilt" not in found
        ):
            return found
        found.pop("lift3d.camera_tilt", None)
        if self.tilt is None:
            return found
        pitch, roll = self.tilt
        angles = {"camera_pitch_deg": pitch, "camera_roll_deg": roll}
        told: dict[str, Value] = {"lift3d.camera_tilt": STATED}
        told |= {f"{stage}.{name}": angle for stage in RUNS for name, angle in angles.items()}
        return found | told

    def differences(self, here: Mapping[str, RunStatement]) -> str:
        """In one sentence, which software the bag was made with and what is `here`; empty where that is the same."""
        pairs = {
            name: (version, here[stage].versions[name])
            for stage, run in self.runs.items()
            if stage in here
            for name, version in run.versions.items()
            if here[stage].versions.get(name, version) != version
        }
        if not pairs:
            return ""
        told = ", ".join(f"{name} {before} (here {now})" for name, (before, now) in sorted(pairs.items()))
        return f"the bag was made with {told}: results may differ in their last digits, or more with another model"


def recorded_values(bag: Path, namespace: str, said: Iterable[Values], say: Say) -> tuple[Stated, Values]:
    """What a bag states of people, and by stage the parameters that hold where nobody has `said` otherwise; later layers count.

    `say` is told what cannot be as it was. Raises as `stated_in`.
    """
    stated = stated_in(bag, namespace)
    merged: Values = {}
    for layer in said:
        for stage, named in layer.items():
            merged[stage] = {**merged.get(stage, {}), **named}
    values, warnings = stated.values(merged)
    for warning in warnings:
        say(warning)
    return (stated.without_subjects() if "height" in merged.get("lift3d", {}) else stated), values


def seen_again(by_file: Values) -> dict[str, Value]:
    """What pose2d is told where images are looked at again: ids that are the same each time, unless a file says otherwise."""
    return {} if "run_token" in by_file.get("pose2d", {}) else {"run_token": NO_TOKEN}


def stated_in(bag: Path, namespace: str) -> Stated:
    """What a bag states of the robot in `namespace` (empty, or with a slash in front).

    Bags of before stages stated anything tell the tilt and heights by their lifted people. Raises as `read`.
    """
    held = topics_with_messages(bag)
    runs: dict[str, RunStatement] = {}
    for stage, (topic, _) in RUNS.items():
        for run in _said(bag, held, f"{namespace}/{topic}", run_from_msg):
            runs[stage] = run
    subjects = SubjectStatements()
    for heard in _said(bag, held, f"{namespace}/{topics.SUBJECTS}", subjects_from_msg):
        subjects = heard if heard.revision >= subjects.revision else subjects
    stated = Stated(runs, subjects)
    lifting = runs.get("lift3d")
    if lifting is None:
        shown = shown_in(bag, namespace, held)
        return replace(shown, runs=runs, subjects=subjects if subjects.subjects else shown.subjects)
    if lifting.parameters.get("camera_tilt") == TF:
        return replace(stated, tilt=shown_in(bag, namespace, held).tilt)
    return stated


def shown_in(bag: Path, namespace: str, held: Mapping[str, str]) -> Stated:
    """What the lifted people of a bag show of what those who lifted them were told. `held`: topics that have messages."""
    ups, heights = [np.full(3, np.nan)], {}
    for people in _said(bag, held, f"{namespace}/{topics.LIFTED}", people3d_from_msg):
        if people.up is not None:
            ups.append(people.up)
        for one in people.people:
            if one.scale_source == ScaleSource.SUBJECT:
                heights[one.id] = round(one.height, PLACES)
    tilt = recorded_tilt(np.array(ups))
    if len(set(heights.values())) == 1:
        return Stated(tilt=tilt, height=next(iter(heights.values())))
    subjects = tuple(SubjectStatement(person, height) for person, height in heights.items())
    return Stated(tilt=tilt, subjects=SubjectStatements(len(subjects), subjects))


def _said(bag: Path, held: Mapping[str, str], topic: str, convert: Any) -> Iterator[Any]:
    """What messages on a topic say, but for those that break their contract."""
    if topic not in held:
        return
    for message in read(bag, [topic], warn=silent):
        try:
            yield convert(message.decode())
        except MalformedMessage:
            continue


def _changed(stage: str, run: RunStatement) -> tuple[dict[str, Value], list[str]]:
    """By full name, what is not as where nobody says and can be here; and a sentence for each that cannot."""
    known = parameters_of(RUNS[stage][1])
    found: dict[str, Value] = {}
    warnings = []
    for name, text in run.parameters.items():
        if name not in known or name in OF_THE_MACHINE:
            continue
        try:
            value = parameter_file.value_of(known[name], text)
            known[name].check(value, f"{stage}.{name}")
        except ValueError as error:
            warnings.append(f"the bag states what cannot be here: {error}")
            continue
        if value != known[name].default:
            found[f"{stage}.{name}"] = value
    model = run.parameters.get("model", "")
    if model and Path(model).expanduser().is_file():
        found[f"{stage}.model"] = model
    elif model:
        group = next(group for group in TOGETHER if f"{stage}.model" in group)
        found = {full: value for full, value in found.items() if full not in group}
        warnings.append(
            f"the bag was made with model '{model}' of {stage}, which is not here; the usual one is taken: state another with "
            f"--set {stage}.model=FILE"
        )
    return found, warnings
