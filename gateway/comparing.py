"""The diagnoses of a batch told together, for its page, its report and the command line."""

from collections.abc import Iterator
from dataclasses import replace

from django.db.models import QuerySet
from django.urls import reverse

from controlpanel.access.gate import Permission, may
from controlpanel.access.models import User
from gateway.choice import knows_details
from gateway.diagnosis import fleet
from gateway.diagnosis.fleet import Group, Look, Offer, Row
from gateway.diagnosis.values import Way
from gateway.models import Gateway
from servers import selecting
from servers.catalog import Together
from servers.jobs.models import Status

_COLUMNS = ("server_id", "server__name", "server__cloud", "status", "cause", "result__tried")


def found(viewer: User | None, jobs: QuerySet) -> list[dict]:
    """[{"cloud", "label", "count", "sentence", "where", "ports", "rows", "offers"}], one per cloud; of servers that
    could not be reached nothing is told.

    rows: [{"servers" (names), "chosen", "cause", "cells": [{"port", "state"}]}], a cell for each of `ports`.
    offers: [{"label", "port", "tls", "servers" (ids), "url"}], of what this person may do.
    """
    told = groups(jobs)
    movable = _movable(viewer, jobs) if any(group.offers for group in told) else set()
    return [_group(group, movable) for group in told]


def groups(jobs: QuerySet) -> tuple[Group, ...]:
    return fleet.groups(_looks(jobs))


def lines(groups: tuple[Group, ...]) -> Iterator[str]:
    """The same for a terminal."""
    for group in groups:
        yield f"\n{group.label}, {group.count} server{'' if group.count == 1 else 's'}"
        yield f"  {group.sentence}"
        if group.where:
            yield f"  {group.where}"
        width = max(len(", ".join(row.names)) for row in group.rows)
        yield f"  {'':{width}}  " + "  ".join(f"{port:>11}" for port in group.ports)
        for row in group.rows:
            cells = (_word(row, port) for port in group.ports)
            yield f"  {', '.join(row.names):{width}}  " + "  ".join(f"{cell:>11}" for cell in cells)


TOGETHER = Together(found, "gateway/fleet.html")


def _word(row: Row, port: int) -> str:
    state = row.states.get(port, "")
    return f"[{state}]" if port == row.port else state


def _looks(jobs: QuerySet) -> Iterator[Look]:
    rows = jobs.filter(result__has_key="tried").values_list(*_COLUMNS)
    for server, name, cloud, status, cause, tried in rows.iterator(chunk_size=2000):
        states = {int(port): state for port, state in tried["states"].items()}
        way = Way(*tried["instead"]) if tried["instead"] else None
        said = cause if status != Status.SUCCEEDED else ""
        yield Look(str(server), name, cloud, said, tried["port"], states, way)


def _movable(viewer: User | None, jobs: QuerySet) -> set[str]:
    """The servers whose port this person may change; the command line may."""
    if viewer is not None and not may(viewer, Permission.RUN):
        return set()
    wanting = Gateway.objects.filter(server__in=jobs.order_by().values("server"), wanted__isnull=False)
    rows = wanting.select_related("wanted").only("server", "wanted__server", "wanted__confidential")
    return {str(row.server_id) for row in rows if viewer is None or knows_details(row.wanted, viewer)}


def _group(group: Group, movable: set[str]) -> dict:
    offers = [replace(offer, servers=tuple(one for one in offer.servers if one in movable)) for offer in group.offers]
    return {
        "cloud": group.cloud,
        "label": group.label,
        "count": group.count,
        "sentence": group.sentence,
        "where": group.where,
        "ports": list(group.ports),
        "rows": [_row(row, group.ports) for row in group.rows],
        "offers": [_offer(offer) for offer in offers if 0 < len(offer.servers) <= selecting.MOST],
    }


def _row(row: Row, ports: tuple[int, ...]) -> dict:
    cells = [{"port": port, "state": row.states.get(port, "")} for port in ports]
    return {"servers": list(row.names), "chosen": row.port, "cause": row.cause, "cells": cells}


def _offer(offer: Offer) -> dict:
    count = len(offer.servers)
    return {
        "label": f"{offer.way.label} on {count} server{'' if count == 1 else 's'}",
        "port": offer.way.port,
        "tls": offer.way.tls,
        "servers": list(offer.servers),
        "url": reverse("servers:bulk", args=["gateway", "use-port"]),
    }
