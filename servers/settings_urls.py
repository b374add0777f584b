from django.urls import path

from servers.views import keys

app_name = "keys"
urlpatterns = [
    path("", keys.index, name="list"),
    path("add/", keys.add, name="add"),
    path("<uuid:pk>/", keys.key, name="key"),
    path("<uuid:pk>/delete/", keys.delete, name="delete"),
]
