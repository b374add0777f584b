"""Mounts. Everything needs a signed-in person except sign-in itself and the health check."""

from django.contrib.auth.decorators import login_not_required
from django.http import Http404
from django.urls import include, path
from django.views.generic import RedirectView

from controlpanel import dashboard, testmails


@login_not_required
def _not_offered(request, **kwargs):
    """Sign-up, and whatever would need to send mail: people are invited, and passwords renewed, by one-time link."""
    raise Http404


urlpatterns = [
    path("", dashboard.dashboard, name="dashboard"),
    path("test-emails/", testmails.index, name="test-emails"),
    path("healthz", dashboard.healthz, name="healthz"),
    path("accounts/signup/", _not_offered, name="account_signup"),
    path("accounts/email/", _not_offered, name="account_email"),
    path("accounts/confirm-email/", _not_offered),
    path("accounts/confirm-email/<path:rest>", _not_offered),
    path("accounts/password/reset/", _not_offered, name="account_reset_password"),
    path("accounts/password/reset/<path:rest>", _not_offered),
    path("accounts/login/code/<path:rest>", _not_offered),
    path("accounts/password/set/", RedirectView.as_view(pattern_name="choose_password"), name="account_set_password"),
    path("accounts/", include("allauth.urls")),
    path("", include("controlpanel.access.urls")),
    path("servers/", include("servers.urls")),
    path("jobs/", include("servers.jobs.urls")),
    path("settings/gateway/", include("gateway.settings_urls")),
    path("domains/", include("gateway.deliverability.urls")),
    path("settings/keys/", include("servers.settings_urls")),
    path("settings/alerts/", include("servers.alerts.settings_urls")),
    path("alerts/", include("servers.alerts.urls")),
]
