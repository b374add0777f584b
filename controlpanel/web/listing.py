"""List pages: search, filter, sort, page and export, from an allow-list of parameters."""

import csv
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import reduce
from operator import or_
from urllib.parse import urlencode

from django.core.paginator import Paginator
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse

PER_PAGE = 50
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


Lookup = str | Callable[[str], Q]


@dataclass(frozen=True)
class Filter:
    """One drop-down. options: [(value, label)]; a value not among them is ignored. apply(queryset, value).
    label: "" when it is set by links only and has no menu."""

    name: str
    label: str
    options: Sequence[tuple[str, str]]
    apply: Callable[[QuerySet, str], QuerySet]


def narrow(
    queryset: QuerySet, query: Mapping[str, str], *, search: Sequence[Lookup] = (), filters: Sequence[Filter] = ()
) -> tuple[QuerySet, dict[str, str]]:
    """The rows that `query` (q and the named filters; everything else is ignored) asks for, and the filters it set.
    search: lookups `q` matches ("name__icontains", or a function from a word to a condition, for what is in another
    table: a join would list a row twice), words joined by "and"."""
    chosen = {}
    for choice in filters:
        value = query.get(choice.name, "")
        if value in {option for option, _ in choice.options}:
            chosen[choice.name] = value
            queryset = choice.apply(queryset, value)
    for word in _clean(query.get("q", "")).split()[:8] if search else ():
        queryset = queryset.filter(reduce(or_, (_matches(lookup, word) for lookup in search)))
    return queryset, chosen


def _matches(lookup: Lookup, word: str) -> Q:
    return Q(**{lookup: word}) if isinstance(lookup, str) else lookup(word)


class Listing:
    """What a list page shows, from request.GET and nothing else than its q, sort, page and the named filters.

    search, filters: as in `narrow`. sorts: {key: (field, …)}, `-key` reverses.
    In templates: page (a paginator page), rows, q, choices, sort, narrowed, query, path, next_url, previous_url,
    export_url.
    """

    def __init__(
        self,
        request: HttpRequest,
        queryset: QuerySet,
        *,
        search: Sequence[Lookup] = (),
        filters: Sequence[Filter] = (),
        sorts: dict[str, tuple[str, ...]] | None = None,
        default_sort: str = "",
        per_page: int = PER_PAGE,
    ):
        self.path = request.path
        self.q = _clean(request.GET.get("q", ""))
        self._sorts = sorts or {}
        asked = request.GET.get("sort", "")
        self.sort = asked if asked.removeprefix("-") in self._sorts else ""
        self._default_sort = default_sort
        self._filters = filters
        queryset, self._values = narrow(queryset, request.GET, search=search, filters=filters)
        self.queryset = queryset.order_by(*fields) if (fields := self._order()) else queryset
        self.page = Paginator(self.queryset, per_page).get_page(request.GET.get("page", "1"))

    def _order(self) -> tuple[str, ...]:
        key = self.sort or self._default_sort
        fields = self._sorts.get(key.removeprefix("-"), ())
        return tuple(_reverse(field) for field in fields) if key.startswith("-") else fields

    @property
    def rows(self):
        return self.page.object_list

    @property
    def narrowed(self) -> bool:
        return bool(self.q or self._values)

    @property
    def query(self) -> str:
        """What narrows this list, in one spelling: q and the filters, without order and page."""
        return urlencode({name: value for name, value in {"q": self.q, **self._values}.items() if value})

    @property
    def choices(self) -> list[dict]:
        return [
            {"name": f.name, "label": f.label, "options": f.options, "value": self._values.get(f.name, "")}
            for f in self._filters
        ]

    def url(self, **changes) -> str:
        """This list with some parameters changed; an empty value drops one. Changing anything goes to page 1."""
        wanted = {"q": self.q, **self._values, "sort": self.sort, **changes}
        query = urlencode({name: value for name, value in wanted.items() if value})
        return f"{self.path}?{query}" if query else self.path

    @property
    def next_url(self) -> str:
        return self.url(page=self.page.next_page_number()) if self.page.has_next() else ""

    @property
    def previous_url(self) -> str:
        return self.url(page=self.page.previous_page_number()) if self.page.has_previous() else ""

    @property
    def export_url(self) -> str:
        return self.url(format="csv")

    def sort_link(self, key: str) -> dict:
        """{"url", "direction"} of a column head: once ascending, again descending."""
        current = self.sort or self._default_sort
        direction = {key: "ascending", f"-{key}": "descending"}.get(current, "")
        return {"url": self.url(sort=f"-{key}" if direction == "ascending" else key), "direction": direction}


def _reverse(field: str) -> str:
    return field[1:] if field.startswith("-") else f"-{field}"


def _clean(text: str) -> str:
    """A NUL in a query is an error on PostgreSQL; nothing anyone searches for is longer."""
    return text.replace("\0", "").strip()[:200]


def safe_cell(value) -> str:
    """Text that no spreadsheet takes for a formula."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.lstrip(" ").startswith(_FORMULA) or text.startswith(_FORMULA) else text


def csv_response(filename: str, header: Iterable[str], rows: Iterable[Iterable]) -> HttpResponse:
    """A download every cell of which went through `safe_cell`."""
    response = HttpResponse(content_type="text/csv; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="{filename}"'
    response.headers["X-Content-Type-Options"] = "nosniff"
    writer = csv.writer(response)
    writer.writerow([safe_cell(cell) for cell in header])
    writer.writerows([safe_cell(cell) for cell in row] for row in rows)
    return response
