from django.urls import path

from servers.alerts import views

app_name = "alerts"
urlpatterns = [
    path("", views.index, name="list"),
    path("<int:pk>/", views.alert, name="alert"),
    path("<int:pk>/close/", views.close, name="close"),
]
