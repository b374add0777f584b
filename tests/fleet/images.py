"""Base trees on disk, one per distro, built once per machine and rebuilt when their recipe changes.

    CACHE/debian12-DIGEST/root    the tree servers are overlaid on
    CACHE/debian12-DIGEST/repo    packages for offline installation, seen in servers as /srv/repo
    CACHE/provider-DIGEST/layer   what the provider has on top of its distro's tree

A directory appears by one rename when it is complete; DIGEST is that of its recipe.
"""

import fcntl
import os
import shutil
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from tests.fleet import mirrors, recipe
from tests.fleet.host import FleetError, sh, unmount_under
from tests.fleet.recipe import DISTROS, PROVIDER_DISTRO, Distro


@dataclass(frozen=True)
class Image:
    """Layers from top to bottom, as overlayfs wants them, and the package repository to show inside."""

    layers: tuple[Path, ...]
    repo: Path

    def as_json(self) -> dict[str, Any]:
        return {"layers": [str(layer) for layer in self.layers], "repo": str(self.repo)}

    @classmethod
    def from_json(cls, value: dict[str, Any]) -> Self:
        return cls(tuple(Path(layer) for layer in value["layers"]), Path(value["repo"]))


def cache_dir() -> Path:
    return Path(os.environ.get("FLEETPOST_FLEET_CACHE", "/var/cache/fleetpost-fleet"))


def image(name: str) -> Image:
    """The image of a distro, built now if it is missing or its recipe changed."""
    if name not in DISTROS:
        raise FleetError(f"unknown distro {name}; known: {' '.join(DISTROS)}")
    distro = DISTROS[name]
    home = ensure(name, recipe.digest(distro), lambda new: build_distro(distro, new))
    return Image((home / "root",), home / "repo")


def provider_image() -> Image:
    base = image(PROVIDER_DISTRO)
    home = ensure("provider", recipe.provider_digest(), lambda new: build_provider(base, new))
    return Image((home / "layer", *base.layers), base.repo)


def build_all(names: Iterable[str]) -> dict[str, Image]:
    """Images by distro name, plus "provider"; missing ones are built side by side."""
    with ThreadPoolExecutor(max_workers=4) as pool:
        jobs = {name: pool.submit(image, name) for name in dict.fromkeys(names)}
        jobs["provider"] = pool.submit(provider_image)
        return {name: job.result() for name, job in jobs.items()}


def ensure(name: str, digest: str, build: Callable[[Path], None]) -> Path:
    """The finished directory of this recipe. One builder at a time per name, across processes."""
    cache = cache_dir()
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"{name}-{digest[:12]}"
    with open(cache / f".{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not home.exists():
            new = fresh_directory(cache / f".{name}.new")
            build(new)
            new.rename(home)
            drop_older(home, name)
    return home


def drop_older(home: Path, name: str) -> None:
    """Remove earlier versions, except one that a running fleet still has mounted."""
    mounts = Path("/proc/mounts").read_text()
    for other in home.parent.glob(f"{name}-*"):
        if other != home and str(other) not in mounts:
            shutil.rmtree(other)


def fresh_directory(path: Path) -> Path:
    """An empty directory; what a killed builder left there is unmounted and removed."""
    if path.exists():
        unmount_under(path)
        shutil.rmtree(path)
    path.mkdir(parents=True)
    return path


@contextmanager
def workshop(new: Path) -> Iterator[Path]:
    """A tmpfs to build in: dpkg syncs after every file, and there that costs nothing."""
    work = fresh_directory(new.with_suffix(".work"))
    sh("mount", "-t", "tmpfs", "-o", "mode=0755", "fleetpost-build", work)
    try:
        yield work
    finally:
        unmount_under(work)
        shutil.rmtree(work, ignore_errors=True)


def build_distro(distro: Distro, new: Path) -> None:
    mirror = mirrors.mirror_of(distro)
    debs = cache_dir() / "debs" / distro.name
    debs.mkdir(parents=True, exist_ok=True)
    with workshop(new) as work:
        root = work / "root"
        sh(
            "debootstrap",
            "--variant=minbase",
            f"--keyring={mirrors.keyring_of(distro, mirror, cache_dir())}",
            f"--cache-dir={debs}",
            f"--components={distro.components.replace(' ', ',')}",
            f"--include={','.join(recipe.BASE_PACKAGES)}",
            distro.suite,
            root,
            mirror,
            f"/usr/share/debootstrap/scripts/{distro.script}",
        )
        in_root(root, recipe.download_script(distro), MIRROR=mirror)
        repo = collect_repo(root / "srv/debs", new / "repo")
        bind(repo, root / "srv/repo")
        in_root(root, recipe.finish_script())
        unmount_under(root)
        sh("cp", "-a", root, new / "root")


def build_provider(base: Image, new: Path) -> None:
    with workshop(new) as work:
        root = mount_overlay(work, base.layers)
        bind(base.repo, root / "srv/repo")
        in_root(root, recipe.provider_script())
        unmount_under(root)
        # Whiteouts and opaque marks are device nodes and xattrs: cp -a keeps both for root.
        sh("cp", "-a", work / "upper", new / "layer")


def mount_overlay(home: Path, layers: tuple[Path, ...]) -> Path:
    """Mount `layers` with a fresh writable top at home/root."""
    upper, work, root = home / "upper", home / "work", home / "root"
    for part in (upper, work, root):
        part.mkdir(parents=True, exist_ok=True)
    upper.chmod(0o755)
    lower = ":".join(str(layer) for layer in layers)
    sh("mount", "-t", "overlay", "-o", f"lowerdir={lower},upperdir={upper},workdir={work}", "overlay", root)
    return root


def in_root(root: Path, script: str, **environment: str) -> None:
    path = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    settings = [f"{name}={value}" for name, value in environment.items()]
    sh("mount", "-t", "proc", "proc", root / "proc")
    try:
        sh("chroot", root, "env", "-i", f"PATH={path}", *settings, "sh", "-c", script, timeout=1200)
    finally:
        sh("umount", root / "proc")


def bind(source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    sh("mount", "--bind", source, target)
    sh("mount", "-o", "remount,bind,ro", target)


def collect_repo(debs: Path, repo: Path) -> Path:
    """Make an apt repository of downloaded packages. apt would decode %3a in a file name, so it goes."""
    repo.mkdir(parents=True)
    for deb in debs.glob("*.deb"):
        shutil.copyfile(deb, repo / deb.name.replace("%3a", "-"))
    (repo / "Packages").write_text(sh("sh", "-c", 'cd "$0" && dpkg-scanpackages --multiversion .', repo))
    return repo
