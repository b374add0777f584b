"""A secret is a type of its own, so that no formatter, log line or page prints it by accident."""

import hmac
from collections.abc import Iterable

MASK = "••••"


class Secret:
    """Bytes that only `reveal` gives back. Text is taken as UTF-8."""

    __slots__ = ("_value",)

    def __init__(self, value: bytes | str):
        self._value = value.encode() if isinstance(value, str) else bytes(value)

    def reveal(self) -> bytes:
        return self._value

    def __str__(self) -> str:
        return MASK

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __format__(self, spec: str) -> str:
        return MASK

    def __len__(self) -> int:
        return len(self._value)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and hmac.compare_digest(self._value, other._value)

    def __hash__(self) -> int:
        return hash((Secret, self._value))

    def __reduce__(self):
        raise TypeError("a Secret is never pickled: it would travel in a broker message or a cache")


def mask(text: str, secrets: Iterable[Secret]) -> str:
    """`text` with every secret replaced."""
    return cover(text, revealed(secrets))


def revealed(secrets: Iterable[Secret]) -> tuple[str, ...]:
    """For `cover`, once for many texts: longest first, so that one inside another leaves no tail."""
    texts = {secret.reveal().decode("utf-8", "replace") for secret in secrets if len(secret) > 0}
    return tuple(sorted(texts, key=len, reverse=True))


def cover(text: str, secrets: tuple[str, ...]) -> str:
    for secret in secrets:
        if secret in text:
            text = text.replace(secret, MASK)
    return text
