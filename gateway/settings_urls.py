from django.urls import path

from gateway import settings_views as views

app_name = "smarthosts"
urlpatterns = [
    path("", views.smarthosts_list, name="list"),
    path("add/", views.add, name="add"),
    path("<uuid:pk>/", views.edit, name="edit"),
    path("<uuid:pk>/default/", views.default, name="default"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
]
