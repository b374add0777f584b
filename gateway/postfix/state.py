"""What a server said about itself, as one frozen value."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.postfix import distro as distros
from gateway.postfix import maincf


@dataclass(frozen=True)
class Space:
    """Room on the file system that holds `path`; inodes is None where the file system has no fixed number."""

    path: str
    free_bytes: int
    free_inodes: int | None


@dataclass(frozen=True)
class MapDir:
    """One directory of maps. files: name -> (mode, owner, size). digest: sha256(nonce + contents in name order), seal:
    sha256(name of the directory + the same)."""

    name: str
    mode: str
    owner: str
    files: Mapping[str, tuple[str, str, int]]
    digest: str
    seal: str = ""


@dataclass(frozen=True)
class Facts:
    """main_cf, master_cf, before_cf: None when the file is not there. manifest: our own record, {} when there is none.

    packages: name -> version of installed ones; leftover: names removed but not purged. mtas: installed other mail
    systems. added, removed: packages our install brought and took. skew: server's clock minus the panel's, seconds.
    listeners: addresses on port 25 as the kernel prints them. oldest: epoch of the oldest mail's arrival, 0 when the
    queue is empty. reasons: why mail waits, the commonest first, in the words of Postfix and of whom it spoke to.
    """

    nonce: str
    os_id: str = ""
    os_version: str = ""
    os_name: str = ""
    arch: str = ""
    uid: int = 0
    systemd: bool = True
    hostname: str = ""
    fqdn: str = ""
    mailname: str = ""
    clock: int = 0
    skew: float = 0.0
    journal: bool = True
    log_files: tuple[str, ...] = ()
    ipv6: bool = True
    sendmail: bool = False
    aliases: bool = False
    readonly: tuple[str, ...] = ()
    running: bool = False
    enabled: bool = False
    masked: bool = False
    interrupted: bool = False
    locked: bool = False
    stale_chroot: bool = False
    packages: Mapping[str, str] = field(default_factory=dict)
    leftover: tuple[str, ...] = ()
    mtas: tuple[str, ...] = ()
    space: tuple[Space, ...] = ()
    listeners: tuple[str, ...] = ()
    main_cf: bytes | None = None
    master_cf: bytes | None = None
    manifest: Mapping = field(default_factory=dict)
    before_cf: bytes | None = None
    record: tuple[str, ...] = ()
    added: tuple[str, ...] = ()
    removed: tuple[str, ...] = ()
    maps: tuple[MapDir, ...] = ()
    queued: int = 0
    oldest: float = 0.0
    reasons: tuple[str, ...] = ()
    other_queued: int = 0

    @property
    def distro(self) -> distros.Distro | None:
        return distros.find(self.os_id, self.os_version)

    @property
    def postfix(self) -> str:
        """Version of the installed package, "" without one."""
        return self.packages.get("postfix", "").partition("-")[0]

    @property
    def settings(self) -> dict[str, str]:
        return maincf.values(maincf.decode(self.main_cf or b""))

    @property
    def log_source(self) -> str:
        """ "journal" or the path of a file: where Postfix's log lines arrive."""
        own = self.settings.get("maillog_file", "")
        if own.startswith("/"):
            return own
        return "journal" if self.journal or not self.log_files else self.log_files[0]

    @property
    def main_cf_digest(self) -> str:
        return "absent" if self.main_cf is None else hashlib.sha256(self.main_cf).hexdigest()
