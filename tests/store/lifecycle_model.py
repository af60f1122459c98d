"""A task as the architecture page tells it: a few plain fields, and what each happening does to them. No database."""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from typing import Any

from tasks_server.lifecycle.events import EventKind
from tasks_server.lifecycle.fence import Held
from tasks_server.task import STATUS_OF_OUTCOME, TERMINAL, OutcomeKind, Task, TaskStatus


@dataclass(frozen=True, slots=True, repr=False)
class Fence:
    """What a worker remembers of a claim, however long ago it was."""

    worker: str
    claimed: Task

    @property
    def held(self) -> Held:
        return Held(self.claimed.id, self.claimed.attempt)

    def __repr__(self) -> str:
        return f"{self.worker} at attempt {self.claimed.attempt}"


@dataclass
class ModelQuestion:
    key: str
    ordinal: str
    wording: str
    answered: bool = False
    withdrawn: bool = False

    @property
    def is_outstanding(self) -> bool:
        return not self.answered and not self.withdrawn


@dataclass(repr=False)
class ModelTask:
    """holder has the lease; lapsed: it has run out, and nobody has noticed yet.

    fences are all claims there ever were. revision counts every change that a client can see.
    """

    id: str
    max_crashes: int
    kept: bool
    status: TaskStatus = TaskStatus.WORKING
    attempt: int = 0
    retries_used: int = 0
    crashes: int = 0
    revision: int = 1
    holder: str | None = None
    lapsed: bool = False
    cancelling: bool = False
    outcome: OutcomeKind | None = None
    gone: bool = False
    questions: list[ModelQuestion] = field(default_factory=list[ModelQuestion])
    checkpoints: dict[str, Any] = field(default_factory=dict[str, Any])
    events: list[EventKind] = field(default_factory=list[EventKind])
    fences: list[Fence] = field(default_factory=list[Fence])

    def __repr__(self) -> str:
        return f"{self.id[:4]} ({self.status}, attempt {self.attempt}, held by {self.holder})"

    @property
    def is_terminal(self) -> bool:
        return self.status in TERMINAL

    @property
    def is_quarantined(self) -> bool:
        return self.crashes >= self.max_crashes

    @property
    def is_waiting(self) -> bool:
        return self.status is TaskStatus.WORKING and self.holder is None

    @property
    def is_due(self) -> bool:
        """Whether it may be deleted: dead letters are kept for operators."""
        return self.is_terminal and not self.kept and not self.is_quarantined and not self.gone

    @property
    def outstanding(self) -> set[str]:
        return {question.key for question in self.questions if question.is_outstanding}

    def holds(self, fence: Fence) -> bool:
        """Whether what this claim writes counts. A lapsed lease does, until somebody takes the task away."""
        return not self.is_terminal and (self.holder, self.attempt) == (fence.worker, fence.held.attempt)

    # --- workers ---------------------------------------------------------------------------------------------

    def claim(self, worker: str, claimed: Task, *, dead: bool) -> None:
        self.holder, self.lapsed = worker, dead
        self._changed(EventKind.ATTEMPT)
        self.fences.append(Fence(worker, claimed))

    def report(self) -> None:
        self._changed(EventKind.PROGRESS)

    def ask(self, ordinal: str, wording: str) -> ModelQuestion:
        """The question as it then stands: one that was put before in the same words is not put again."""
        for question in self.questions:
            if (question.ordinal, question.wording) == (ordinal, wording) and not question.withdrawn:
                break
        else:
            question = self._new_question(ordinal, wording)
        if not question.answered:
            self.status = TaskStatus.INPUT_REQUIRED
            self._changed()
        return question

    def _new_question(self, ordinal: str, wording: str) -> ModelQuestion:
        earlier = [question for question in self.questions if question.ordinal == ordinal]
        for question in earlier:
            question.withdrawn = question.withdrawn or not question.answered
        key = f"{ordinal}.{len(earlier) + 1}" if earlier else ordinal
        self.questions.append(ModelQuestion(key, ordinal, wording))
        self.events.append(EventKind.QUESTION)
        return self.questions[-1]

    def may_park(self, fence: Fence) -> bool:
        return self.holds(fence) and self.status is TaskStatus.INPUT_REQUIRED and not self.cancelling

    def park(self) -> None:
        self._let_go(EventKind.PARKED)

    def release(self) -> None:
        """Uncharged; one that is being cancelled ends instead."""
        if self.cancelling:
            self.finish(OutcomeKind.CANCELLED)
        else:
            self._let_go(EventKind.RELEASED)

    def finish(self, outcome: OutcomeKind) -> None:
        self.status, self.outcome = STATUS_OF_OUTCOME[outcome], outcome
        self.holder, self.lapsed = None, False
        self._changed()

    def retry(self) -> None:
        """The attempt has failed for a passing reason; a question that it put is withdrawn."""
        if self.cancelling:
            self.finish(OutcomeKind.CANCELLED)
            return
        self.status = TaskStatus.WORKING
        self.retries_used += 1
        for question in self.questions:
            if question.is_outstanding:
                question.withdrawn = True
                self.events.append(EventKind.WITHDRAWN)
        self._let_go(EventKind.FAILED)
        self._changed()

    def withdraw(self, key: str) -> None:
        """Its asker gave up."""
        if key not in self.outstanding:
            return
        for question in self.questions:
            question.withdrawn = question.withdrawn or question.key == key
        self.events.append(EventKind.WITHDRAWN)
        self._question_settled()

    # --- clients ---------------------------------------------------------------------------------------------

    def answer(self, keys: AbstractSet[str]) -> None:
        given = self.outstanding & keys
        if self.is_terminal or not given:
            return
        for question in self.questions:
            if question.key in given:
                question.answered = True
                self.events.append(EventKind.ANSWER)
        self._question_settled()

    def _question_settled(self) -> None:
        if self.outstanding:
            self._changed()
        elif self.status is TaskStatus.INPUT_REQUIRED:
            self.status = TaskStatus.WORKING
            self._changed()

    def cancel(self) -> None:
        if self.is_terminal or self.cancelling:
            return
        self.cancelling = True
        if self.holder is None:
            self.finish(OutcomeKind.CANCELLED)
        else:
            self._changed()

    # --- time ------------------------------------------------------------------------------------------------

    def rescue(self) -> None:
        """Its worker is silent for too long: a question is parked, a crash is counted, or it is quarantined."""
        if not self.lapsed:
            return
        self.events.append(EventKind.LOST)
        if self.cancelling:
            self.finish(OutcomeKind.CANCELLED)
        elif self.status is TaskStatus.INPUT_REQUIRED:
            self._let_go()
        else:
            self.crashes += 1
            if self.is_quarantined:
                self.finish(OutcomeKind.RPC_ERROR)
            else:
                self._let_go()
                self._changed()

    def expire(self) -> None:
        self.gone = self.gone or self.is_due

    def _let_go(self, *events: EventKind) -> None:
        self.attempt += 1
        self.holder, self.lapsed = None, False
        self.events.extend(events)

    def _changed(self, *events: EventKind) -> None:
        self.revision += 1
        self.events.extend(events)
