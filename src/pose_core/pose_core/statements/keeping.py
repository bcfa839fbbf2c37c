"""Statements that outlive the process that made them: their author states, others keep and say them again.

A latched message dies with its publisher. So whoever hears a statement says it again on the same topic, and an author that starts
again takes over what the others still know. Which of two statements counts is told by their revisions alone, in whatever order
they arrive. Each life of an author has a range of revisions of its own, above all that it has heard of: what is kept of a life
before adds to what it was told since, what a later life states replaces it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar, runtime_checkable

from pose_core.people import MOST_PEOPLE

LIFE = 1 << 16
"""Revisions that one life of an author has."""
LAST_REVISION = 2**32 - 1
"""What a message can say."""


@runtime_checkable
class Entry(Protocol):
    """What a statement says of one person."""

    @property
    def content(self) -> tuple[Any, ...]:
        """What can be compared, equal for entries that say the same."""


E = TypeVar("E", bound=Entry)


@dataclass(frozen=True, eq=False)
class Statement(Generic[E]):
    """All that was stated, by person."""

    revision: int = 0
    entries: Mapping[str, E] = field(default_factory=dict)

    @property
    def rank(self) -> tuple[Any, ...]:
        """The statement of the greater one counts; equal ones say the same."""
        return self.revision, sorted((person, entry.content) for person, entry in self.entries.items())


class Keeper(Generic[E]):
    """Keeps what an author stated."""

    def __init__(self) -> None:
        self.kept: Statement[E] | None = None
        """What counts of all that was heard."""

    def hear(self, heard: Statement[E]) -> bool:
        """Whether `heard` counts more than what was kept, and is to be said again."""
        if self.kept is not None and heard.rank <= self.kept.rank:
            return False
        self.kept = heard
        return True


class Author(Generic[E]):
    """States, and takes over what was stated before it began.

    What it is told counts more than what others kept of the lives before. The statement of a later life, or a greater one of its
    own, counts more than all that it was told: two authors on one topic end up with one statement.
    """

    def __init__(self) -> None:
        self.stated: Statement[E] = Statement()
        """What holds now; of revision 0 nothing need be said."""
        self._told: dict[str, E | None] = {}
        self._taken: tuple[Any, ...] = ()
        """Rank of the greatest statement that was taken over."""
        self._joined = False
        """Whether one was."""

    def tell(self, told: Mapping[str, E | None]) -> bool:
        """Note entries by person, None for what is to be forgotten. Whether that makes another statement, to be published.

        Raises ValueError, then unchanged, for more people than a message takes.
        """
        entries = {**self.stated.entries, **told}
        known = {person: entry for person, entry in entries.items() if entry is not None}
        if len(known) > MOST_PEOPLE:
            raise ValueError(
                f"of at most {MOST_PEOPLE} people something can be stated; let some be forgotten first"
            )
        self._told.update(told)
        new = Statement(min(self.stated.revision + 1, LAST_REVISION), known)
        if new.rank[1] == self.stated.rank[1]:
            return False
        self.stated = new
        return True

    def hear(self, heard: Statement[E]) -> bool:
        """Take over what `heard`, by whoever said it, adds. Whether that makes another statement, to be published."""
        life, own = heard.revision // LIFE, self.stated.revision // LIFE
        if self._joined and life >= own:
            if heard.rank > self.stated.rank:
                self.stated, self._told, self._taken = heard, {}, heard.rank
            return False
        if heard.rank <= self._taken:
            return False
        kept = {person: entry for person, entry in heard.entries.items() if person not in self._told}
        if not kept and (self._joined or heard.rank <= self.stated.rank):
            return False  # its own statement, come back, or one that adds nothing
        told = {person: entry for person, entry in self._told.items() if entry is not None}
        merged = dict(list({**told, **kept}.items())[:MOST_PEOPLE])
        begins, self._joined, self._taken = not self._joined, True, heard.rank
        revision = (max(life, own) + 1) * LIFE if begins else self.stated.revision + 1
        new = Statement(min(revision, LAST_REVISION), merged)
        if not begins and new.rank[1] == self.stated.rank[1]:
            return False
        self.stated = new
        return True
