"""Reading a server: the script to run there, and its answer as Facts."""

import json
from collections.abc import Mapping

from gateway.postfix import waiting
from gateway.postfix.observe import OTHER_MTAS, observe_script
from gateway.postfix.state import Facts, MapDir, Space
from servers.remote.facts import sections

__all__ = ["Facts", "Incomplete", "MapDir", "Space", "observe_script", "parse"]


class Incomplete(ValueError):
    """The server's answer is not one whole observation: it was cut short, or answers another question."""


def parse(stdout: bytes, nonce: str, now: float | None = None) -> Facts:
    """`now`: the panel's epoch when the answer came, for the clock's skew. Raises Incomplete."""
    found = sections(stdout)
    if found.get("nonce", b"").decode("ascii", "replace") != nonce:
        raise Incomplete("the server answered another question than the one asked")
    if found.get("end") != b"end\n":
        raise Incomplete("the server's answer was cut short")
    text = {name: content.decode("utf-8", "replace") for name, content in found.items()}
    release = _pairs(text["os"])
    packages = [line.split() for line in text["packages"].splitlines()]
    installed = {row[0]: row[2] for row in packages if len(row) == 4 and row[3] == "installed"}
    count, _, stamp = text["queue"].strip().partition(" ")
    told = waiting.parse(text["waiting"])
    return Facts(
        nonce=nonce,
        os_id=release.get("ID", [""])[-1].strip("\"'"),
        os_version=release.get("VERSION_ID", [""])[-1].strip("\"'"),
        os_name=release.get("PRETTY_NAME", [""])[-1].strip("\"'"),
        arch=next((row[1] for row in packages if len(row) == 4 and row[1] != "all"), ""),
        **_system(text["system"], text["audit"], now),
        packages=installed,
        leftover=tuple(row[0] for row in packages if len(row) == 4 and row[3] == "config-files"),
        mtas=tuple(name for name in OTHER_MTAS if name in installed),
        space=_space(text["space"]),
        listeners=tuple(text["listeners"].split()),
        main_cf=_content(found, "main.cf"),
        master_cf=_content(found, "master.cf"),
        manifest=_manifest(found["manifest"]),
        before_cf=_content(found, "before"),
        record=tuple(text["record"].split()),
        added=tuple(text["added"].split()),
        removed=tuple(text["removed"].split()),
        maps=_maps(text["maps"]),
        queued=int(count or 0),
        oldest=min(filter(None, (told.since, float(stamp or 0))), default=0.0),
        reasons=told.reasons,
        other_queued=len(found["other-queue"]),
    )


def _pairs(text: str) -> dict[str, list[str]]:
    pairs: dict[str, list[str]] = {}
    for line in text.splitlines():
        key, equals, value = line.partition("=")
        if equals:
            pairs.setdefault(key, []).append(value.strip())
    return pairs


def _system(text: str, audit: str, now: float | None) -> dict:
    pairs = _pairs(text)

    def one(key: str) -> str:
        return pairs.get(key, [""])[-1]

    clock = int(one("clock") or 0)
    flags = ("systemd", "journal", "ipv6", "sendmail", "aliases", "running", "enabled", "masked", "locked")
    return {
        **{name: one(name) == "1" for name in flags},
        **{name: one(name) for name in ("hostname", "fqdn", "mailname")},
        "uid": int(one("uid") or -1),
        "clock": clock,
        "skew": clock - now if now is not None else 0.0,
        "log_files": tuple(pairs.get("log", ())),
        "readonly": tuple(pairs.get("readonly", ())),
        "interrupted": one("interrupted") == "1" or bool(audit.strip()),
        "stale_chroot": one("stale") == "1",
    }


def _space(text: str) -> tuple[Space, ...]:
    rows = [line.split(None, 4) for line in text.splitlines()]
    return tuple(
        Space(path, int(blocks) * int(size), int(inodes) if int(total) else None)
        for blocks, size, inodes, total, path in rows
    )


def _content(found: Mapping[str, bytes], name: str) -> bytes | None:
    """An empty file reads like a missing one: to Postfix both mean nothing is set."""
    return found[name] or None


def _manifest(content: bytes) -> dict:
    try:
        manifest = json.loads(content or b"{}")
    except ValueError:
        return {"damaged": True}
    return manifest if isinstance(manifest, dict) else {"damaged": True}


def _maps(text: str) -> tuple[MapDir, ...]:
    found, rows, digests = [], [], []
    for line in text.splitlines():
        if line.count("|") == 4:
            rows.append(line.split("|"))
            continue
        digests.append(line.split()[0])
        if len(digests) == 2:
            if rows:
                (_, mode, owner, _, path), *files = rows
                listed = {name.rpartition("/")[2]: (mode, owner, int(size)) for _, mode, owner, size, name in files}
                found.append(MapDir(path.rpartition("/")[2], mode, owner, listed, *digests))
            rows, digests = [], []
    return tuple(found)
