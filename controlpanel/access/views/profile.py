from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.db import transaction

from controlpanel.access import audit
from controlpanel.access.forms import ProfileForm
from controlpanel.access.gate import own_page
from controlpanel.access.models import User
from controlpanel.web import page


@own_page
def profile(request):
    form = ProfileForm(request.POST or None, instance=User.objects.get(pk=request.user.pk))
    context = {
        "form": form,
        "second_factor": is_mfa_enabled(request.user),
        "sessions": request.user.usersession_set.count(),
    }
    if request.method == "POST":
        if not form.is_valid():
            return page.refused(request, "account/profile.html", context)
        with transaction.atomic():
            form.save()
            if form.changed_data:
                audit.record(request.user, "changed own profile", request.user, fields=form.changed_data)
        messages.success(request, "Profile saved.")
        return page.go(request, "profile")
    return page.render(request, "account/profile.html", context)
