"""What an account's documented limits leave for each server that shares it, as Postfix parameters."""

from dataclasses import dataclass

from gateway.providers.preset import Preset

POSTFIX_CONNECTIONS, POSTFIX_RECIPIENTS = 20, 50  # Postfix's own, for one destination


@dataclass(frozen=True)
class Share:
    """parameters: for main.cf of each server; only those where Postfix's own value would break a limit.

    sentences: what the provider allows, what is left for each server, and where even one connection is too many."""

    parameters: dict[str, str]
    sentences: tuple[str, ...]


def share(preset: Preset, servers: int) -> Share:
    """`servers`: how many use the account at once; 0 counts as 1. Daily limits only divide into words: Postfix has no
    such parameter."""
    known, count = preset.limits, max(servers, 1)
    parameters = {}
    rate = _per_minute(preset)
    if known.connections and _connections(known.connections, count) < POSTFIX_CONNECTIONS:
        parameters["smtp_destination_concurrency_limit"] = str(_connections(known.connections, count))
    if rate:
        parameters["smtp_destination_rate_delay"] = f"{_delay(rate, count)}s"
    if known.recipients and known.recipients < POSTFIX_RECIPIENTS:
        parameters["smtp_destination_recipient_limit"] = str(known.recipients)
    if known.size:
        parameters["message_size_limit"] = str(known.size)
    return Share(parameters, _sentences(preset, count))


def _per_minute(preset: Preset) -> float | None:
    known = preset.limits
    return known.per_minute or (known.per_hour / 60 if known.per_hour else None)


def _connections(allowed: int, servers: int) -> int:
    """One is left for tests and people where there is more than one; a server needs at least one."""
    return max(1, (allowed - 1 if allowed > 1 else allowed) // servers)


def _delay(per_minute: float, servers: int) -> int:
    """Whole seconds between two messages of one server, rounded up: Postfix knows no fractions."""
    return max(1, -int(-60 * servers // per_minute))


def _sentences(preset: Preset, servers: int) -> tuple[str, ...]:
    known, rate = preset.limits, _per_minute(preset)
    allowed = []
    if known.connections:
        allowed.append(_counted(known.connections, "connection") + " at once")
    if known.per_minute:
        allowed.append(_counted(known.per_minute, "message") + " a minute")
    if known.per_hour:
        allowed.append(_counted(known.per_hour, "message") + " an hour")
    if known.per_day:
        allowed.append(f"{known.per_day:,} a day")
    if not allowed:
        return ()
    said = [f"{preset.label} allows {_joined(allowed)} for one account."]
    if servers > 1:
        each = []
        if known.connections:
            each.append(_counted(_connections(known.connections, servers), "connection"))
        if rate:
            each.append(f"one message every {_delay(rate, servers)} seconds")
        if known.per_day:
            each.append(f"{known.per_day // servers:,} a day")
        said.append(f"{servers} servers share it, so each may use {_joined(each)}.")
    if known.connections and servers > known.connections:
        said.append(
            f"{servers} servers that send at the same moment still open more than {known.connections} connections: "
            "mail waits and is tried again. Use several accounts, or a provider for application mail."
        )
    return tuple(said)


def _counted(number: int, word: str) -> str:
    return f"{number:,} {word}" if number == 1 else f"{number:,} {word}s"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
