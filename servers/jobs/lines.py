"""Output of a server as it may be kept: pure text, masked, capped. Nothing here touches the database."""

import base64
import json
from collections import deque
from urllib.parse import quote

from servers.remote import clean
from servers.remote.secret import Secret, cover, revealed

JOB = 600_000  # characters of one job that are kept as they come
TAIL = 100  # lines of a step that are kept from its end once the job's room is used up


class Masker:
    """Knows the secrets of a job, in the forms programs print them. Starts empty; `add` as secrets come into play."""

    def __init__(self):
        self._forms: set[Secret] = set()
        self._texts: tuple[str, ...] = ()

    def add(self, secret: Secret | None) -> None:
        if secret is None or not len(secret):
            return
        value = secret.reveal()
        # Hiding one to three letters would blacken our own sentences, and tell by the gaps which letters they are.
        forms = {value} if len(value) > 3 else set()
        lines = [line.strip() for line in value.splitlines()]
        if len(lines) > 1:  # a private key is printed line by line
            forms |= {line for line in lines if len(line) >= 8}
        if len(value) >= 6:
            text = value.decode("utf-8", "replace")
            forms |= {base64.b64encode(value), quote(text, safe="").encode(), json.dumps(text)[1:-1].encode()}
            forms |= {text.replace("'", "'\\''").encode(), clean.text(text).encode()}
        self._forms |= {Secret(form) for form in forms if form}
        self._texts = revealed(self._forms)

    def __call__(self, text: str) -> str:
        return cover(text, self._texts)


class Budget:
    """Decides line by line what is kept: `JOB` characters as they come, after that each step's last `TAIL` lines."""

    def __init__(self, used: int = 0):
        self.used = used
        self._tail: deque[str] = deque(maxlen=TAIL)
        self._left_out = 0

    def take(self, text: str) -> str | None:
        """The line to keep now, or None."""
        if self.used + len(text) <= JOB:
            self.used += len(text)
            return text
        self._left_out += len(self._tail) == TAIL
        self._tail.append(text)
        return None

    def end_of_step(self) -> list[str]:
        """What is kept after all, now that the step's end is known."""
        kept = list(self._tail)
        if self._left_out:
            kept.insert(0, f"… {self._left_out} lines were left out here …")
        self._tail.clear()
        self._left_out = 0
        return kept


def presentable(raw: str, masker: Masker) -> list[str]:
    """The lines to keep of one line of output.

    Masked before cleaning, because a secret may hold what cleaning takes out, and after, because a line may hide a
    secret behind such characters.
    """
    return masker(clean.text(masker(raw))).removesuffix("\n").split("\n")
