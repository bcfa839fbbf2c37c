"""Any trained network as a refiner: joints about the root by the network, the root by a Kalman filter.

A network sees heights and not metres (`refine_node.encoding`), and answers for the newest frame and for some before it; an
answer to an earlier frame knows more and replaces what was known of it. What counts is by how much a network moves a joint: that
is added to the measurement, so that a network that changes nothing changes nothing to the last bit.
"""

from __future__ import annotations

import functools
import math
from collections import deque
from dataclasses import dataclass, replace
from pathlib import Path
from typing import ClassVar

import numpy as np

from pose_core.filtering.joint_errors import DRIFT
from pose_core.networks.runtime import OnnxSession, Session, empty_state, try_out
from pose_core.people import Person3D
from pose_core.skeleton import Skeleton
from pose_core.units import S_PER_NS
from refine_node import encoding
from refine_node.coasting import JOINT_COAST, Coast, RootFilter
from refine_node.model_card import RefinerCard
from refine_node.params import RefineParams
from refine_node.relative import RootRelativeRefiner, Split

WEIGHTS = Path(__file__).parent / "weights"
"""Where trained networks lie that come with the refiners, as `<name>.onnx`."""
USUAL_STD = 0.03
"""Heights; deviation of the joints that networks are for, 5 cm of a lifter. A network is wrong by about that much of a body it
has not seen before, so what is known better is left alone the more, the better it is known."""


@dataclass(frozen=True)
class _View:
    """One frame as the network saw it, and what is known of it without the network."""

    joints: np.ndarray  # (J, 5) encoded
    unit: float  # metres that 1 stands for
    given: np.ndarray  # (J,) measured in this frame
    known: np.ndarray  # (J,) measured in this frame or before
    relative: np.ndarray  # (J, 3) metres: measured, else expected
    std: np.ndarray  # (J,) metres
    drift: np.ndarray  # (J,) metres that a joint may have moved since it was measured


@dataclass(frozen=True)
class _Answer:
    """What a network says of one frame, in heights."""

    xyz: np.ndarray  # (J, 3)
    log_std: np.ndarray | None  # (J,)


class NetworkRefiner(RootRelativeRefiner):
    """Runs the network called `network`, from the file `RefineParams.model`, else from the weights that come with it.

    A joint is never moved farther from where it was measured than `max_correction` of its standard deviations, and one whose
    deviation is a share of `USUAL_STD` no farther than that share of it. A missing joint is where the network puts it, once it
    has been seen; its deviation grows by `DRIFT`. People who are not seen coast as those of a Kalman filter do. After a gap that
    is longer than the network can be told the network starts anew.
    """

    looks_ahead = True
    runs_network = True
    network: ClassVar[str]
    """Name in `pose_train.refiner.networks`."""

    def __init__(self, params: RefineParams, skeleton: Skeleton) -> None:
        self.check(params, skeleton)
        self._session = self.session(params)
        super().__init__(params, skeleton)

    @classmethod
    def check(cls, params: RefineParams, skeleton: Skeleton | None = None) -> None:
        super().check(params, skeleton)
        card = cls.session(params).card
        if card.look_aheads[0] > params.look_ahead:
            raise ValueError(
                f"the network of refiner '{params.refiner}' needs look_ahead {card.look_aheads[0]} or more, "
                f"got {params.look_ahead}"
            )
        if skeleton is not None and skeleton.name != card.skeleton:
            raise ValueError(
                f"refiner '{params.refiner}' was trained for skeleton '{card.skeleton}', people come as '{skeleton.name}': "
                "choose another refiner, or train one for that skeleton"
            )

    @classmethod
    def file(cls, params: RefineParams) -> Path:
        return Path(params.model).expanduser() if params.model else WEIGHTS / f"{cls.network}.onnx"

    @classmethod
    def session(cls, params: RefineParams) -> Session[RefinerCard]:
        """The network, opened once for everybody. Raises ValueError for a file that is not there or holds another network."""
        path = cls.file(params)
        if not params.model and not path.is_file():
            raise ValueError(
                f"refiner '{cls.network}' comes without trained weights: train it with pose train refiner --model "
                f"{cls.network}, and set model to the .onnx file it writes"
            )
        changed = path.stat().st_mtime_ns if path.is_file() else 0
        session = _open(path, changed)
        if session.card.network != cls.network:
            raise ValueError(
                f"model '{path}' holds network '{session.card.network}', but refiner is '{params.refiner}'; "
                "name a file and a refiner that fit"
            )
        return session

    def reset(self) -> None:
        super().reset()
        joints = len(self.skeleton)
        self._centre = RootFilter(self.params)
        self._coast = Coast(JOINT_COAST)
        self._std = np.full(joints, np.nan)
        self._known = np.zeros(joints, bool)
        self._views: deque[_View] = deque(maxlen=self.params.look_ahead + 1)
        self._restart()

    def _restart(self) -> None:
        """Begin with the network's empty state."""
        self._state = empty_state(self._session.card, 1)
        self._steps = 0

    def _update(self, measured: Split, person: Person3D, stamp: int) -> tuple[Split, np.ndarray]:
        root, root_std = self._centre.update(stamp, measured.root, measured.root_std)
        view = self._view(measured, person, stamp)
        self._views.append(view)
        answers = self._answers(view, stamp)
        relative, std = self._apply(answers[0], view) if 0 in answers else (view.relative, view.std)
        self._coast.see(stamp, np.where(view.given[:, None], relative, np.nan))
        self._std = np.where(view.given, std, self._std)
        for back in answers.keys() - {0}:
            frame = self._frames[-back]  # the newest is not among them yet
            earlier, deviation = self._apply(answers[back], self._views[-1 - back])
            frame.estimate = replace(frame.estimate, relative=earlier, std=deviation)
        return Split(root, root_std, relative, std, *self._centre.velocity(stamp)), view.given

    def _ahead(self, stamp: int) -> Split:
        root, root_std = self._centre.ahead(stamp)
        drift = DRIFT * self._coast.elapsed(stamp)
        return Split(
            root, root_std, self._coast.at(stamp), np.hypot(self._std, drift), *self._centre.velocity(stamp)
        )

    def _smoothed(self, back: int) -> Split:
        root, root_std = self._centre.smoothed(back)
        velocity, velocity_std = self._centre.smoothed_velocity(back)
        return replace(
            self._frames[-1 - back].estimate,
            root=root,
            root_std=root_std,
            velocity=velocity,
            velocity_std=velocity_std,
        )

    def _view(self, measured: Split, person: Person3D, stamp: int) -> _View:
        joints = encoding.encode(measured.relative, measured.std, person.joint_confidence, person.height)
        given = ~np.isnan(measured.relative[:, 0])
        relative, std, drift = measured.relative, measured.std, np.zeros(len(given))
        if self._frames:
            expected = self._ahead(stamp)
            relative = np.where(given[:, None], relative, expected.relative)
            std = np.where(given, std, expected.std)
            drift = DRIFT * self._coast.elapsed(stamp)
        self._known = self._known | given
        return _View(joints, float(encoding.scale(person.height)), given, self._known, relative, std, drift)

    def _answers(self, view: _View, stamp: int) -> dict[int, _Answer]:
        """What the network says of the newest frame (0) and of those so many frames before it that are still of use."""
        step = (stamp - self._frames[-1].stamp) * S_PER_NS if self._frames else math.nan
        if step > encoding.MAX_STEP:
            self._restart()
        step = step if self._steps else math.nan
        outputs, state = self._session.run(view.joints[None], encoding.context(np.array([step])), self._state)
        # a number that is none would stay in the state for ever
        if not all(np.isfinite(array).all() for array in (*outputs.values(), *state)):
            self._restart()
            return {}
        self._state, self._steps = state, self._steps + 1
        card, reach = self._session.card, min(self.params.look_ahead, self._steps - 1)
        return {
            back: _Answer(outputs["xyz"][0, k], outputs["log_std"][0, k] if "log_std" in outputs else None)
            for k, back in enumerate(card.look_aheads)
            if back <= reach
        }

    def _apply(self, answer: _Answer, view: _View) -> tuple[np.ndarray, np.ndarray]:
        """Positions (J, 3) about the root and deviations (J,) in metres of a frame that the network has answered to."""
        move = view.unit * (answer.xyz.astype(float) - view.joints[:, :3])
        length = np.sqrt(np.einsum("ji,ji->j", move, move))
        farthest = self.params.max_correction * view.std * np.minimum(1.0, view.std / (USUAL_STD * view.unit))
        with np.errstate(divide="ignore", invalid="ignore"):
            share = np.minimum(1.0, farthest / length)
        move = np.where((view.given & (length > 0.0))[:, None], share[:, None] * move, 0.0)
        filled = np.where(view.known[:, None], view.unit * answer.xyz, np.nan)
        relative = np.where(view.given[:, None], view.relative + move, filled)
        if answer.log_std is None:
            return relative, view.std
        std = np.exp(answer.log_std.astype(float)) * self._session.card.temperature * view.unit
        return relative, np.where(view.known, np.hypot(std, np.where(view.given, 0.0, view.drift)), np.nan)


@functools.lru_cache(maxsize=8)
def _open(path: Path, changed: int) -> Session[RefinerCard]:
    """The network in a file, as of when it was last `changed` (ns). Networks are so small that a GPU only adds delay."""
    session = OnnxSession(path, RefinerCard, "cpu")
    try_out(session, path)
    return session
