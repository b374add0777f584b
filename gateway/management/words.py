"""What both commands of the gateway read and print."""

import sys
from collections.abc import Collection

from django.db.models import QuerySet

from gateway import comparing, rotation, rules, sharing, values, wanted
from gateway.models import Gateway, Smarthost
from servers.jobs.models import Batch
from servers.management import console
from servers.remote.secret import Secret


def read_password() -> Secret:
    """Standard input, byte for byte, without the line end a shell or an editor adds."""
    typed = sys.stdin.buffer.read(2000) if hasattr(sys.stdin, "buffer") else sys.stdin.read(2000).encode()
    return Secret(typed.removesuffix(b"\n").removesuffix(b"\r"))


def shared(name: str) -> Smarthost:
    found = Smarthost.objects.shared().filter(name=name).first()
    if found is None:
        raise console.Usage(f"There is no SMTP provider named {name}.")
    return found


def document(smarthost: Smarthost) -> dict:
    """What is stored, of the password only that there is one. `smarthost` from with_use()."""
    stored = {name: getattr(smarthost, name) for name in values.STORED}
    return {
        "name": smarthost.name,
        **stored,
        "password": "set" if smarthost.has_password else "not set",
        "default": smarthost.is_default,
        "servers": smarthost.servers,
        "warnings": rules.warnings(smarthost),
    }


def used(smarthost: Smarthost) -> dict:
    """Who runs on it, how far its present values have come, and what its limits leave for each server."""
    use, division = rotation.use(smarthost), sharing.division(smarthost)
    return {
        "limits": " ".join(division.share.sentences),
        "limits_to_divide_anew": " ".join(division.sentences),
        "in_force": use.installed,
        "behind": use.behind,
        "on_earlier_password": use.earlier,
        "earlier_password": "kept" if smarthost.keeps_previous else "not kept",
    }


def line(row: Smarthost) -> str:
    used = f"{row.servers} server{'' if row.servers == 1 else 's'}"
    password = "password set" if row.has_password else "password not set"
    mark = " (default)" if row.is_default else ""
    return f"{row.name}{mark}: {rules.label(row.preset)}, {row.host}:{row.port} {row.tls}, {password}, {used}"


def progress(use: rotation.Use) -> str:
    """How far a provider's present values have come."""
    count = f"{use.installed} server{'' if use.installed == 1 else 's'}"
    if use.earlier:
        return f"{use.earlier} of {count} still use an earlier password."
    return f"{use.behind} of {count} still run on earlier values." if use.behind else f"All of {count} run on it."


def told(error: Exception) -> str:
    first = str(error) or (type(error).__doc__ or "").splitlines()[0]
    return f"{first} {getattr(error, 'hint', '')}".strip()


def paces(gateways: Collection[Gateway]) -> dict:
    """{server id: what it may do, "" where nothing holds it back}, asking once for each preset and share."""
    kinds = {(row.applied.preset, row.applied_share): row for row in gateways if row.applied and row.applied_share}
    known = {kind: wanted.allowance(row).each for kind, row in kinds.items()}
    return {row.pk: known.get((row.applied.preset, row.applied_share), "") for row in gateways if row.applied}


def status(server, gateway: Gateway, state, pace: str) -> dict:
    """One server of `gateway status`."""
    applied = gateway.applied
    return {
        "server": server.name,
        "state": state.word,
        "detail": state.detail,
        "smarthost": applied.name if applied else None,
        "host": f"{applied.host}:{applied.port}" if applied else None,
        "pending": gateway.pending,
        "queued": gateway.queued,
        "pace": pace,
        "verified_at": gateway.verified_at,
        "last_test": gateway.last_test,
    }


def print_previews(batch: Batch, out) -> None:
    """The steps and the changes of main.cf, server by server."""
    for job in batch.jobs.select_related("server").order_by("server__name"):
        found = job.result.get("preview", {})
        out.write(f"\n{job.server}: {job.outcome}")
        for number, step in enumerate(found.get("steps", []), 1):
            out.write(f"  {number}. {step['title']}")
            for command in step["commands"]:
                out.write(f"       {command}")
        for diff in found.get("diffs", {}).values():
            out.write(diff)


def print_diagnoses(batch: Batch, out) -> None:
    """What stands in the way, what helps, the stages and the ports, server by server; of several, also together."""
    jobs = batch.jobs.order_by("server__name")
    _print_each(jobs, out)
    if jobs.count() > 1:
        out.write("\n".join(comparing.lines(comparing.groups(jobs))))


def _print_each(jobs: QuerySet, out) -> None:
    for job in jobs.select_related("server"):
        found = job.result.get("diagnosis", {})
        out.write(f"\n{job.server}: {job.outcome}")
        for line in filter(None, (job.hint, found.get("where"))):
            out.write(f"  {line}")
        for stage in found.get("stages", []):
            out.write(f"  {stage['title']}: {stage['state']}. {stage['text']}")
        for row in found.get("ports", []):
            states = "/".join(state for state in (row["ipv4"], row["ipv6"]) if state)
            out.write(f"  port {row['port']}: {states}, {row['answer']}")
