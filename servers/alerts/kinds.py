"""What can be told, and how much it matters. A kind nobody listed here is serious."""

from dataclasses import dataclass

WARNING, SERIOUS = 1, 2
SEVERITIES = ((WARNING, "Warnings and serious alerts"), (SERIOUS, "Serious alerts only"))


@dataclass(frozen=True)
class Kind:
    """label: what it is called in lists. severity: WARNING or SERIOUS."""

    label: str
    severity: int = SERIOUS


KINDS = {
    "gateway-failing": Kind("Gateway failing"),
    "gateway-drifted": Kind("Gateway changed on the server", WARNING),
    "server-unreachable": Kind("Server out of reach"),
    "host-key-changed": Kind("Host key changed"),
    "mail-waiting": Kind("Mail waiting"),
    "sign-in-rejected": Kind("Sign-in rejected"),
    "certificate-refused": Kind("Provider's certificate not valid"),
    "certificate-ending": Kind("Provider's certificate ending", WARNING),
    "disk-full": Kind("Disk full"),
    "disk-low": Kind("Disk nearly full", WARNING),
    "clock-off": Kind("Clock off", WARNING),
    "tests-failing": Kind("Test emails fail"),
    "batch-stopped": Kind("Batch stopped", WARNING),
    "no-worker": Kind("No worker"),
}

WARNINGS = tuple(slug for slug, kind in KINDS.items() if kind.severity == WARNING)


def of(slug: str) -> Kind:
    return KINDS.get(slug) or Kind(slug.replace("-", " ").capitalize())
