"""`manage.py up`: the whole panel as one supervised process tree."""

import hashlib
import socket
import sys
from pathlib import Path

from django.conf import settings
from django.contrib.staticfiles.finders import get_finders
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError

from controlpanel import broker
from controlpanel.access import links
from controlpanel.celery import worker_command
from controlpanel.supervisor import DidNotStart, Part, Supervisor

# With an arena of glibc's for every thread, memory that one thread frees is of no use to the others.
WORKER_ENVIRONMENT = {"MALLOC_ARENA_MAX": "2"}


def _static_digest() -> str:
    """Changes when any static file does: name, size or time."""
    digest = hashlib.sha256()
    for finder in get_finders():
        for name, storage in finder.list([]):
            status = Path(storage.path(name)).stat()
            digest.update(f"{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _collect_static() -> None:
    """Compressing takes seconds, so it is done when something changed."""
    stamp = Path(settings.STATIC_ROOT) / ".digest"
    digest = _static_digest()
    if not stamp.exists() or stamp.read_text() != digest:
        call_command("collectstatic", interactive=False, clear=True, verbosity=0)
        stamp.write_text(digest)


class Command(BaseCommand):
    help = "Runs the panel: web server, worker and scheduler, with the embedded broker unless one is configured."

    def add_arguments(self, parser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *args, host: str, port: int, **options) -> None:
        _refuse_taken(host, port)
        call_command("migrate", interactive=False, verbosity=0)
        _collect_static()
        address = f"http://{f'[{host}]' if ':' in host else host}:{port}"
        try:
            Supervisor(self._parts(host, port), self._say).run(on_ready=lambda: self._greet(address))
        except broker.NoBroker as error:
            raise CommandError(f"{error}. {error.hint}") from error
        except DidNotStart as error:
            raise CommandError(f"The {error} did not start. Its own words are above.") from error
        self._say("The panel has stopped.")

    def _parts(self, host: str, port: int) -> list[Part]:
        python = [sys.executable, "-m"]
        celery = [*python, "celery", "--quiet", "-A", "controlpanel"]
        # Celery warns root of pickled messages; ours are JSON and carry one number.
        calm = {"PYTHONWARNINGS": "ignore:::celery.platforms"}
        parts = []
        if settings.EMBEDDED_BROKER and not broker.answers(settings.CELERY_BROKER_URL):
            parts.append(
                Part(
                    "broker",
                    broker.command(settings.BROKER_SOCKET),
                    ready=lambda: broker.answers(settings.CELERY_BROKER_URL),
                )
            )
        parts += [
            Part(
                "worker",
                worker_command(),
                env=calm | WORKER_ENVIRONMENT,
                grace=30,
            ),
            Part(
                "scheduler",
                [*celery, "beat", "--loglevel", "WARNING", "--schedule", str(settings.DATA_DIR / "scheduler")],
                env=calm,
            ),
            Part(
                "web server",
                [
                    *python,
                    *("uvicorn", "controlpanel.asgi:application", "--host", host, "--port", str(port)),
                    *("--no-access-log", "--log-level", "warning", "--lifespan", "off"),
                ],
                ready=lambda: _listens(host, port),
            ),
        ]
        return parts

    def _greet(self, address: str) -> None:
        self._say(f"Fleetpost is at {address}")
        token = links.for_first_administrator()
        if token:
            self._say(f"Sign in for the first time (once, within a day): {address}{links.path(token)}")
        self._say("Ctrl-C stops it.")

    def _say(self, text: str) -> None:
        self.stdout.write(text)
        self.stdout.flush()


def _refuse_taken(host: str, port: int) -> None:
    """Another program on the port would answer in the panel's place, and be taken for it."""
    try:
        family, _, _, _, place = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(place)
    except OSError as error:
        raise CommandError(f"The panel cannot listen on {host} port {port}: {error.strerror}. Try --port.") from error


def _listens(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), timeout=1).close()
    except OSError:
        return False
    return True
