"""What can be put on a server. A service is one folder and one INSTALLED_APPS line: it registers itself here, and the
Services tab, bulk menu, CLI, job list and audit names read this registry."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from django.db.models import Q

from controlpanel.access.gate import Permission

if TYPE_CHECKING:
    from django.db.models import QuerySet

    from controlpanel.access.models import User
    from controlpanel.web.listing import Filter
    from servers.jobs.models import Job
    from servers.jobs.run import Conclusion, Run
    from servers.models import Server


@dataclass(frozen=True)
class Together:
    """What the jobs of a batch say together, shown above their list and kept in the report.

    found:    (viewer, or None for the command line; finished jobs he may see) -> JSON, empty while there is nothing to
              say; the same number of queries for one job and for many.
    template: shows it, as `together`.
    """

    found: "Callable[[User | None, QuerySet], list]"
    template: str


@dataclass(frozen=True)
class Action:
    """One thing that can be asked of a service on a server.

    slug:      "install"; the full name is "<service>.<slug>".
    label:     the button, a verb and its object: "Install email gateway".
    done:      past tense for outcome lines: "installed".
    mutating:  takes the server's one mutating slot; False for actions that only look or send a test.
    danger:    asks on a page of its own first.
    run:       does it, on a worker. Raises servers.remote errors freely: the runner turns them into an outcome.
    columns:   (heading, key of the result) of what is compared server by server on the page of a batch and in its
               report; a value that is one of the panel's words for a state is shown as that state.
    together:  what is said of all of them at once.
    """

    slug: str
    label: str
    done: str
    permission: Permission
    run: "Callable[[Run], Conclusion]"
    mutating: bool = True
    danger: bool = False
    columns: tuple[tuple[str, str], ...] = ()
    together: Together | None = None


@dataclass(frozen=True)
class State:
    """`word` is one of the six the panel knows; `detail` one short sentence, which doors show with Discretion.
    seen_at: when the server itself last showed this, None where nobody looks."""

    word: str  # working | absent | needs-you | checking | unknown | paused
    detail: str = ""
    seen_at: datetime | None = None


@dataclass(frozen=True)
class Bulk:
    """One thing that can be asked of many servers at once: an entry of the server list's bar and its confirm page.

    slug:   unique within the service; the address is /servers/bulk/<service>/<slug>/.
    label:  the button, a verb and its object: "Install email gateway".
    form:   dotted path of the `servers.bulk.BulkForm` that knows what to ask, whom to leave out and what to launch.
    danger: the number of servers has to be typed first.
    front:  stands in the bar itself; the others are in its menu.
    at:     what joins the label to its servers: "Uninstall email gateway" + "from" + "12 servers".
    """

    slug: str
    label: str
    form: str
    permission: Permission
    danger: bool = False
    front: bool = False
    at: str = "on"


def in_no_state(word: str) -> Q:
    return Q(pk__in=[])


def no_filters(viewer: "User") -> "list[Filter]":
    return []


def nothing_private(viewer: "User", servers: Iterable) -> dict:
    return {}


def nothing_mends(viewer: "User", jobs: "Iterable[Job]") -> dict:
    return {}


@dataclass(frozen=True)
class Service:
    """slug, label: names. panel: template of the cards on the Services tab. context: (request, server) -> its context.
    urls: module with urlpatterns mounted below /servers/<id>/services/<slug>/. states: ONE query for many servers.
    in_state: word of State -> Q over Server, the same answer as `states` in SQL, for counting and filtering.
    finer: words beside the six that `in_state` knows, for narrowing the server list; they have a look in web.words.
    bulk: what can be asked of many servers at once.
    filters: viewer -> what else the server list can be narrowed by; each applies to a queryset of servers.
    hidden: part of the panel itself, with actions but no card on the Services tab.
    private: (viewer, server ids) -> {server id: {text: word}}: what this person must not read in jobs and states of
    these servers, and what is shown in its place; the same number of queries for one server and for many.
    mends: (viewer, failed jobs) -> {job id: (the link's words, its address)}: where in the panel this person mends what
    failed, for those that have such a place; the same number of queries for one job and for many."""

    slug: str
    label: str
    actions: tuple[Action, ...]
    panel: str
    context: Callable[[Any, "Server"], dict]
    urls: str
    states: "Callable[[Iterable[Server]], dict[Any, State]]"
    in_state: Callable[[str], Q] = in_no_state
    finer: tuple[str, ...] = ()
    bulk: tuple[Bulk, ...] = ()
    filters: "Callable[[User], list[Filter]]" = no_filters
    hidden: bool = False
    private: "Callable[[User, Iterable], dict[Any, dict[str, str]]]" = nothing_private
    mends: "Callable[[User, Iterable[Job]], dict[int, tuple[str, str]]]" = nothing_mends

    def action(self, slug: str) -> Action:
        return next(action for action in self.actions if action.slug == slug)


_services: dict[str, Service] = {}


class UnknownAction(LookupError):
    """No service offers this action."""


def register(service: Service) -> None:
    _services[service.slug] = service


def forget(slug: str) -> None:
    """Takes a service out again; unknown ones are out already."""
    _services.pop(slug, None)


def services() -> tuple[Service, ...]:
    return tuple(_services.values())


def find(name: str) -> tuple[Service, Action]:
    """The service and action behind "gateway.install". Raises UnknownAction."""
    service_slug, _, action_slug = name.partition(".")
    try:
        service = _services[service_slug]
        return service, service.action(action_slug)
    except (KeyError, StopIteration) as error:
        raise UnknownAction(name) from error
