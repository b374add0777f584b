from django.contrib import messages
from django.db.models import Q
from django.shortcuts import get_object_or_404
from django.urls import reverse
from django.views.decorators.http import require_POST

from controlpanel.access import links, people
from controlpanel.access.forms import InviteForm, PersonForm
from controlpanel.access.gate import Permission, needs
from controlpanel.access.models import Role, User
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing

_STATES = {"active": Q(is_active=True), "inactive": Q(is_active=False)}
_FILTERS = (
    Filter("role", "Role", Role.choices, lambda rows, value: rows.filter(role=value)),
    Filter(
        "state",
        "State",
        [("active", "Active"), ("inactive", "Deactivated")],
        lambda rows, value: rows.filter(_STATES[value]),
    ),
)


@needs(Permission.PEOPLE)
def index(request):
    listing = Listing(
        request,
        User.objects.all(),
        search=("email__icontains", "name__icontains"),
        filters=_FILTERS,
        sorts={"email": ("email",), "role": ("role", "email"), "seen": ("-last_login",)},
        default_sort="email",
    )
    return page.render(request, "access/people.html", {"listing": listing})


@needs(Permission.PEOPLE)
def invite(request):
    form = InviteForm(request.POST or None)
    if request.method == "POST" and form.is_valid():
        try:
            someone, token = people.invite(**form.cleaned_data, by=request.user)
        except people.AlreadyHere as error:
            form.add_error("email", f"{error.__doc__} {error.hint}")
        else:
            return _show_link(request, someone, token)
    return page.render(request, "access/invite.html", {"form": form}, status=page.REFUSED if form.errors else 200)


@needs(Permission.PEOPLE)
def person(request, pk: int):
    someone = get_object_or_404(User, pk=pk)
    form = PersonForm(request.POST or None, initial={"name": someone.name, "role": someone.role})
    if request.method == "POST" and form.is_valid():
        try:
            people.change(someone, **form.cleaned_data, by=request.user)
        except people.LastAdministrator as error:
            form.add_error("role", f"{error.__doc__} {error.hint}")
        else:
            messages.success(request, f"{someone} saved.")
            return page.go(request, "people:person", pk)
    context = {"person": someone, "form": form, "second_factors": someone.authenticator_set.count()}
    if someone.role == Role.CUSTOMER:
        context["assigned"] = someone.servers.filter(archived_at=None)
    return page.render(request, "access/person.html", context, status=page.REFUSED if form.errors else 200)


@needs(Permission.PEOPLE)
def deactivate(request, pk: int):
    someone = get_object_or_404(User, pk=pk, is_active=True)
    if request.method == "POST":
        try:
            people.deactivate(someone, by=request.user)
            messages.success(request, f"{someone} is deactivated.")
        except people.LastAdministrator as error:
            messages.error(request, f"{error.__doc__} {error.hint}")
        return page.go(request, "people:person", pk)
    return page.render(
        request,
        "components/confirm.html",
        {
            "heading": f"Deactivate {someone}",
            "effects": [
                f"{someone} is signed out everywhere and cannot sign in.",
                "Sign-in links that were made and not used end.",
                "Jobs and audit entries keep the name. You can reactivate the person later.",
            ],
            "verb": f"Deactivate {someone}",
            "cancel_url": reverse("people:person", args=[pk]),
        },
    )


@needs(Permission.PEOPLE)
@require_POST
def reactivate(request, pk: int):
    someone = get_object_or_404(User, pk=pk, is_active=False)
    people.reactivate(someone, by=request.user)
    messages.success(request, f"{someone} can sign in again.")
    return page.go(request, "people:person", pk)


@needs(Permission.PEOPLE)
@require_POST
def new_link(request, pk: int):
    someone = get_object_or_404(User, pk=pk, is_active=True)
    return _show_link(request, someone, people.new_link(someone, by=request.user))


@needs(Permission.PEOPLE)
def remove_second_factors(request, pk: int):
    someone = get_object_or_404(User, pk=pk)
    count = someone.authenticator_set.count()
    if request.method == "POST":
        people.remove_second_factors(someone, by=request.user)
        messages.success(request, f"{someone} signs in with the password alone now.")
        return page.go(request, "people:person", pk)
    return page.render(
        request,
        "components/confirm.html",
        {
            "heading": f"Remove the second factors of {someone}",
            "effects": [
                f"{count} second factor{'s' if count != 1 else ''} (app, passkeys, recovery codes) will be removed.",
                f"Until {someone} sets one up again, the password alone is enough to sign in.",
            ],
            "verb": "Remove second factors",
            "cancel_url": reverse("people:person", args=[pk]),
        },
    )


def _show_link(request, someone: User, token: str):
    """Answers the POST itself: the link is in no session, cookie or address, and a reload does not show it again."""
    hours = int(links.VALID_FOR.total_seconds() // 3600)
    return page.render(request, "access/link.html", {"person": someone, "link": links.url(token), "hours": hours})
