"""Statements that outlive their author: whatever dies and in whatever order messages arrive, all agree in the end."""

from __future__ import annotations

import itertools
import random
from dataclasses import dataclass, field

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pose_core.people import MOST_PEOPLE
from pose_core.statements import BodyStatement, SubjectStatement
from pose_core.statements.keeping import LAST_REVISION, LIFE, Author, Keeper, Statement


def subjects(**heights: float) -> dict[str, SubjectStatement]:
    return {person: SubjectStatement(person, height) for person, height in heights.items()}


def heights(statement: Statement[SubjectStatement] | None) -> dict[str, float]:
    return {} if statement is None else {person: one.height for person, one in statement.entries.items()}


@dataclass
class Party:
    """Somebody on the topic: what was said last, and how much of what others say has been heard."""

    mind: Author[SubjectStatement] | Keeper[SubjectStatement]
    said: list[Statement[SubjectStatement]] = field(default_factory=list)
    heard: dict[int, int] = field(default_factory=dict)
    """Statements heard of each party, by its number."""

    @property
    def statement(self) -> Statement[SubjectStatement] | None:
        return self.mind.stated if isinstance(self.mind, Author) else self.mind.kept


class Topic:
    """A latched topic: who comes late hears the last statement of each party that lives, and of each party in its order."""

    def __init__(self) -> None:
        self.living: dict[int, Party] = {}
        self._numbers = itertools.count()

    def join(self, mind: Author[SubjectStatement] | Keeper[SubjectStatement]) -> int:
        number = next(self._numbers)
        party = Party(mind)
        party.heard = {other: max(len(one.said) - 1, 0) for other, one in self.living.items()}
        self.living[number] = party
        return number

    def say(self, number: int) -> None:
        party = self.living[number]
        assert party.statement is not None
        party.said.append(party.statement)

    def due(self) -> list[tuple[int, int]]:
        """Who has not heard whom, itself among them."""
        return [
            (hearer, speaker)
            for hearer, party in self.living.items()
            for speaker, other in self.living.items()
            if party.heard.get(speaker, 0) < len(other.said)
        ]

    def deliver(self, hearer: int, speaker: int) -> None:
        party = self.living[hearer]
        place = party.heard.get(speaker, 0)
        party.heard[speaker] = place + 1
        if party.mind.hear(self.living[speaker].said[place]):
            self.say(hearer)

    def settle(self, choose) -> int:
        """Deliver until nothing is due; `choose` picks who hears next. How many deliveries that took."""
        for count in range(2000):
            due = self.due()
            if not due:
                return count
            self.deliver(*choose(due))
        raise AssertionError("they never come to rest")

    def tell(self, number: int, person: str, height: float) -> None:
        author = self.living[number].mind
        assert isinstance(author, Author)
        if author.tell({person: SubjectStatement(person, height) if height else None}):
            self.say(number)


STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("tell"), st.sampled_from(["", "p1", "p2"]), st.sampled_from([0.0, 1.5, 1.6])),
        st.tuples(st.just("author dies")),
        st.tuples(st.just("keeper dies"), st.integers(0, 1)),
        st.tuples(st.just("hear"), st.integers(0, 100)),
    ),
    max_size=25,
)


@given(steps=STEPS, seed=st.integers(0, 2**32 - 1))
@settings(max_examples=100, deadline=None)
def test_in_any_order_all_agree_and_what_was_told_last_holds(steps, seed):
    choose = random.Random(seed).choice
    topic = Topic()
    author, keepers = topic.join(Author()), [topic.join(Keeper()) for _ in range(2)]
    truth: dict[str, float] = {}

    for step in steps:
        if step[0] == "tell":
            _, person, height = step
            topic.tell(author, person, height)
            truth[person] = height
        elif step[0] == "author dies":
            topic.settle(choose)  # what nobody has heard yet dies with it
            del topic.living[author]
            author = topic.join(Author())
        elif step[0] == "keeper dies":
            topic.settle(choose)
            del topic.living[keepers[step[1]]]
            keepers[step[1]] = topic.join(Keeper())
        elif due := topic.due():
            topic.deliver(*due[step[1] % len(due)])
    topic.settle(choose)
    expected = {person: height for person, height in truth.items() if height}
    for party in topic.living.values():
        assert heights(party.statement) == expected
    assert len({str(party.statement.rank) for party in topic.living.values() if party.statement}) <= 1 + (
        not truth
    )


@given(
    first=st.integers(0, LAST_REVISION),
    second=st.integers(0, LAST_REVISION),
    told=st.booleans(),
    seed=st.integers(0, 2**32 - 1),
)
@settings(max_examples=100, deadline=None)
def test_two_authors_and_hostile_revisions_come_to_rest(first, second, told, seed):
    topic = Topic()
    numbers = [topic.join(Author()), topic.join(Author()), topic.join(Keeper()), topic.join(Keeper())]
    for number, revision, height in ((numbers[2], first, 1.5), (numbers[3], second, 1.6)):
        topic.living[number].mind.hear(Statement(revision, subjects(p1=height)))
        topic.say(number)
    topic.tell(numbers[0], "p1", 1.7)
    if told:
        topic.tell(numbers[1], "p1", 1.8)
    topic.settle(random.Random(seed).choice)
    if max(first, second) < LAST_REVISION - 4 * LIFE:
        assert len({str(party.statement.rank) for party in topic.living.values()}) == 1


def test_an_author_that_starts_again_states_what_was_kept_with_a_greater_revision():
    author, keeper = Author(), Keeper()
    assert author.tell(subjects(p1=1.5))
    assert keeper.hear(author.stated)
    again = Author()
    assert again.hear(keeper.kept)
    assert heights(again.stated) == {"p1": 1.5}
    assert again.stated.revision > keeper.kept.revision
    assert keeper.hear(again.stated)
    assert not again.hear(keeper.kept)


def test_what_was_told_since_the_start_counts_more_than_what_was_kept():
    again = Author()
    again.tell(subjects(p1=1.6))
    again.tell({"p3": None})
    assert again.hear(Statement(7, subjects(p1=1.5, p2=1.8, p3=1.9)))
    assert heights(again.stated) == {"p1": 1.6, "p2": 1.8}
    assert again.hear(
        Statement(9, subjects(p1=1.5, p2=1.9))
    )  # one who had heard more of the life before comes late
    assert heights(again.stated) == {"p1": 1.6, "p2": 1.9}
    assert not again.hear(Statement(8, subjects(p1=1.5, p2=1.7)))


def test_a_keeper_says_only_what_is_new_to_it():
    keeper = Keeper()
    assert keeper.hear(Statement(2, subjects(p1=1.5)))
    assert not keeper.hear(Statement(2, subjects(p1=1.5)))
    assert not keeper.hear(Statement(1, subjects(p1=1.9)))
    assert keeper.hear(Statement(3))
    assert heights(keeper.kept) == {}


def test_no_more_people_than_a_message_takes():
    author = Author()
    everybody = subjects(**{f"p{k}": 1.5 for k in range(MOST_PEOPLE)})
    author.tell(everybody)
    with pytest.raises(ValueError, match="256"):
        author.tell(subjects(q=1.5))
    assert len(author.stated.entries) == MOST_PEOPLE
    again = Author()
    again.tell(subjects(q=1.5))
    again.hear(author.stated)
    assert len(again.stated.entries) == MOST_PEOPLE
    assert heights(again.stated)["q"] == 1.5


def test_the_last_revision_stays_one():
    author = Author()
    author.hear(Statement(LAST_REVISION, subjects(p1=1.5)))
    author.tell(subjects(p1=1.6))
    assert author.stated.revision == LAST_REVISION


def test_bodies_compare_by_what_a_message_says():
    length = np.array([0.4, np.nan])
    one = BodyStatement("p1", length, np.array([True, False]))
    rounded = BodyStatement("p1", length.astype(np.float32), np.array([1, 0]))
    assert one.content == rounded.content
    assert one.content != BodyStatement("p1", length + 1e-3, one.settled).content
