"""The contract of a queue: nothing is lost, whatever its handler does; what fails too often is dead-lettered."""

from __future__ import annotations

import pytest

from shared.adapters.memory.messages import MAX_RECEIVES, MemoryQueue


class Broken(Exception):
    """A handler that fails."""


def refuse_two(message: int) -> None:
    if message == 2:
        raise Broken


def queue_of(*messages: int) -> MemoryQueue[int]:
    queue: MemoryQueue[int] = MemoryQueue()
    for message in messages:
        queue.send(message)
    return queue


def test_a_failing_message_stays_and_the_others_are_handled() -> None:
    queue = queue_of(1, 2, 3)
    handled: list[int] = []

    def handle(message: int) -> None:
        refuse_two(message)
        handled.append(message)

    with pytest.raises(Broken):
        queue.drain(handle)
    assert (handled, queue.receive()) == ([1, 3], [(2, 1)])


def test_a_message_that_always_fails_is_dead_lettered() -> None:
    queue = queue_of(2)
    for _ in range(MAX_RECEIVES):
        with pytest.raises(Broken):
            queue.drain(refuse_two)
    assert (len(queue), queue.dead) == (0, [2])
