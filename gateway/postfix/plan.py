"""From what is there and what is wanted to the steps between. Pure: the same question always gets the same answer.

Preview, install, reinstall, drift, uninstall and "is it done?" are this one function; an empty plan is the answer yes.
"""

from dataclasses import dataclass, replace

from gateway.postfix import files, maincf, manifest, packages, paths, refusals, running, settings, steps
from gateway.postfix.manifest import Manifest
from gateway.postfix.spec import Relay, Wanted
from gateway.postfix.state import Facts
from servers.remote.plan import Plan, Step


def plan(facts: Facts, wanted: Wanted, key: bytes) -> Plan:
    """`key`: the panel's own, so that directory names say nothing about passwords. Give the same one every time."""
    impossible = refusals.impossible(facts, wanted)
    if impossible:
        return Plan(refusals=impossible, queued=facts.queued, notes=refusals.notes(facts))
    if wanted.relay is None:
        return _without(facts, wanted)
    return _with(facts, wanted, wanted.relay, key)


@dataclass(frozen=True)
class _Target:
    """How the server is to look. `base`: main.cf with settings we no longer need already put back."""

    maps: files.Maps
    text: str
    record: Manifest

    def as_recorded(self, there: Manifest) -> Manifest:
        """The record with what only tells how an earlier run wrote the same things."""
        return replace(self.record, written=there.written, tables=there.tables, format=there.format)


def _with(facts: Facts, wanted: Wanted, relay: Relay, key: bytes) -> Plan:
    found = manifest.read(facts)
    record = found or manifest.first(facts)
    null = record.kind == "null"
    target = _target(facts, relay, dict(wanted.kept), record, key, fresh=null and found is None)
    missing = tuple(name for name in facts.distro.packages if name not in facts.packages)
    write_maps = wanted.force or not any(
        there.name == target.maps.generation and target.maps.matches(there, facts.nonce) for there in facts.maps
    )
    now = maincf.decode(facts.main_cf or b"")
    rewrite = wanted.force or target.text != now or found != target.as_recorded(record)
    verb = _verb(facts, maincf.values(target.text), changed=bool(missing) or write_maps or rewrite)

    todo: list[Step] = []
    if found is None:
        todo.append(steps.keep())
    elif rewrite and not null and facts.main_cf_digest not in found.written:
        todo.append(steps.keep(_without_ours(now, record)))
    if missing:
        todo.append(packages.install(facts.distro, missing, facts.mtas if "postfix" in missing else ()))
    if write_maps:
        todo.append(steps.write_maps(target.maps))
    text = maincf.encode(target.text)
    if rewrite:
        runs_ours = found is not None and verb == "reload" and not missing
        todo.append(steps.check(text, dict(target.record.settings), values_only=runs_ours))
        todo.append(steps.configure(text, facts.main_cf_digest, target.record))
    if verb:
        todo.append(running.service(verb, facts.log_source, enable=not facts.enabled))
        todo.append(running.probe(relay, facts.log_source))
    if todo or any(there.name != target.maps.generation for there in facts.maps):
        todo.append(running.tidy(target.maps.generation))
    blocked = refusals.obstacles(facts, wanted, packages=bool(missing)) if todo else ()
    theirs = () if null else settings.remarks(relay, {**facts.settings, **_before_ours(record)})
    return Plan(
        steps=() if blocked else tuple(todo),
        refusals=blocked,
        notes=(*refusals.notes(facts), *theirs, *_install_notes(facts, missing)),
        diffs=_diffs(now, target.text),
        restarts=verb in ("start", "restart"),
        queued=facts.queued,
    )


def _target(
    facts: Facts, relay: Relay, adopted: dict[str, str | None], record: Manifest, key: bytes, *, fresh: bool
) -> _Target:
    null = record.kind == "null"
    now = "" if fresh else maincf.decode(facts.main_cf or b"")
    sign = settings.delimiter(relay, facts.distro)
    names = settings.local_names(relay, facts, null=null)
    maps = files.render(relay, names, key, delimiter=sign, null=null)
    theirs = {} if null else {**facts.settings, **_before_ours(record)}
    wanted = (
        settings.null_settings(relay, maps, facts.distro, facts)
        if null
        else settings.relay_settings(relay, maps, facts.distro, theirs)
    )
    kept = {name: value for name, value in adopted.items() if name in wanted}
    ours = {name: value for name, value in wanted.items() if name not in kept}
    dropped = {name: value for name, value in record.ours.items() if name not in wanted}
    base, _ = maincf.restore(now, dropped, record.previous)
    text = maincf.edit(_keeping(base, kept), ours)
    previous = {**maincf.raws(base, wanted), **{n: raws for n, raws in record.previous.items() if n in wanted}}
    after = replace(
        record,
        generation=maps.generation,
        settings=ours,
        kept=kept,
        tables=maps.seal,
        format=files.form(),
        previous=previous,
        written=(manifest.digest(text), facts.main_cf_digest),
    )
    return _Target(maps, text, after)


def _keeping(text: str, kept: dict[str, str | None]) -> str:
    """`text` with the adopted values. One that has its value is left as it is written, twice or over several lines."""
    there = maincf.values(text)
    away = [name for name, value in kept.items() if value is None]
    other = {name: value for name, value in kept.items() if value is not None and there.get(name) != value}
    return maincf.edit(maincf.drop(text, away), other)


def _before_ours(record: Manifest) -> dict[str, str]:
    """Values our parameters had before us; "" for those that were not set."""
    return {name: record.theirs.get(name, "") for name in record.ours}


def _without_ours(now: str, record: Manifest) -> bytes:
    """main.cf as it would be without us, with what a person has edited in it since."""
    values = maincf.values(now)
    ours = {name: values.get(name, value) for name, value in record.ours.items()}
    return maincf.encode(maincf.unmark(maincf.restore(now, ours, record.previous)[0]))


def _verb(facts: Facts, after: dict[str, str], *, changed: bool) -> str:
    if not facts.running:
        return "start"
    now = facts.settings
    moved = any(now.get(name, "") != after.get(name, "") for name in settings.NEED_RESTART)
    if facts.stale_chroot or moved:
        return "restart"
    return "reload" if changed or not facts.enabled else ""


def _without(facts: Facts, wanted: Wanted) -> Plan:
    found = manifest.read(facts)
    ours = bool(found or facts.record or facts.maps)
    record = found or manifest.first(facts)
    removes = "postfix" in facts.added and "postfix" in facts.packages
    now = maincf.decode(facts.main_cf or b"")
    todo, notes, after = [], list(refusals.notes(facts)), ""
    if ours and removes:
        todo, after = _remove(facts, wanted, record)
    elif ours:
        todo, after, more = _give_back(facts, found, dict(wanted.kept), now)
        notes += more
    blocked = refusals.obstacles(facts, wanted, packages=bool(facts.added)) if todo else ()
    if removes and facts.queued and not wanted.purge_queue:
        blocked = (*blocked, refusals.queued(facts))
    return Plan(
        steps=() if blocked else tuple(todo),
        refusals=blocked,
        notes=tuple(notes),
        diffs=_diffs(now, after) if todo else {},
        restarts=any(step.slug in ("packages", "service") for step in todo),
        queued=facts.queued,
    )


def _remove(facts: Facts, wanted: Wanted, record: Manifest) -> tuple[list[Step], str]:
    """We brought Postfix, so it goes; configuration files an older Postfix had left behind come back."""
    todo = [packages.remove(facts.distro, purge_queue=wanted.purge_queue, mtas=record.mtas)]
    if facts.before_cf is not None:
        todo.append(steps.put_back())
    return [*todo, running.forget()], maincf.decode(facts.before_cf or b"")


def _give_back(
    facts: Facts, found: Manifest | None, adopted: dict[str, str | None], now: str
) -> tuple[list[Step], str, list[str]]:
    """Postfix was there before us, so its main.cf returns and the queue stays."""
    todo: list[Step] = []
    after, notes = now, []
    if found is not None and facts.main_cf is not None:
        untouched = facts.main_cf_digest in found.written and facts.before_cf is not None
        if untouched:
            after = maincf.decode(facts.before_cf)
        else:
            # Adopted since the record was written: what was there before us returns for these as well.
            late = {name: value or "" for name, value in adopted.items() if name in found.ours}
            after, kept = maincf.restore(now, {**found.ours, **late}, found.previous)
            after = maincf.unmark(after)
            notes = [_edited(kept)]
        if after != now:
            todo.append(steps.configure(None if untouched else maincf.encode(after), facts.main_cf_digest, None))
        todo.append(running.service("reload" if found.running else "stop", facts.log_source))
    if any(name not in ("ca-certificates", "openssl") for name in facts.added):
        todo.append(packages.remove_extra(facts.distro))
    if facts.queued and not notes:
        notes.append(f"What is in the queue ({refusals.messages(facts.queued)}) stays and goes out by the old way.")
    return [*todo, running.forget()], after, notes


def _edited(kept: list[str]) -> str:
    also = f" {', '.join(kept)} keep the values they were given." if kept else ""
    return f"main.cf was edited since the gateway was installed: the edits stay, only our settings go.{also}"


def _install_notes(facts: Facts, missing: tuple[str, ...]) -> tuple[str, ...]:
    if "postfix" not in missing or not facts.mtas or not facts.other_queued:
        return ()
    names = ", ".join(facts.mtas)
    return (f"The queue of {names} ({refusals.messages(facts.other_queued)}) is kept for when {names} is put back.",)


def _diffs(before: str, after: str) -> dict[str, str]:
    text = maincf.diff(paths.MAIN_CF, before, after)
    return {paths.MAIN_CF: text} if text else {}
