"""Mounts. Everything needs a signed-in person except sign-in itself and the health check."""

from django.urls import include, path

urlpatterns = [
    path("accounts/", include("allauth.urls")),
]
