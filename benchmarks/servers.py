"""The fleet's servers with a Python on them, which Ansible cannot work without; nobody else uses it."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from tests.fleet import images, mirrors, recipe
from tests.fleet.fleet import Fleet
from tests.fleet.host import sh
from tests.fleet.images import Image

DISTRO = "debian12"
_SCRIPT = f"""set -eu
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
cp /etc/apt/sources.list /tmp/sources.list
echo "deb $MIRROR {recipe.DISTROS[DISTRO].suite} main" >/etc/apt/sources.list
apt-get update -q
apt-get install -y -q --no-install-recommends python3 python3-apt
mv /tmp/sources.list /etc/apt/sources.list
rm -rf /var/lib/apt/lists/*
apt-get update -q
apt-get clean
rm -f /etc/resolv.conf /var/cache/apt/*.bin
"""


class PythonFleet(Fleet):
    """`distros` are all DISTRO."""

    def __init__(self, label: str, servers: int) -> None:
        super().__init__(label, [DISTRO] * servers)

    def lay_out(self, made: dict[str, Image]) -> None:
        super().lay_out(made | {DISTRO: with_python(made[DISTRO])})


def with_python(base: Image) -> Image:
    """A layer above the distro's own, built once per machine."""
    digest = sha256((recipe.digest(recipe.DISTROS[DISTRO]) + _SCRIPT).encode()).hexdigest()
    home = images.ensure(f"{DISTRO}python", digest, lambda new: _build(base, new))
    return replace(base, layers=(home / "layer", *base.layers))


def _build(base: Image, new: Path) -> None:
    with images.workshop(new) as work:
        root = images.mount_overlay(work, base.layers)
        images.bind(base.repo, root / "srv/repo")
        (root / "etc/resolv.conf").write_text(Path("/etc/resolv.conf").read_text())
        images.in_root(root, _SCRIPT, MIRROR=mirrors.mirror_of(recipe.DISTROS[DISTRO]))
        images.unmount_under(root)
        sh("cp", "-a", work / "upper", new / "layer")
