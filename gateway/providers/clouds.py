"""Which mail ports a cloud blocks before anybody asks it not to (`data/clouds.toml`)."""

import tomllib
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path

from servers.remote import cloud

_DATA = Path(__file__).parent / "data" / "clouds.toml"


@dataclass(frozen=True)
class Policy:
    """slug: of servers.remote.cloud. blocked: outgoing ports. policy: what it does, after its name. ask: how a port is
    opened, in whole sentences. where: the cloud's page about it, or "". source, verified: where and when it was read.
    """

    slug: str
    blocked: tuple[int, ...]
    policy: str
    ask: str
    source: str
    verified: date
    where: str = ""

    @property
    def label(self) -> str:
        return cloud.label(self.slug)

    @property
    def sentence(self) -> str:
        """ "DigitalOcean blocks outgoing 25, 465 and 587 on all Droplets by default." """
        return f"{self.label} {self.policy}."


@cache
def all() -> tuple[Policy, ...]:  # noqa: A001 - read as `clouds.all()`
    raw = tomllib.loads(_DATA.read_text("utf-8"))["cloud"]
    return tuple(Policy(**one | {"blocked": tuple(one["blocked"])}) for one in raw)


def get(slug: str) -> Policy | None:
    """None for a cloud that blocks nothing, or of which nothing is known."""
    return next((policy for policy in all() if policy.slug == slug), None)
