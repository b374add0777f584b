from django.urls import path

from gateway import guess_views, preset_views, rotation_views
from gateway import settings_views as views

app_name = "smarthosts"
urlpatterns = [
    path("", views.smarthosts_list, name="list"),
    path("add/", views.add, name="add"),
    path("guess/", guess_views.guess_account, name="guess"),
    path("presets/", preset_views.index, name="presets"),
    path("presets/<slug:preset>/", preset_views.preset, name="preset"),
    path("presets/<slug:preset>/edit/", preset_views.edit, name="preset-edit"),
    path("presets/<slug:preset>/reset/", preset_views.reset, name="preset-reset"),
    path("<uuid:pk>/", views.edit, name="edit"),
    path("<uuid:pk>/default/", views.default, name="default"),
    path("<uuid:pk>/roll-out/", rotation_views.roll_out, name="roll-out"),
    path("<uuid:pk>/roll-back/", rotation_views.roll_back, name="roll-back"),
    path("<uuid:pk>/forget/", rotation_views.forget, name="forget"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
]
