"""Settings → Email gateway: the shared SMTP providers. Administrators only."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_POST

from controlpanel.access.gate import Permission, needs
from controlpanel.web import page
from gateway import overrides, rotation, rules, sharing, smarthosts, values
from gateway.forms import SmarthostForm
from gateway.models import Smarthost
from gateway.providers import limits, presets
from gateway.providers.preset import Preset

FORM = "gateway/smarthost.html"
CARRIED = ("name", *values.FREE, "port", "tls")


@needs(Permission.SETTINGS)
def smarthosts_list(request: HttpRequest) -> HttpResponse:
    rows, known = list(Smarthost.objects.shared().with_use()), {preset.slug: preset for preset in overrides.all()}
    for row in rows:
        row.label, row.warnings = rules.label(row.preset), rules.warnings(row, preset=known[row.preset])
    return page.render(request, "gateway/smarthosts.html", {"smarthosts": rows})


@needs(Permission.SETTINGS)
@sensitive_post_parameters()
def add(request: HttpRequest) -> HttpResponse:
    form = SmarthostForm(request.POST or None, preset=_preset(request), initial=_carried(request))
    return _edit(request, form)


@needs(Permission.SETTINGS)
@sensitive_post_parameters()
def edit(request: HttpRequest, pk) -> HttpResponse:
    smarthost = get_object_or_404(Smarthost.objects.shared().with_use(), pk=pk)
    preset = _preset(request, smarthost.preset)
    form = SmarthostForm(request.POST or None, preset=preset, smarthost=smarthost, initial=_carried(request))
    return _edit(request, form)


@needs(Permission.SETTINGS)
@require_POST
def default(request: HttpRequest, pk) -> HttpResponse:
    smarthost = get_object_or_404(Smarthost.objects.shared(), pk=pk)
    smarthosts.set_default(smarthost, by=request.user)
    messages.success(request, f"{smarthost} is the default provider.")
    return page.go(request, "smarthosts:list")


@needs(Permission.SETTINGS)
def delete(request: HttpRequest, pk) -> HttpResponse:
    smarthost = get_object_or_404(Smarthost.objects.shared().with_use(), pk=pk)
    if request.method == "POST":
        try:
            smarthosts.delete(smarthost, by=request.user)
            messages.success(request, f"{smarthost} was deleted.")
        except smarthosts.InUse as error:
            messages.error(request, f"{error} {error.hint}")
        return page.go(request, "smarthosts:list")
    context = {
        "heading": f"Delete {smarthost}",
        "effects": [
            "The account's values and its password are deleted from this panel.",
            "Nothing changes on any server: no gateway uses it.",
        ],
        "verb": f"Delete {smarthost}",
        "cancel_url": reverse("smarthosts:list"),
    }
    return page.render(request, "gateway/smarthost_delete.html", {"smarthost": smarthost, **context})


def _edit(request: HttpRequest, form: SmarthostForm) -> HttpResponse:
    context = {"form": form, "smarthost": form.smarthost, "preset": form.preset, "presets": overrides.labels()}
    use = rotation.use(form.smarthost) if form.smarthost else None
    if use:
        context |= {"use": use, "under_way": rotation.under_way(form.smarthost)}
        context |= {"division": sharing.division(form.smarthost), "reached": rotation.targets(form.smarthost).count()}
    picked = form.smarthost is None or form.smarthost.preset != form.preset.slug
    users = use.installed + use.waiting if use else 1
    context["share"] = limits.share(form.preset, users) if picked else context["division"].share
    if request.method != "POST":
        return page.render(request, FORM, context)
    saved = form.save(by=request.user) if form.is_valid() else None
    if saved is None:
        return page.refused(request, FORM, context)
    smarthost, wiped = saved
    messages.success(request, f"{smarthost} was saved.")
    if wiped:
        messages.warning(
            request,
            "The stored password was deleted, because the server, port or user name changed or the encryption got "
            "weaker: it is never sent anywhere else. Type the password for the new values.",
        )
    for warning in rules.warnings(smarthost, typed=form.cleaned_data.get("password") is not None):
        messages.warning(request, warning)
    stay = wiped or rotation.use(smarthost).behind  # the next step is on the provider's page
    return page.go(request, "smarthosts:edit", smarthost.pk) if stay else page.go(request, "smarthosts:list")


def _preset(request: HttpRequest, stored: str = "generic") -> Preset:
    slug = request.POST.get("preset") or request.GET.get("preset") or stored
    return overrides.preset(slug if slug in presets.slugs() else "generic")


def _carried(request: HttpRequest) -> dict:
    """What was typed before another preset was picked. Never a password or user name: this is in the address."""
    return {name: request.GET[name] for name in CARRIED if name in request.GET}
