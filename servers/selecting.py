"""What a posted selection means: servers ticked one by one, or all that match a query of the server list."""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from uuid import UUID

from django.db.models import Q
from django.http import QueryDict

from controlpanel.access.models import User
from controlpanel.web.listing import Filter, narrow
from servers.models import Server, ServerQuerySet


def _tagged(word: str) -> Q:
    return Q(pk__in=Server.tags.through.objects.filter(tag__name__icontains=word).values("server"))


SEARCH = ("name__icontains", "address__icontains", _tagged, "note__icontains")
MOST = 2000
ALL = "all"


class TooMany(Exception):
    """At most 2,000 servers can be ticked one by one."""

    hint = "Narrow the list with a filter and select all that match."


@dataclass(frozen=True)
class Selection:
    """ids: the servers ticked. query: when all are meant that match this query of the list; "" is every server."""

    ids: tuple[UUID, ...] = ()
    query: str | None = None

    def __bool__(self) -> bool:
        return bool(self.ids) or self.query is not None

    def fields(self) -> dict[str, str]:
        """What a form carries on, a query and never the servers it matches: `read` gives the same selection back."""
        if self.query is not None:
            return {"which": ALL, "query": self.query}
        return {"servers": ",".join(str(ident) for ident in self.ids)}


def read(data: QueryDict) -> Selection:
    """which=all&query=… or any of server=<id> (repeated) and servers=<id>,<id>. What is no id is nobody's. Raises
    TooMany."""
    if data.get("which") == ALL:
        return Selection(query=data.get("query", ""))
    typed = [*data.getlist("server"), *data.get("servers", "").split(",")]
    ids = dict.fromkeys(found for text in typed if (found := _uuid(text)))
    if len(ids) > MOST:
        raise TooMany
    return Selection(tuple(ids))


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text.strip())
    except ValueError:
        return None


def servers(selection: Selection, viewer: User, filters: Sequence[Filter]) -> ServerQuerySet:
    """Those of them `viewer` may see. Ticked ones may be archived: the door says why they stay out."""
    mine = Server.objects.visible_to(viewer)
    if selection.query is None:
        return mine.filter(pk__in=selection.ids)
    query = QueryDict(selection.query)
    rows, chosen = narrow(mine.live(), query, search=SEARCH, filters=filters)
    asked = {name: value for name, value in query.items() if value and name != "q"}
    if asked != chosen:  # a tag that is gone since must not turn "all with this tag" into "all"
        return mine.none()
    return Server.objects.filter(pk__in=rows.order_by().values("pk"))


def digest(ids: Iterable[UUID]) -> str:
    """The same for the same servers in any order."""
    return hashlib.sha256(b"".join(sorted(ident.bytes for ident in ids))).hexdigest()
