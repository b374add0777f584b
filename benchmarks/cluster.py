"""A PostgreSQL of our own for one measurement: a cluster in a temporary folder, reached by its socket alone."""

import glob
import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class NoPostgres(Exception):
    """The programs of PostgreSQL are not on this machine."""


def _program(name: str) -> str:
    found = shutil.which(name) or next(iter(sorted(glob.glob(f"/usr/lib/postgresql/*/bin/{name}"), reverse=True)), None)
    if found is None:
        raise NoPostgres(f"{name} is not installed")
    return found


def _owner() -> str | None:
    """initdb refuses root."""
    if os.getuid():
        return None
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((name for name in ("postgres", "nobody") if name in names), None)


@contextmanager
def cluster() -> Iterator[dict[str, str]]:
    """The environment in which the panel uses it; with PostgreSQL's own settings but for the listening. Raises
    NoPostgres."""
    try:
        import psycopg  # noqa: F401
    except ImportError as missing:
        raise NoPostgres("psycopg is not installed (requirements-production.lock)") from missing
    programs = {name: _program(name) for name in ("initdb", "pg_ctl", "postgres")}
    folder = Path(tempfile.mkdtemp(prefix="fleetpost-pg-"))
    owner = _owner()
    if owner:
        shutil.chown(folder, owner)
    data = folder / "data"

    def run(*command: str) -> None:
        subprocess.run(command, user=owner, cwd=folder, check=True, stdout=subprocess.DEVNULL, timeout=120)

    try:
        run(programs["initdb"], "-D", str(data), "-U", "fleetpost", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8")
        listening = f"-c listen_addresses= -c unix_socket_directories={folder}"
        run(programs["pg_ctl"], "-D", str(data), "-w", "-l", str(folder / "log"), "-o", listening, "start")
        try:
            password = folder / "password"
            password.write_text("unused")
            yield {
                "FLEETPOST_DATABASE_HOST": str(folder),
                "FLEETPOST_DATABASE_NAME": "postgres",
                "FLEETPOST_DATABASE_PASSWORD_FILE": str(password),
            }
        finally:
            run(programs["pg_ctl"], "-D", str(data), "-m", "immediate", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)
