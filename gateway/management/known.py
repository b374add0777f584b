"""`smarthost presets` and `smarthost preset-set`: what is known of each provider, and our own values over it."""

import argparse

from django.core.exceptions import ValidationError

from controlpanel.access.models import User
from gateway import overrides, preset_use
from gateway.overrides import Known
from gateway.providers import overlay
from gateway.providers.fields import FIELDS
from servers.management import console


def add_arguments(verbs) -> None:
    listing = verbs.add_parser("presets", help="what is known of each provider, or of one")
    listing.add_argument("preset", nargs="?", metavar="SLUG")
    listing.add_argument("--json", action="store_true")
    change = verbs.add_parser(
        "preset-set",
        help="put values of our own over those of a provider, or take them back",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="fields:\n" + "\n".join(f"  {name:20} {field.label}" for name, field in FIELDS.items()),
    )
    change.add_argument("preset", metavar="SLUG")
    change.add_argument("--set", action="append", default=[], metavar="FIELD=VALUE", help="limits.per_minute=20")
    change.add_argument("--unset", action="append", default=[], metavar="FIELD", help="back to the built-in value")
    change.add_argument("--reset", action="store_true", help="every value back to the built-in one")
    change.add_argument("--note", help="why")
    change.add_argument("--json", action="store_true")
    console.add_actor(change)


def change(options: dict, *, by: User | str) -> Known:
    """Raises console.Usage, ValidationError by field."""
    built_in = one(options["preset"]).built_in
    if options["reset"]:
        if options["set"] or options["unset"] or options["note"] is not None:
            raise console.Usage("--reset takes everything back: nothing can be set with it.")
        return overrides.reset(built_in.slug, by=by)
    try:
        changes = overlay.read(built_in, dict(_pair(text) for text in options["set"]))
        back = overlay.taken_back(built_in, options["unset"])
    except overlay.Refused as error:
        raise ValidationError(error.problems) from error
    if not (changes or back or options["note"] is not None):
        raise console.Usage("Say what to change: --set FIELD=VALUE, --unset FIELD, --note or --reset.")
    return overrides.change(built_in.slug, changes | back, options["note"], by=by)


def _pair(text: str) -> tuple[str, str]:
    name, separator, value = text.partition("=")
    if not separator:
        raise console.Usage(f"{text}: type it as FIELD=VALUE.")
    return name.strip(), value


def one(slug: str) -> Known:
    try:
        return overrides.known(slug)
    except KeyError as error:
        raise console.Usage(f"There is no preset {slug}. `smarthost presets` lists them.") from error


def line(known: Known) -> str:
    preset = known.preset
    ports = ", ".join(str(port) for port, _ in preset.ports)
    mark = " (changed here)" if known.changes else ""
    return f"{preset.slug}{mark}: {preset.label}, {preset.host or 'server typed with each account'}, {ports}"


def document(known: Known) -> dict:
    """Every field as it is typed, the changed ones beside their built-in values."""
    fields = {field.name: field for field in overlay.offered(known.built_in)}
    values = {name: known.changes.get(name, field.of(known.preset)) for name, field in fields.items()}
    return {
        "preset": known.preset.slug,
        "label": known.preset.label,
        "values": values,
        "built_in": {name: fields[name].of(known.built_in) for name in known.changes},
        "problems": known.problems,
        "note": known.note,
    }


def lines(known: Known) -> list[str]:
    """One provider, to be read."""
    told = [f"{known.preset.label} ({known.preset.slug})"]
    for field in overlay.offered(known.built_in):
        value = field.kind.spell(known.changes.get(field.name, field.of(known.preset))).replace("\n", "; ")
        was = ""
        if field.name in known.changes:
            was = f"   [built-in: {field.kind.spell(field.of(known.built_in)) or 'nothing'}]".replace("\n", "; ")
        told.append(f"  {field.name:20} {value or '-'}{was}")
    told += [f"  Not used: {name or 'the stored row'}: {text}" for name, text in known.problems.items()]
    if known.note:
        told.append(f"  note                 {known.note}")
    use = preset_use.use(known.preset)
    if use.apart:
        told.append(f"  {use.apart} of {use.count} accounts keep other values than these; open them to change that.")
    if use.behind:
        told.append(f"  Gateways on earlier values: {use.behind}. Mail goes on; reinstall them when it suits.")
    return told
