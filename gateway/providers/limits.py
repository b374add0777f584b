"""What an account's documented limits leave for each server that shares it, as Postfix parameters and in words."""

from collections.abc import Sequence
from dataclasses import dataclass

from gateway.providers.preset import Limits, Preset, counted

POSTFIX_CONNECTIONS, POSTFIX_RECIPIENTS = 20, 50  # Postfix's own, for one destination
# local(8) ends with a fatal error where one message may be larger than a mailbox, whose own limit is this.
POSTFIX_MAILBOX = 51_200_000
PATIENCE = 60  # seconds: the longest pause between two messages of a server, however many share the account
# With one connection at a time the first that fails would put off all mail (postconf(5), …_destination_rate_delay).
FAILURES = 10


@dataclass(frozen=True)
class Share:
    """divisor: the smallest number of servers among which the account is divided to the same parameters; 0 where there
    are none.

    parameters: for main.cf of each server, in the order of the file; only those where Postfix's own value would break a
    limit. each: what one server may do, to follow "may"; "" where nothing holds it back. delay: seconds
    between two messages of one server. sentences: what the provider allows, what is left for each, and where the
    account is too small."""

    divisor: int
    parameters: dict[str, str]
    each: str
    delay: int
    sentences: tuple[str, ...]


UNTOLD = Share(0, {}, "", 0, ())


def bracket(servers: int) -> int:
    """The next power of two, so that a fleet that grows one by one is divided anew a few times only."""
    return 1 << (max(servers, 1) - 1).bit_length()


def share(preset: Preset, servers: int) -> Share:
    """`servers`: how many use the account; 0 counts as 1. Divided by their bracket. Daily limits only become words:
    Postfix has no such parameter."""
    known, reckoned = preset.limits, bracket(servers) if divided(preset) else 1
    parameters = _parameters(known, reckoned)
    divisor = reckoned
    while divisor > 1 and _parameters(known, divisor // 2) == parameters:
        divisor //= 2
    delay = _delay(known, reckoned)
    each = _each(delay, _connections(known, reckoned))
    return Share(divisor if parameters else 0, parameters, each, delay, _sentences(preset, servers, reckoned))


def divided(preset: Preset) -> bool:
    """Whether it matters how many servers share an account."""
    return bool(_per_minute(preset.limits) or preset.limits.connections)


def _parameters(known: Limits, servers: int) -> dict[str, str]:
    delay, connections = _delay(known, servers), _connections(known, servers)
    parameters = {}
    if delay:  # Postfix then keeps to one connection by itself
        parameters["smtp_destination_rate_delay"] = f"{delay}s"
    elif connections:
        parameters["smtp_destination_concurrency_limit"] = str(connections)
    if parameters:
        parameters["smtp_destination_concurrency_failed_cohort_limit"] = str(FAILURES)
    # A limit of 1 would make each recipient a destination of its own, and the two above would hold for nobody.
    if known.recipients and known.recipients < POSTFIX_RECIPIENTS and (known.recipients > 1 or not parameters):
        parameters["smtp_destination_recipient_limit"] = str(known.recipients)
    if known.size:
        parameters["message_size_limit"] = str(_queue_file(known.size))
    return parameters


def _per_minute(known: Limits) -> float | None:
    return known.per_minute or (known.per_hour / 60 if known.per_hour else None)


def _connections(known: Limits, servers: int) -> int:
    """One is left for tests and people where there is more than one; a server needs at least one. 0: as many as
    Postfix opens anyway."""
    if not known.connections:
        return 0
    left = max(1, (known.connections - 1 if known.connections > 1 else 1) // servers)
    return left if left < POSTFIX_CONNECTIONS else 0


def _delay(known: Limits, servers: int) -> int:
    """0 where nothing is published about a rate."""
    return min(PATIENCE, _fair_delay(known, servers))


def _fair_delay(known: Limits, servers: int) -> int:
    """Whole seconds between two messages of one server, rounded up: Postfix knows no fractions."""
    rate = _per_minute(known)
    return max(1, -int(-60 * servers // rate)) if rate else 0


def _queue_file(size: int) -> int:
    """Postfix compares its queue file, which holds the addresses and the length of each line as well; what the provider
    would take must fit."""
    return min(size + size // 50, POSTFIX_MAILBOX)


def _each(delay: int, connections: int) -> str:
    if delay:
        return f"hand over one message every {'second' if delay == 1 else f'{delay} seconds'}"
    return f"open {counted(connections, 'connection')} at once" if connections else ""


def _sentences(preset: Preset, servers: int, divisor: int) -> tuple[str, ...]:
    """divisor: how many servers are reckoned with."""
    known = preset.limits
    allowed, delay = known.paces(), _delay(known, divisor)
    if not allowed:
        return ()
    said = [f"{preset.label} allows {_joined(allowed)} for one account."]
    each = _each(delay, _connections(known, divisor))
    if servers > 1:
        spare = f" and {divisor} are reckoned with, so that one more changes nothing" if divisor > servers else ""
        daily = f"have {known.per_day // max(divisor, servers):,} a day" if known.per_day else ""
        if may := [part for part in (each, daily) if part]:
            said.append(f"{servers} servers share it{spare}: each may {' and '.join(may)}.")
    elif each:
        said.append(f"A server that has it to itself may {each}.")
    fair = _fair_delay(known, divisor)
    if fair > delay:
        said.append(
            f"The account is too small for so many: a fair share would be one message every {fair:,} seconds, and the "
            f"panel lets no server pause longer than {delay}. When all send at once, the provider puts mail off and it "
            "is tried again. Use several accounts, or a provider for application mail."
        )
    elif known.connections and servers > known.connections:
        said.append(
            f"{servers} servers that send at the same moment may still open more than {known.connections} connections: "
            "mail waits and is tried again. Use several accounts, or a provider for application mail."
        )
    elif delay and (_per_minute(known) or 0) > 60 * divisor:
        said.append("Postfix knows no shorter pause than a second, so a server sends less than the account allows.")
    return tuple(said)


def _joined(parts: Sequence[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
