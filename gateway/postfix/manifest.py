"""Our record on the server: what was there before us and what we put there. Kept as JSON beside copies of the files."""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field

from gateway.postfix import maincf
from gateway.postfix.state import Facts


@dataclass(frozen=True)
class Manifest:
    """kind: null | kept (see settings.py). settings: our parameters. kept: parameters of ours whose value here a person
    adopted; None: kept away. previous: the text each of both had before us.

    tables: digest of the maps as they were written (Maps.seal). format: how that panel writes maps (files.form).
    written: digests main.cf may have when nobody else touched it. before: digest of main.cf before us, or "absent".
    running, enabled, aliases: whether Postfix ran, was enabled, and /etc/aliases was there. mtas: what we replaced.
    """

    kind: str
    generation: str = ""
    settings: Mapping[str, str] = field(default_factory=dict)
    kept: Mapping[str, str | None] = field(default_factory=dict)
    tables: str = ""
    format: str = ""
    previous: Mapping[str, list[str]] = field(default_factory=dict)
    written: tuple[str, ...] = ()
    before: str = "absent"
    running: bool = False
    enabled: bool = False
    aliases: bool = False
    mtas: tuple[str, ...] = ()

    @property
    def ours(self) -> dict[str, str]:
        """Parameter -> its value while main.cf is as it should be; "" also for one that is kept away."""
        return {**self.settings, **{name: value or "" for name, value in self.kept.items()}}

    @property
    def theirs(self) -> dict[str, str]:
        """The values our parameters had before us."""
        return maincf.values("".join(raw for raws in self.previous.values() for raw in raws))

    def content(self) -> bytes:
        return json.dumps({"version": 1, **asdict(self)}, indent=1, sort_keys=True).encode() + b"\n"


def read(facts: Facts) -> Manifest | None:
    """The record found on the server; None when there is none (or none we can read)."""
    if facts.manifest.get("version") != 1:
        return None
    known = {name: value for name, value in facts.manifest.items() if name in Manifest.__dataclass_fields__}
    return Manifest(**{**known, "written": tuple(known["written"]), "mtas": tuple(known["mtas"])})


def first(facts: Facts) -> Manifest:
    """The record for a server we have not touched yet. Packages a failed install left behind count as ours."""
    kept = "postfix" in facts.packages and facts.main_cf is not None and "postfix" not in facts.added
    return Manifest(
        kind="kept" if kept else "null",
        before=facts.main_cf_digest,
        running=facts.running,
        enabled=facts.enabled,
        aliases=facts.aliases,
        mtas=facts.mtas,
    )


def digest(text: str) -> str:
    return hashlib.sha256(maincf.encode(text)).hexdigest()
