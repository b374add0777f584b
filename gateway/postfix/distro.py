"""What differs between the systems we install on, as data."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Distro:
    """One release. `tested` means: the whole life cycle ran on real servers of it.

    packages:  installed when missing. mask: units that must not start while Postfix has no configuration of ours.
    chroot:    smtp runs chrooted by default, so its copy of resolv.conf can go stale.
    log_files: where syslog writes mail lines when there is no journal.
    delimiter: Postfix can separate user name and password by another sign than a colon (3.9).
    """

    name: str
    manager: str  # apt | dnf
    packages: tuple[str, ...]
    compatibility: str
    ca_file: str
    mask: tuple[str, ...]
    chroot: bool
    delimiter: bool = False
    tested: bool = True
    log_files: tuple[str, ...] = field(default=("/var/log/mail.log", "/var/log/maillog"))


def _debian(name: str, compatibility: str, **more) -> Distro:
    return Distro(
        name=name,
        manager="apt",
        packages=("postfix", "libsasl2-modules", "ca-certificates"),
        compatibility=compatibility,
        ca_file="/etc/ssl/certs/ca-certificates.crt",
        # postfix@-.service is what really runs until Debian 12; without main.cf it fails and leaves a failed unit.
        mask=("postfix.service", "postfix@-.service"),
        chroot=True,
        **more,
    )


def _redhat(name: str, compatibility: str) -> Distro:
    return Distro(
        name=name,
        manager="dnf",
        packages=("postfix", "cyrus-sasl-plain", "ca-certificates"),
        compatibility=compatibility,
        ca_file="/etc/pki/tls/certs/ca-bundle.crt",
        mask=("postfix.service",),
        chroot=False,
        tested=False,
    )


_DEBIANS = {
    ("debian", "11"): _debian("Debian 11", "2"),
    ("debian", "12"): _debian("Debian 12", "3.6"),
    ("debian", "13"): _debian("Debian 13", "3.6", delimiter=True),
    ("ubuntu", "22.04"): _debian("Ubuntu 22.04", "3.6"),
    ("ubuntu", "24.04"): _debian("Ubuntu 24.04", "3.6"),
}
_REDHATS = {"rhel": "RHEL", "rocky": "Rocky Linux", "almalinux": "AlmaLinux", "centos": "CentOS Stream"}
SUPPORTED = "Debian 11, 12, 13, Ubuntu 22.04 and 24.04"


def find(os_id: str, version: str) -> Distro | None:
    """The release behind /etc/os-release's ID and VERSION_ID, or None."""
    major = version.partition(".")[0]
    if os_id in _REDHATS and major in ("8", "9", "10"):
        return _redhat(f"{_REDHATS[os_id]} {major}", "2" if major in ("8", "9") else "3.6")
    return _DEBIANS.get((os_id, version))
