"""What a person may not read, hidden in the texts they do read. The services say which words those are."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

from controlpanel.access.models import User
from servers import catalog
from servers.jobs.models import Job, JobStep
from servers.remote.secret import MASK

_SHOWN = ("outcome", "hint", "result")  # columns of a job in which a server's or a service's words stand
# What stands around a name in logs and settings: mx1.NAME, [NAME]:587, NAME[203.0.113.9]:587, NAME port 587.
_BEFORE = r"\[?(?:(?<![\w-])(?:[\w-]{1,63}\.){1,8})?"
_AFTER = r"\]?(?:\s?[\[(][0-9A-Fa-f.:, ]{3,300}[\])])?(?:(?::|,? port )\d{1,5}\b)?"


class Discretion:
    """What `viewer` may not read about these servers (ids), asked once for all of them."""

    def __init__(self, viewer: User, servers: Iterable):
        self._private: dict = {}
        servers = set(servers)
        for service in catalog.services():
            for server, private in service.private(viewer, servers).items():
                self._private[server] = self._private.get(server, {}) | dict(private)

    def hide(self, server, value):
        """`value` (JSON) about the server with this id, as the viewer may read it."""
        return hide(value, self._private.get(server, {}))

    def state(self, server, state: catalog.State) -> catalog.State:
        return replace(state, detail=self.hide(server, state.detail))

    def job(self, job: Job) -> Job:
        """The row itself with its texts hidden: for showing, never for saving. Deferred columns stay so."""
        for name in _SHOWN:
            if name in job.__dict__:
                setattr(job, name, self.hide(job.server_id, getattr(job, name)))
        return job

    def step(self, job: Job, step: JobStep) -> JobStep:
        step.title = self.hide(job.server_id, step.title)
        return step


def told(jobs: Iterable[Job], viewer: User) -> list[Job]:
    """The rows as `viewer` may read them, at the same cost for one and for many. For showing, never for saving."""
    jobs = list(jobs)
    seen = Discretion(viewer, {job.server_id for job in jobs})
    return [seen.job(job) for job in jobs]


def hide(value, private: Mapping[str, str]):
    """`value` (JSON) with each private text in it replaced by its word, whatever its case; a host name goes together
    with its subdomains, its brackets, its address and its port. Pure."""
    if not private:
        return value
    if isinstance(value, str):
        pattern, words = _compiled(tuple(sorted(private.items())))
        # Kelvin signs and their like match the letters they resemble, and have no entry of their own.
        return pattern.sub(lambda found: words.get(found[1].lower(), MASK), value)
    if isinstance(value, dict):
        return {key: hide(inner, private) for key, inner in value.items()}
    if isinstance(value, (list, tuple)):
        return [hide(inner, private) for inner in value]
    return value


@lru_cache(maxsize=64)
def _compiled(private: tuple[tuple[str, str], ...]) -> tuple[re.Pattern, dict[str, str]]:
    texts = sorted((text for text, _ in private), key=len, reverse=True)
    core = "|".join(map(_bounded, texts))
    return re.compile(f"{_BEFORE}({core}){_AFTER}", re.IGNORECASE), {text.lower(): word for text, word in private}


def _bounded(text: str) -> str:
    """A user name "me" is not hidden in "name"."""
    left = r"(?<!\w)" if text[0].isalnum() else ""
    right = r"(?!\w)" if text[-1].isalnum() else ""
    return f"{left}{re.escape(text)}{right}"
