"""Where packages come from while an image is built; nothing of it stays inside the image."""

import os
import subprocess
from hashlib import sha256
from pathlib import Path
from urllib.request import urlopen

from tests.fleet.host import FleetError, sh
from tests.fleet.recipe import Distro

UBUNTU_ARCHIVE = "http://archive.ubuntu.com/ubuntu"
DEBIAN_KEYRING = Path("/usr/share/keyrings/debian-archive-keyring.gpg")
# Debian does not package Ubuntu's archive keys; this one file, known by its digest, brings them.
UBUNTU_KEYRING_DEB = "pool/main/u/ubuntu-keyring/ubuntu-keyring_2021.03.26_all.deb"
UBUNTU_KEYRING_SHA256 = "0d0e7ed6b112f5d03eabf3c7eb01ebdacf9c57714b279e90495cfc58c8c4520f"
UBUNTU_KEYRING = Path("usr/share/keyrings/ubuntu-archive-keyring.gpg")


def mirror_of(distro: Distro) -> str:
    """FLEETPOST_DEBIAN_MIRROR / FLEETPOST_UBUNTU_MIRROR, else this machine's own apt source."""
    chosen = os.environ.get(f"FLEETPOST_{distro.family.upper()}_MIRROR")
    if chosen:
        return chosen.rstrip("/")
    return own_archive(distro.family) or default_archive(distro.family)


def default_archive(family: str) -> str:
    if family == "ubuntu":
        return UBUNTU_ARCHIVE
    raise FleetError("no Debian source in this machine's apt configuration; set FLEETPOST_DEBIAN_MIRROR")


def own_archive(family: str) -> str | None:
    """The main archive of `family` in this machine's apt sources (security archives lack base packages)."""
    listing = subprocess.run(
        ["apt-get", "indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(SITE)", "Created-By: Packages"],
        capture_output=True,
        text=True,
    ).stdout
    for line in listing.splitlines():
        origin, label, site = line.split("|")
        if origin.lower() == family and label.lower() == family:
            return site.rstrip("/")
    return None


def keyring_of(distro: Distro, mirror: str, cache: Path) -> Path:
    """The keys that sign the distro's archive; Ubuntu's are fetched once and checked by digest."""
    if distro.family == "debian":
        return DEBIAN_KEYRING
    keyring = cache / "ubuntu-keyring" / UBUNTU_KEYRING
    if not keyring.exists():
        deb = cache / "ubuntu-keyring.deb"
        deb.write_bytes(checked(f"{mirror}/{UBUNTU_KEYRING_DEB}"))
        sh("dpkg-deb", "--extract", deb, cache / "ubuntu-keyring")
    return keyring


def checked(url: str) -> bytes:
    with urlopen(url, timeout=60) as answer:
        body = answer.read()
    if sha256(body).hexdigest() != UBUNTU_KEYRING_SHA256:
        raise FleetError("the Ubuntu keyring package is not the known one; refusing to trust it")
    return body
