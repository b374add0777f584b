from django.urls import path

from servers.alerts import views

app_name = "alert-routes"
urlpatterns = [
    path("", views.settings, name="list"),
    path("add/<slug:way>/", views.add, name="add"),
    path("<uuid:pk>/", views.edit, name="edit"),
    path("<uuid:pk>/test/", views.test, name="test"),
    path("<uuid:pk>/delete/", views.delete, name="delete"),
]
