"""Settings → Email gateway → Known providers: what every preset says, and what this organisation says instead."""

from datetime import date
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.urls import reverse
from django.utils import timezone

from controlpanel.access.gate import Permission, may, needs
from controlpanel.web import page
from gateway import overrides, preset_use
from gateway.overrides import Known
from gateway.preset_forms import PresetForm
from gateway.providers import overlay
from gateway.providers.fields import FIELDS
from gateway.providers.preset import POLICIES

ELSEWHERE = ("regions", "verified", "source", "caveat")  # on the page, not among its facts


@needs(Permission.USE_SHARED)
def index(request: HttpRequest) -> HttpResponse:
    today = timezone.localdate()
    rows = [
        {
            "known": known,
            "preset": known.preset,
            "policy": POLICIES[known.preset.from_policy],
            "age": _age(known, today),
        }
        for known in overrides.listed()
    ]
    return page.render(request, "gateway/presets.html", {"rows": rows})


@needs(Permission.USE_SHARED)
def preset(request: HttpRequest, preset: str) -> HttpResponse:
    known = _known(preset)
    context = {
        "known": known,
        "preset": known.preset,
        "facts": _facts(known),
        "problems": _problems(known),
        "age": _age(known, timezone.localdate()),
        "regions": [(known.preset.host_in(slug), label) for slug, label in known.preset.regions.items()],
        "use": preset_use.use(known.preset) if may(request.user, Permission.SETTINGS) else None,
    }
    return page.render(request, "gateway/preset.html", context)


@needs(Permission.SETTINGS)
def edit(request: HttpRequest, preset: str) -> HttpResponse:
    known = _known(preset)
    form = PresetForm(request.POST or None, known=known)
    context = {"form": form, "known": known, "preset": known.preset}
    if request.method != "POST":
        return page.render(request, "gateway/preset_edit.html", context)
    after = form.save(by=request.user) if form.is_valid() else None
    if after is None:
        return page.refused(request, "gateway/preset_edit.html", context)
    messages.success(request, _saved(after))
    return page.go(request, "smarthosts:preset", preset)


@needs(Permission.SETTINGS)
def reset(request: HttpRequest, preset: str) -> HttpResponse:
    known = _known(preset)
    if request.method == "POST":
        overrides.reset(preset, by=request.user)
        messages.success(request, f"{known.preset.label} has its built-in values again.")
        return page.go(request, "smarthosts:preset", preset)
    context = {
        "heading": f"Back to the built-in values of {known.preset.label}",
        "verb": "Take the built-in values",
        "effects": [
            *(
                f"{FIELDS[name].label}: “{_told(known, name)}” becomes “{_built_in(known, name)}”."
                for name in known.changes
            ),
            "Accounts keep the server and port that were saved with them. Servers change when their gateway is "
            "reinstalled.",
            "The audit log keeps what was here.",
        ],
        "cancel_url": reverse("smarthosts:preset", args=[preset]),
        "calm": True,
    }
    return page.render(request, "components/confirm.html", context)


def _known(slug: str) -> Known:
    try:
        return overrides.known(slug)
    except KeyError as error:
        raise Http404 from error


def _facts(known: Known) -> list[dict]:
    """[{"label", "text", "built_in", "changed"}] of every field, as a person reads it."""
    return [
        {
            "label": field.label,
            "text": _told(known, field.name),
            "built_in": _built_in(known, field.name),
            "changed": field.name in known.changes,
        }
        for field in overlay.offered(known.built_in)
        if field.name in known.changes or (field.name not in ELSEWHERE and _value(known, field.name))
    ]


def _problems(known: Known) -> list[str]:
    return [f"{FIELDS[name].label if name in FIELDS else name}: {text}" for name, text in known.problems.items()]


def _value(known: Known, name: str) -> Any:
    return known.changes.get(name, FIELDS[name].of(known.preset))


def _told(known: Known, name: str) -> str:
    return FIELDS[name].kind.tell(_value(known, name)) or "nothing"


def _built_in(known: Known, name: str) -> str:
    return FIELDS[name].kind.tell(FIELDS[name].of(known.built_in)) or "nothing"


def _age(known: Known, today: date) -> str:
    """ "Surveyed 3 months ago", or who says otherwise."""
    days = (today - known.preset.verified).days
    said = "Verified by us" if "verified" in known.changes else "Surveyed"
    for unit, length in (("year", 365), ("month", 30), ("day", 1)):
        if days >= length:
            count = days // length
            return f"{said} {count} {unit}{'' if count == 1 else 's'} ago"
    return f"{said} today"


def _saved(after: Known) -> str:
    count = len(after.changes)
    if not count:
        return f"{after.preset.label} was saved and has the built-in values."
    differ = "1 value differs" if count == 1 else f"{count} values differ"
    return f"{after.preset.label} was saved: {differ} from the built-in ones."
