"""What a base image consists of. Pure: a recipe is text, and its digest decides about rebuilding."""

from dataclasses import dataclass
from hashlib import sha256

BASE_PACKAGES = (
    "openssh-server",
    "sudo",
    "systemd",
    "systemd-sysv",
    "dbus",
    "iproute2",
    "procps",
    "ca-certificates",
)

# One download per line: mail transport agents conflict, so apt cannot plan them together.
OFFLINE_GROUPS = (
    ("postfix", "postfix-pcre", "postfix-lmdb", "libsasl2-modules", "sasl2-bin"),
    ("rsyslog", "bsd-mailx", "libfaketime"),
    ("exim4-daemon-light",),
    ("nullmailer",),
    ("msmtp-mta",),
)
PROVIDER_GROUP = ("postfix", "postfix-pcre", "dovecot-core", "dnsmasq-base")

SILENCED_UNITS = (
    "apt-daily.timer",
    "apt-daily-upgrade.timer",
    "dpkg-db-backup.timer",
    "e2scrub_all.timer",
    "e2scrub_reap.service",
    "fstrim.timer",
    "motd-news.timer",
)


@dataclass(frozen=True)
class Distro:
    """A release we can boot. `script` is the debootstrap script used for it."""

    name: str
    family: str
    suite: str
    script: str
    components: str = "main"


DISTROS = {
    distro.name: distro
    for distro in (
        Distro("debian11", "debian", "bullseye", "bullseye"),
        Distro("debian12", "debian", "bookworm", "bookworm"),
        Distro("debian13", "debian", "trixie", "trixie"),
        # debootstrap on Debian 12 does not know noble; every Ubuntu since 2007 uses gutsy's script.
        Distro("ubuntu2204", "ubuntu", "jammy", "gutsy", "main universe"),
        Distro("ubuntu2404", "ubuntu", "noble", "gutsy", "main universe"),
    )
}
PROVIDER_DISTRO = "debian12"


def offline_groups(distro: Distro) -> tuple[tuple[str, ...], ...]:
    extra = (PROVIDER_GROUP,) if distro.name == PROVIDER_DISTRO else ()
    return OFFLINE_GROUPS + extra


def download_script(distro: Distro) -> str:
    """Run inside the new root with $MIRROR set: leaves every package for offline use in /srv/debs."""
    fetch = "apt-get install -y -q --download-only --no-install-recommends -o Dir::Cache::archives=/srv/debs"
    lines = [
        "set -eu",
        "export DEBIAN_FRONTEND=noninteractive LC_ALL=C",
        "mkdir -p /srv/debs/partial",
        f'echo "deb $MIRROR {distro.suite} {distro.components}" > /etc/apt/sources.list',
        "apt-get update -q",
        *(f"{fetch} {' '.join(group)}" for group in offline_groups(distro)),
        f"{fetch} --reinstall ca-certificates openssl",
    ]
    return "\n".join(lines) + "\n"


def finish_script() -> str:
    """Run inside the new root with the local repository at /srv/repo: forget the mirror and all identity."""
    return f"""set -eu
export LC_ALL=C
rm -rf /var/lib/apt/lists/* /etc/apt/sources.list.d/* /srv/debs /var/cache/apt/*.bin
echo 'deb [trusted=yes] file:/srv/repo ./' > /etc/apt/sources.list
apt-get update -q
apt-get clean
rm -f /etc/ssh/ssh_host_*_key* /etc/hostname /etc/resolv.conf /var/log/bootstrap.log
: > /etc/machine-id
useradd --create-home --shell /bin/bash --gid users admin
systemctl mask {" ".join(SILENCED_UNITS)}
"""


def provider_script() -> str:
    """Run in a layer over the provider's distro, offline: mail server, password check and DNS.

    Postfix refuses to be configured where the machine's own name has no domain.
    """
    return f"""set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
echo "127.0.1.1 build.test $(cat /proc/sys/kernel/hostname)" > /etc/hosts
echo 'postfix postfix/main_mailer_type select Internet Site' | debconf-set-selections
echo 'postfix postfix/mailname string smtp.provider.test' | debconf-set-selections
printf '#!/bin/sh\\nexit 101\\n' > /usr/sbin/policy-rc.d
chmod +x /usr/sbin/policy-rc.d
apt-get install -y -q --no-install-recommends {" ".join(PROVIDER_GROUP)} libsasl2-modules
rm /usr/sbin/policy-rc.d
useradd --system --home /var/mail/fleet --shell /usr/sbin/nologin vmail
"""


def digest(distro: Distro) -> str:
    text = "\n".join([repr(distro), *BASE_PACKAGES, download_script(distro), finish_script()])
    return sha256(text.encode()).hexdigest()


def provider_digest() -> str:
    return sha256((digest(DISTROS[PROVIDER_DISTRO]) + provider_script()).encode()).hexdigest()
