"""What a diagnosis is asked, and what it says."""

from dataclasses import dataclass

MODES = {"starttls": "STARTTLS", "implicit": "TLS from the first byte", "none": "no encryption"}


@dataclass(frozen=True)
class Way:
    port: int
    tls: str  # starttls | implicit | none

    @property
    def label(self) -> str:
        return f"Use port {self.port} with {MODES[self.tls]}"


@dataclass(frozen=True)
class Asked:
    """The way that was chosen. own_name: what the server calls itself. ports: where the provider is known to answer,
    the preferred first; none where that is not known. cloud: slug of servers.remote.cloud, "" for an unknown network.
    """

    host: str
    port: int
    tls: str
    own_name: str = ""
    preset: str = ""
    ports: tuple[int, ...] = ()
    cloud: str = ""


@dataclass(frozen=True)
class Verdict:
    """slug: stable, known to `causes`. cause: true. fix: helps. way: what would work instead. where: a page of the
    cloud that says how its block is lifted, or ""."""

    slug: str
    cause: str
    fix: str
    area: str
    way: Way | None = None
    where: str = ""
