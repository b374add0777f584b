from django.urls import path

from gateway.deliverability import views

app_name = "domains"
urlpatterns = [
    path("", views.index, name="list"),
    path("add/", views.add, name="add"),
    path("check/", views.check_all, name="check-all"),
    path("<str:name>/", views.domain_page, name="domain"),
    path("<str:name>/check/", views.check, name="check"),
    path("<str:name>/selectors/", views.selectors, name="selectors"),
    path("<str:name>/remove/", views.remove, name="remove"),
]
