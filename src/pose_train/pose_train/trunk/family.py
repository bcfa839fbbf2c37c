"""What a family of learned parts is, and the table of all of them.

A family is one folder of `pose_train` with a folder `networks`, in which a network is one file, and a module `family`, which
names the `FAMILY`. Nothing lists families: whoever drops a folder in can train, save, export and run its networks at once.
"""

from __future__ import annotations

import dataclasses
import importlib
import pkgutil
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Generic, TypeVar

import torch
from torch import Tensor

import pose_train
from pose_core.callbacks import Progress
from pose_core.config import build
from pose_core.networks.model_card import C, Card, Shape
from pose_core.registry import suggest
from pose_train.trunk.batch import Batch
from pose_train.trunk.network import N, Networks, ports
from pose_train.trunk.recipe import R
from pose_train.trunk.task import Task

NETWORKS, MODULE = "networks", "family"
"""What the folder of a family holds."""

D = TypeVar("D")
"""What says where the data of a family are."""


class Family(ABC, Generic[C, N, R, D]):
    """Networks that learn the same from the same data: card, networks, data, loss and recipes."""

    name: ClassVar[str]
    """That of its folder."""
    command: ClassVar[str]
    """`pose train COMMAND` trains a network of it."""
    summary: ClassVar[str]
    """What that does, in a sentence."""
    default: ClassVar[str]
    """What is trained where nothing is named."""
    training: ClassVar[str]
    """What its networks are trained on, in one line, for their cards."""
    lifter: ClassVar[str] = ""
    """What the file of a lifter is for, in words, in a family that learns from lifted people; the others take none."""
    told: ClassVar[tuple[str, ...]] = ()
    """Fields of a card that no network knows of itself, and without which there is none."""

    card: type[C]
    """Class of the cards: `KEY` must be the family's own."""
    networks: Networks[N]
    network: type[N]
    """Base of the classes in `networks`."""
    recipes: Mapping[str, R]
    """By the names of what can be trained."""
    plain: R
    """The recipe of what is not among them."""

    def find(self, name: str) -> type[N]:
        """The network called `name`, loaded when needed. Raises ValueError naming the known ones."""
        return self.networks.from_file(name)

    def recipe(self, name: str) -> R:
        """How what is called `name` is trained."""
        return self.recipes.get(name, self.plain)

    @abstractmethod
    def data(self, folder: Path, lifter: Path | None) -> D:
        """What a job names of its data: the folder of the packs and, where the family takes one, a lifter that does not ship.

        Raises ValueError where they are not there."""

    @abstractmethod
    def prepare(self, data: D, progress: Progress) -> Path:
        """File or folder from which batches are made, made where it is not there yet. `progress` gets what is done, and of how
        much. Raises ValueError for data that are not there."""

    def build(self, kind: type[N], data: Path, plan: R) -> N:
        """A fresh network for what `prepare` gave. Raises ValueError for a configuration that cannot work."""
        config: Any = kind.Config
        return kind(build(config, dict(plan.config)))

    @abstractmethod
    def task(self, network: N, data: Path, plan: R, seed: int) -> Task:
        """What `network` is to learn from what `prepare` gave."""

    def finished(self, network: N, task: Any, batch: Batch, metrics: Mapping[str, float]) -> C:
        """The card of a trained network, calibrated on `batch`, of people whom training has not seen."""
        return self.describe(network, self.training, metrics)

    @abstractmethod
    def facts(self, network: N) -> dict[str, Any]:
        """Fields of the card, beside those of every card, that the network itself tells."""

    @abstractmethod
    def inputs(self, network: N) -> dict[str, Shape]:
        """Shapes for one person of what the network sees beside its state: `joints`, `context`."""

    def describe(
        self, network: N, training: str = "", metrics: Mapping[str, float] | None = None, **told: Any
    ) -> C:
        """The card of a registered network; what the network cannot know of itself are the fields of the card's class.

        Raises ValueError for a network that cannot run frame by frame, whose state is not zeros at first or changes its shape,
        and for one with an output that nobody reads.
        """
        name = self.networks.name_of(type(network))
        outputs, state = ports(network, name, self.inputs(network))
        for output in outputs:
            if output not in self.networks.outputs:
                known = suggest(output, list(self.networks.outputs))
                raise ValueError(f"network '{name}' gives '{output}', which no {self.name} gives; {known}")
        return self.card(
            network=name,
            config=dataclasses.asdict(network.config),
            outputs=outputs,
            state=state,
            training=training,
            metrics=metrics or {},
            **self.facts(network),
            **told,
        )

    def check_fit(self, card: C, network: N) -> None:
        """Raise ValueError where `card` is not that of `network`, naming both sides; what training measured may be anything."""
        told = {name: getattr(card, name) for name in self.told}
        own = self.describe(network, **told)
        card.expect_same(own, "network", *self.facts(network), "config", "outputs", "state")

    def restore(self, card: C, weights: Mapping[str, Any]) -> N:
        """The network that a card and its weights are of, for running.

        Raises ValueError where this version's network of that name differs: another card, or weights that do not fit exactly.
        """
        kind = self.find(card.network)
        config: Any = kind.Config
        network = kind(build(config, dict(card.config)))
        self.check_fit(card, network)
        try:
            network.load_state_dict(weights, strict=True)
        except (RuntimeError, TypeError, AttributeError) as error:
            raise ValueError(f"weights do not fit network '{card.network}' as it is now: {error}") from error
        return network.eval()

    def example(self, card: C, people: int, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Input that an exported file is tried with: joints (B, J, F), some of which are missing, and a context (B, C).

        A joint's last number is its confidence."""
        random = torch.Generator().manual_seed(seed)
        joints = torch.randn(people, *card.inputs["joints"], generator=random)
        joints[..., -1] = torch.rand(joints.shape[:-1], generator=random)
        joints = joints * (torch.rand(*joints.shape[:-1], 1, generator=random) > 0.2)
        return joints, 0.3 * torch.randn(people, *card.inputs["context"], generator=random)


AnyFamily = Family[Any, Any, Any, Any]


def names() -> list[str]:
    """All families, by the names of their folders; none is imported."""
    folders = (module for module in pkgutil.iter_modules(pose_train.__path__) if module.ispkg)
    return sorted(
        folder.name
        for folder in folders
        if any((Path(root) / folder.name / NETWORKS).is_dir() for root in pose_train.__path__)
    )


def find(name: str) -> AnyFamily:
    """The family in the folder `name`. Raises ValueError naming the known ones."""
    if name not in names():
        raise ValueError(f"unknown family '{name}'; {suggest(name, names())}")
    family: AnyFamily = importlib.import_module(f"{pose_train.__name__}.{name}.{MODULE}").FAMILY
    return family


def families() -> Iterator[AnyFamily]:
    """All of them."""
    return map(find, names())


def family_of(card: Card) -> AnyFamily:
    """The family whose card `card` is. Raises ValueError for that of none."""
    for family in families():
        if type(card) is family.card:
            return family
    raise ValueError(f"a card of {card.KEY} is that of no family; known: {', '.join(names())}")
