"""Answers that checks of several domains share."""

import time

from gateway.deliverability.answers import FOUND, Answer
from gateway.deliverability.exchange import Question


class Known:
    """What names outside the checked zones hold, such as a provider's include, for all checks of a process.

    Only what was found, for as long as its TTL says and MOST seconds at most: a "no" that somebody is mending is asked
    for again each time."""

    MOST, ROWS = 60.0, 20_000

    def __init__(self) -> None:
        self._rows: dict[Question, tuple[float, Answer]] = {}

    def get(self, key: Question) -> Answer | None:
        until, answer = self._rows.get(key, (0.0, None))
        return answer if until > time.monotonic() else None

    def put(self, key: Question, answer: Answer) -> None:
        if answer.status == FOUND:
            if len(self._rows) >= self.ROWS:
                self._rows = {}
            self._rows[key] = time.monotonic() + min(answer.ttl, self.MOST), answer
