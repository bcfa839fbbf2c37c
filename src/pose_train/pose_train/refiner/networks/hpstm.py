"""Attention between frames, then a body: rotations of bones and lengths that stay, by forward kinematics.

After the human pose smoothing with transformer and manifold constraints of "Real-Time ESFP", arXiv 2506.21234: a transformer
encodes a window of noisy poses, a decoder gives rotations and bone lengths, and forward kinematics makes joints of them that no
noise can stretch. Written from that description, with these differences:

- The published network answers whole windows. Here a frame sees the `window` - 1 before it and whatever a look-ahead allows: the
  encoder is causal, and the frame described, marked with its look-ahead, is compared once more with all up to the newest.
  `centred` is the form for recordings: each layer sees window // 2 frames on both sides.
- Rotations, in 6D (Y. Zhou et al., CVPR 2019), correct the directions in which bones were measured; an untrained network gives
  back what it was given. A bone that is not seen keeps its direction for a moment and gradually takes the decoder's own.
- Before that each part of the body passes `filters` learned filters over the window, mixed as the network sees fit: to take noise
  away, a decoder would have to repeat it, of every joint, to a tenth of its size; a filter weighs what is there (as A. Zeng et
  al., SmoothNet, ECCV 2022, do with nothing else).
- Bone lengths are a running mean of those measured, in which the network corrects and weighs each frame: they converge, while
  lengths that are predicted for each frame would go on to tremble. Left and right share them.

`decoder`, `layers` and `filters` take it apart: "positions" leaves out the body, layers = 0 the transformer, filters = 0 the
filters; without the last two each frame is alone, but for the lengths.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from pose_core.config import param
from pose_core.geometry.kinematics import BodyTree
from pose_core.networks.step import CONTEXT
from pose_core.skeleton import Skeleton
from pose_train.refiner.network import LOOK_AHEADS, RefiningNetwork
from pose_train.refiner.networks import NETWORKS
from pose_train.refiner.networks._joints import CONFIDENCE, LOG_STD, constant, known, places, root_weights
from pose_train.refiner.networks._kinematics import ForwardKinematics, matrix_of_6d
from pose_train.trunk.attention import Attention, FrameTransformer, band, delayed, slopes
from pose_train.trunk.network import Outputs, State
from refine_node.encoding import FEATURES

FADE = 0.8
"""What is left, a frame later, of the trust in a direction or place that is no longer seen: half after three frames."""
TYPICAL_LOG_STD = -3.5
"""Where deviations of lifted joints lie, 5 cm; takes the mean of what the network sees towards 0."""
UNSEEN_LOG_STD = -2.5
"""The same of joints that are not seen, before the network says otherwise."""
LOG_STD_RANGE = 2.0
"""How much a deviation can change, as a logarithm."""
CORRECTION = 0.1
"""Scale of what is learnt, in radians or heights: near the errors that are to be corrected."""
LENGTH_RANGE = 0.3
"""How much the length seen in one frame can be corrected, as a logarithm."""
WEIGHT_RANGE = 3.0
"""How much more or less than its deviation says one frame can count for the lengths, as a logarithm."""
LENGTH_NOISE = 0.01
"""Heights; a bone seen with this deviation counts half of one that is known exactly."""
PRIOR_WEIGHT = 1e-5
"""What the learned mean length counts against frames: it matters where there are none."""
LEAST_CONFIDENCE = 1e-3
"""Below which a joint counts as if it had that."""
FACING = np.array([1.0, -1.0, -1.0])
"""Turns rest directions (x left, y up, z forward) into those of somebody who faces the camera (y down, z away from it)."""
EPSILON = 1e-6
"""Heights; what is shorter has no direction."""


@dataclass(frozen=True)
class HPSTMConfig:
    skeleton: str = param("mediapipe33", "skeleton of the joints")
    window: int = param(31, "frames that a frame attends to, with itself; odd if centred", low=3, high=243)
    centred: bool = param(False, "for recordings: each layer sees window // 2 future frames as well")
    look_ahead: int = param(
        8, "largest look-ahead that is answered, unless centred", low=0, high=LOOK_AHEADS[-1]
    )
    filters: int = param(4, "filters that parts of the body mix; 0 for none", low=0, high=16)
    decoder: str = param("fk", "a body with constant bones, or each joint alone", choices=("fk", "positions"))
    width: int = param(160, "features of a frame", low=8, high=1024)
    layers: int = param(4, "layers of attention between frames; 0 for none", low=0, high=16)
    heads: int = param(8, "heads of these; divide width", low=1, high=64)
    dropout: float = param(0.05, "share of features dropped in training", low=0.0, high=0.9)
    deviations: bool = param(True, "give standard deviations")
    memory: int = param(
        9000, "frames after which the length of a bone is forgotten to a third", low=100, high=1_000_000
    )

    @classmethod
    def small(cls) -> HPSTMConfig:
        return cls(window=5, width=24, layers=2, filters=2, heads=2, dropout=0.0, memory=100)


class Shape(nn.Module, ABC):
    """What a frame shows, as one vector of `numbers`, and how the joints follow from what the network makes of it.

    The vector holds, one after the other: for each of `parts` where it is, (3,) and zero where not seen, and then a 1 where it is
    seen, or what an earlier sight still counts; logarithms of the joints' deviations, and a 1 where they are known; lengths, and
    what they count, at most 1 for each bone.
    """

    def __init__(self, parts: int, joints: int, lengths: int, numbers: int) -> None:
        """`numbers` that the network gives for each part, twice: a correction and a stand-in."""
        super().__init__()
        self.parts, self.lengths, self.raw = parts, lengths, (2, parts, numbers)
        self.sizes = [3 * parts, parts, joints, joints, lengths, lengths]
        self.numbers = sum(self.sizes)
        self.each = places([part for part in range(parts) for _ in range(3)])

    @abstractmethod
    def measure(self, joints: Tensor) -> Tensor:
        """(N, P) from joints (N, J, 5)."""

    @abstractmethod
    def place(self, value: Tensor, trust: Tensor, raw: Tensor, lengths: Tensor) -> Tensor:
        """Joints (N, K, J, 3) about the root from parts (N, K, parts, 3), how much they count (N, K, parts, 1), what the network
        gives (N, K, 2, parts, .) and lengths (N, L)."""

    def sequence(self, measured: Tensor) -> Tensor:
        """Measurements (B, T, P) in which what is not seen is as it was last seen."""
        value, seen, *rest = measured.split(self.sizes, -1)
        frame = torch.arange(measured.shape[1], device=measured.device)[None, :, None]
        last = torch.where(seen > 0.0, frame, -1).cummax(1).values
        # Before the first sight the value is zero anyway.
        value = value.gather(1, last.clamp(min=0)[..., self.each])
        trust = torch.where(last < 0, 0.0, FADE ** (frame - last).to(value.dtype))
        return torch.cat([value, trust, *rest], -1)

    def frame(self, measured: Tensor, before: Tensor) -> Tensor:
        """The same of one frame (B, P) after the one `before`."""
        value, seen, *rest = measured.split(self.sizes, -1)
        past, trust = before.split(self.sizes, -1)[:2]
        lost = 1.0 - seen
        value = value + lost.index_select(-1, self.each) * past
        return torch.cat([value, seen + FADE * lost * trust, *rest], -1)


class Joints(Shape):
    """Each joint alone: "positions"."""

    def __init__(self, skeleton: Skeleton) -> None:
        super().__init__(len(skeleton), len(skeleton), 0, 3)
        self.root = root_weights(skeleton)

    def measure(self, joints: Tensor) -> Tensor:
        there = known(joints).to(joints.dtype)
        return torch.cat(
            [joints[..., :3].reshape(-1, 3 * self.parts), there, joints[..., LOG_STD], there], -1
        )

    def place(self, value: Tensor, trust: Tensor, raw: Tensor, lengths: Tensor) -> Tensor:
        correction, alone = raw.unbind(2)
        xyz = trust * value + (1.0 - trust) * alone + CORRECTION * correction
        return xyz - (self.root * xyz).sum(-2, keepdim=True)


class Body(Shape):
    """Bones that turn and keep their lengths: "fk". A part is the direction of a bone, or of tied bones, which turn as one; a
    bone and its mirror are equally long."""

    def __init__(self, skeleton: Skeleton) -> None:
        tree = BodyTree(skeleton)
        parts, lengths = len(tree.heads), int(tree.pairs.max()) + 1
        super().__init__(parts, len(skeleton), lengths, 6)
        self.joints = len(skeleton)
        self.length_of = places(tree.pairs[tree.heads])
        self.usual = constant([tree.standing_lengths[tree.pairs == one].mean() for one in range(lengths)])
        nodes = skeleton.with_virtual(np.eye(len(skeleton)))
        # The root is the origin, whether or not the joints are seen that it is the mean of.
        nodes[skeleton.index(skeleton.root)] = 0.0
        vectors = nodes[tree.child] - nodes[tree.parent]
        self.vectors = constant(vectors)  # (B, J)
        self.needs = constant(vectors.T != 0.0)  # (J, B)
        self.needed = constant((vectors != 0.0).sum(1) - 0.5)  # (B,) safe from rounding
        self.spread = constant(vectors.T**2)  # (J, B) how joints' variances add up to those of bones
        self.to_parts = constant((np.arange(parts)[:, None] == tree.groups) * tree.signs)  # (parts, B)
        self.to_lengths = constant(tree.pairs[:, None] == np.arange(lengths))  # (B, L)
        self.rest = constant(tree.rest[tree.heads] * FACING)
        self.identity = constant(np.eye(3)[:2].ravel())
        self.scales = constant(np.reshape([CORRECTION, 1.0], (2, 1, 1)))
        self.kinematics = ForwardKinematics(tree)

    def measure(self, joints: Tensor) -> Tensor:
        there, log_std = known(joints).to(joints.dtype), joints[..., LOG_STD]
        seen = (there @ self.needs > self.needed).to(joints.dtype)
        bones = self.vectors @ joints[..., :3] * seen[..., None]
        direction = self.to_parts @ bones
        extent = direction.norm(dim=-1)
        pointing = (extent > EPSILON).to(joints.dtype)
        direction = direction * (pointing / extent.clamp(min=EPSILON))[..., None]
        variance = torch.exp(2.0 * log_std) / joints[..., CONFIDENCE].clamp(min=LEAST_CONFIDENCE)
        weight = seen / (1.0 + variance @ (self.spread / LENGTH_NOISE**2))
        total = weight @ self.to_lengths
        length = (bones.norm(dim=-1) * weight) @ self.to_lengths / total.clamp(min=1e-12)
        return torch.cat([direction.reshape(-1, 3 * self.parts), pointing, log_std, there, length, total], -1)

    def place(self, value: Tensor, trust: Tensor, raw: Tensor, lengths: Tensor) -> Tensor:
        correction, alone = matrix_of_6d(self.scales * raw + self.identity).unbind(2)
        # What is not seen points as in somebody upright, turned.
        direction = trust * value + (1.0 - trust) * _turned(self.rest, alone)
        direction = direction / (direction.square().sum(-1, keepdim=True) + EPSILON**2).sqrt()
        bones = _turned(direction, correction) * lengths.index_select(-1, self.length_of)[:, None, :, None]
        joints = bones.reshape(-1, raw.shape[1], 3 * self.parts) @ self.kinematics.spread
        return joints.reshape(-1, raw.shape[1], self.joints, 3)


def _turned(directions: Tensor, rotations: Tensor) -> Tensor:
    return (rotations * directions[..., None, :]).sum(-1)


class Filters(nn.Module):
    """What a part was in the frames of a window, blended: one filter that all parts share, and others that each mixes as told.

    They add up differences from the frame described, each by what it counts: what has not moved stays.
    """

    def __init__(self, parts: int, filters: int, delays: Tensor, look_aheads: tuple[int, ...]) -> None:
        """`delays` (W,) of the window's frames behind the newest, oldest first."""
        super().__init__()
        self.parts, self.count, self.answers = parts, filters, len(look_aheads)
        distance = (delays - torch.tensor(look_aheads)[:, None]).abs()
        # The shared one starts as nothing, the others as means over longer and longer times about the frame described.
        near = torch.stack([(distance <= 2**reach).float() for reach in range(filters)], 1)
        near = near / near.sum(-1, keepdim=True).clamp(min=1.0)
        self.kernels = nn.Parameter(
            torch.cat([torch.zeros_like(near[:, :1]), near], 1)
        )  # (K, 1 + filters, W)

    def forward(self, window: Tensor, value: Tensor, mixture: Tensor) -> Tensor:
        """Parts (N, K, parts, 3) from frames (N, W, 4 parts), what those described were and the `mixture` (N, K, filters parts).

        In `window` stand what parts were, times what that counts (3 parts), and what it counts (parts).
        """
        blended = (self.kernels.flatten(0, 1) @ window).reshape(
            -1, self.answers, 1 + self.count, 4 * self.parts
        )
        moved, counted = blended.split([3 * self.parts, self.parts], -1)
        shape = (-1, self.answers, 1 + self.count, self.parts)
        moved = moved.reshape(*shape, 3) - counted[..., None] * value[:, :, None]
        shared, others = moved.split([1, self.count], 2)
        mixture = mixture.reshape(-1, self.answers, self.count, self.parts, 1)
        return value + shared.squeeze(2) + (mixture * others).sum(2)


class Lengths(nn.Module):
    """Running means of bone lengths, corrected and weighed by what the network thinks of each frame.

    State: (B, 2 L) sums of weights times lengths, and of weights.
    """

    def __init__(self, width: int, usual: Tensor, memory: int) -> None:
        """`usual`: (L,) lengths to expect before a frame has shown any."""
        super().__init__()
        self.keep, self.sizes = 1.0 - 1.0 / memory, [len(usual), len(usual)]
        self.judge = nn.Linear(width, 2 * len(usual))
        nn.init.zeros_(self.judge.weight)
        nn.init.zeros_(self.judge.bias)
        self.log_usual = nn.Parameter(usual.log())

    def terms(self, encoded: Tensor, length: Tensor, weight: Tensor) -> Tensor:
        """What a frame adds to the sums (..., 2 L)."""
        correction, trust = torch.tanh(self.judge(encoded)).split(self.sizes, -1)
        weight = weight * torch.exp(WEIGHT_RANGE * trust)
        return torch.cat([weight * length * torch.exp(LENGTH_RANGE * correction), weight], -1)

    def sequence(self, terms: Tensor) -> Tensor:
        """(B, T, L) lengths as of each frame; equals `frame` step by step."""
        frame = torch.arange(terms.shape[1], device=terms.device, dtype=torch.float64)[:, None]
        decay = self.keep**frame
        return self._mean(((terms / decay).cumsum(1) * decay).to(terms.dtype))

    def frame(self, terms: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
        """Lengths (B, L) and next sums."""
        sums = self.keep * sums + terms
        return self._mean(sums), sums

    def _mean(self, sums: Tensor) -> Tensor:
        total, weight = sums.split(self.sizes, -1)
        return (total + PRIOR_WEIGHT * torch.exp(self.log_usual)) / (weight + PRIOR_WEIGHT)


class Questions(nn.Module):
    """The frames described, each with a mark of its look-ahead, look once more at all frames up to the newest.

    State: keys and values of the `past` frames before the newest.
    """

    def __init__(
        self, width: int, heads: int, past: int, look_aheads: tuple[int, ...], dropout: float
    ) -> None:
        super().__init__()
        self.past, self.look_aheads = past, look_aheads
        self.attention = Attention(width, heads, dropout)
        # (head, offset of a key from the frame described), oldest first
        self.bias = nn.Parameter(slopes(heads, torch.arange(-past, look_aheads[-1] + 1)))
        offsets = torch.arange(past + 1) + torch.tensor(look_aheads)[:, None]
        self.offsets = nn.Buffer(offsets, persistent=False)  # (K, past + 1) which of these

    def forward(self, encoded: Tensor, asked: Tensor) -> Tensor:
        """(B, T, K, D) from all frames (B, T, D) and those described (B, T, K, D)."""
        frames = encoded.shape[1]
        keys = self.attention.keys(self.attention.norm(encoded), frames)
        normed, answers = self.attention.norm(asked), []
        for k, ahead in enumerate(self.look_aheads):
            bias = band(self.bias, frames, self.past, 0, shift=ahead)
            answers.append(self.attention(asked[:, :, k], normed[:, :, k], keys, bias, frames))
        return torch.stack(answers, 2)

    def initial(self, batch: int) -> State:
        return [self.attention.no_keys(batch, self.past)]

    def step(
        self, encoded: Tensor, asked: Tensor, absent: Tensor, old: Iterator[Tensor]
    ) -> tuple[Tensor, State]:
        """(B, K, D) after the newest frame (B, D); `absent` (B, 1, 1, past + 1) is added to the scores of frames."""
        norm = self.attention.norm
        keys = torch.cat([next(old), self.attention.keys(norm(encoded[:, None]), 1)], 2)
        bias = self.bias[:, self.offsets] + absent
        answers = self.attention(asked, norm(asked), keys, bias, len(self.look_aheads))
        return answers, [keys[:, :, 1:]]


@NETWORKS.register("hpstm")
class HPSTM(RefiningNetwork):
    """State: that of the transformer; the last encoded frames, as many as the largest look-ahead; that of the questions; the last
    measurements; sums of lengths. What a configuration does not need is left out."""

    Config = HPSTMConfig

    def __init__(self, config: HPSTMConfig) -> None:
        super().__init__(config)
        if config.width % config.heads:
            raise ValueError(f"heads must divide width, got {config.heads} heads for width {config.width}")
        if config.centred and config.window % 2 == 0:
            raise ValueError(f"window must be odd, got {config.window}")
        if config.centred and not config.layers:
            raise ValueError("centred must be false without layers, got true")
        width, joints, dropout = config.width, len(self.skeleton), config.dropout
        future = config.window // 2 if config.centred else 0
        past = config.window - 1 - future
        self.delay = config.layers * future
        farthest = self.look_aheads[-1]
        self.oldest = self.delay + past  # of the filters
        self.waiting, self.kept = (
            farthest - self.delay,
            max(farthest, self.oldest if config.filters else 1, 1),
        )
        # From the oldest that is kept; what is encoded is late by the delay already.
        self.encoded_at = places([farthest - ahead for ahead in self.look_aheads])
        self.measured_at = places([self.kept - ahead for ahead in self.look_aheads])
        self.shape = Body(self.skeleton) if config.decoder == "fk" else Joints(self.skeleton)
        self.stand_in = nn.Parameter(torch.zeros(joints, len(FEATURES)))
        self.middle = constant([TYPICAL_LOG_STD * (feature == "log_std") for feature in FEATURES])
        self.embed = nn.Linear(joints * len(FEATURES) + len(CONTEXT), width)
        self.mark = nn.Parameter(0.1 * torch.randn(len(self.look_aheads), width))
        self.transformer = self.questions = self.filters = self.lengths = None
        if config.layers:
            self.transformer = FrameTransformer(width, config.heads, config.layers, past, future, dropout)
        if config.layers and not config.centred:
            self.questions = Questions(width, config.heads, past, self.look_aheads, dropout)
        if config.filters:
            delays = torch.arange(self.oldest, self.oldest - config.window, -1)
            self.filters = Filters(self.shape.parts, config.filters, delays, self.look_aheads)
        if isinstance(self.shape, Body):
            self.lengths = Lengths(width, self.shape.usual, config.memory)
        mixture = config.filters * self.shape.parts
        self.sizes = [math.prod(self.shape.raw), mixture, joints if config.deviations else 0]
        last = nn.Linear(2 * width, sum(self.sizes))
        # An untrained network changes nothing.
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        self.last = nn.Sequential(nn.LayerNorm(width), nn.Linear(width, 2 * width), nn.GELU(), last)

    @property
    def look_aheads(self) -> tuple[int, ...]:
        if self.config.centred:
            return (self.delay,)
        return tuple(ahead for ahead in LOOK_AHEADS if ahead <= self.config.look_ahead)

    def forward(self, joints: Tensor, context: Tensor) -> Outputs:
        size = joints.shape[:2]
        encoded = self._tokens(joints.flatten(0, 1), context.flatten(0, 1)).unflatten(0, size)
        if self.transformer is not None:
            encoded = self.transformer(encoded)
        asked = (
            torch.stack([delayed(encoded, ahead - self.delay) for ahead in self.look_aheads], 2) + self.mark
        )
        if self.questions is not None:
            asked = self.questions(encoded, asked)
        frames = self.shape.sequence(self.shape.measure(joints.flatten(0, 1)).unflatten(0, size))
        lengths = encoded[..., :0]
        if self.lengths is not None:
            newest = delayed(frames, self.delay).split(self.shape.sizes, -1)[-2:]
            lengths = self.lengths.sequence(self.lengths.terms(encoded, *newest))
        described = torch.stack([delayed(frames, ahead) for ahead in self.look_aheads], 2)
        window = frames
        if self.filters is not None:
            before = self.config.window - 1
            late = delayed(self._counted(frames), self.oldest - before)
            window = functional.pad(late, (0, 0, before, 0)).unfold(1, before + 1, 1).transpose(2, 3)
        outputs = self._answers(*(tensor.flatten(0, 1) for tensor in (asked, described, window, lengths)))
        return {name: value.unflatten(0, size) for name, value in outputs.items()}

    def initial(self, batch: int) -> State:
        def nothing(*shape: int) -> Tensor:
            return self.mark.new_zeros(batch, *shape)

        state: State = [] if self.transformer is None else self.transformer.initial(batch)
        if self.waiting:
            state.append(nothing(self.waiting, self.config.width))
        if self.questions is not None:
            state += self.questions.initial(batch)
        state.append(nothing(self.kept, self.shape.numbers))
        if self.lengths is not None:
            state.append(nothing(2 * self.shape.lengths))
        return state

    def step(self, joints: Tensor, context: Tensor, state: State) -> tuple[Outputs, State]:
        old, following = iter(state), list[Tensor]()
        encoded = absent = self._tokens(joints, context)
        if self.transformer is not None:
            encoded, absent, following = self.transformer.step(encoded, old)
        recent = encoded[:, None]
        if self.waiting:
            recent = torch.cat([next(old), recent], 1)
            following.append(recent[:, 1:])
        asked = recent.index_select(1, self.encoded_at) + self.mark
        if self.questions is not None:
            asked, part = self.questions.step(encoded, asked, absent, old)
            following += part
        ring = next(old)
        frame = self.shape.frame(self.shape.measure(joints), ring[:, self.kept - 1])
        ring = torch.cat([ring, frame[:, None]], 1)
        following.append(ring[:, 1:])
        lengths = encoded[:, :0]
        if self.lengths is not None:
            newest = ring[:, self.kept - self.delay].split(self.shape.sizes, -1)[-2:]
            lengths, sums = self.lengths.frame(self.lengths.terms(encoded, *newest), next(old))
            following.append(sums)
        first = self.kept - self.oldest
        window = (
            self._counted(ring[:, first : first + self.config.window]) if self.filters is not None else ring
        )
        return self._answers(asked, ring.index_select(1, self.measured_at), window, lengths), following

    def _tokens(self, joints: Tensor, context: Tensor) -> Tensor:
        """(N, D) from joints (N, J, 5) and context (N, C)."""
        features = torch.where(known(joints)[..., None], joints - self.middle, self.stand_in)
        tokens: Tensor = self.embed(torch.cat([features.flatten(1), context], 1))
        return tokens

    def _counted(self, frames: Tensor) -> Tensor:
        """Of measurements (..., P) what `Filters` see, (..., 4 parts)."""
        value, trust = frames.split(self.shape.sizes, -1)[:2]
        return torch.cat([value * trust.index_select(-1, self.shape.each), trust], -1)

    def _answers(self, asked: Tensor, described: Tensor, window: Tensor, lengths: Tensor) -> Outputs:
        """From (N, K, D), measurements (N, K, P), what the filters see (N, W, .) and lengths (N, L)."""
        answers, (parts, numbers) = len(self.look_aheads), self.shape.raw[1:]
        raw, mixture, deviation = self.last(asked).split(self.sizes, -1)
        value, trust, log_std, there, _, _ = described.split(self.shape.sizes, -1)
        value = value.reshape(-1, answers, parts, 3)
        if self.filters is not None:
            value = self.filters(window, value, mixture)
        xyz = self.shape.place(
            value,
            trust[..., None],
            raw.reshape(-1, answers, 2, parts, numbers),
            lengths,
        )
        if not self.config.deviations:
            return {"xyz": xyz}
        start = log_std + (1.0 - there) * UNSEEN_LOG_STD
        return {"xyz": xyz, "log_std": start + LOG_STD_RANGE * torch.tanh(deviation)}
