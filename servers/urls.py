"""Server pages, and below each server the pages of every service of the catalogue."""

from importlib import import_module

from django.urls import include, path

from servers import catalog
from servers.views import bulk, enrol, listing, saved_filters, server, settings, transfer

_pages = [
    path("", listing.index, name="list"),
    path("archived/", listing.index, {"archived": True}, name="archived"),
    path("bulk/<slug:service>/<slug:slug>/", bulk.ask, name="bulk"),
    path("filters/", saved_filters.keep, name="keep-filter"),
    path("filters/<int:pk>/delete/", saved_filters.delete, name="delete-filter"),
    path("add/", enrol.add, name="add"),
    path("import/", transfer.start, name="import"),
    path("import/<uuid:token>/", transfer.draft, name="import-draft"),
    path("import/<uuid:token>/done/", transfer.done, name="import-done"),
    path("export/", transfer.export, name="export"),
    path("<uuid:pk>/", server.overview, name="server"),
    path("<uuid:pk>/services/", server.services, name="services"),
    path("<uuid:pk>/jobs/", server.jobs, name="jobs"),
    path("<uuid:pk>/settings/", settings.settings, name="settings"),
    path("<uuid:pk>/settings/sign-in/", settings.sign_in, name="settings-sign-in"),
    path("<uuid:pk>/settings/people/", settings.people, name="people"),
    path("<uuid:pk>/setup/", enrol.setup, name="setup"),
    path("<uuid:pk>/setup/sign-in/", enrol.sign_in, name="sign-in"),
    path("<uuid:pk>/check/", enrol.check, name="check"),
    path("<uuid:pk>/host-key/accept/", enrol.pin, name="pin"),
    path("<uuid:pk>/host-key/refuse/", enrol.refuse, name="refuse"),
    path("<uuid:pk>/archive/", settings.archive, name="archive"),
    path("<uuid:pk>/restore/", settings.restore, name="restore"),
    path("<uuid:pk>/delete/", settings.delete, name="delete"),
]


def _mount(service: catalog.Service):
    pages = import_module(service.urls).urlpatterns
    return path(f"<uuid:pk>/services/{service.slug}/", include((pages, service.slug)))


urlpatterns = [
    path("", include((_pages, "servers"))),
    *(_mount(service) for service in catalog.services() if not service.hidden),
]
