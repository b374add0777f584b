"""Sign-in, profile, people and audit."""

from django.urls import include, path

from controlpanel.access.views import audit, links, people, profile

people_urls = [
    path("", people.index, name="list"),
    path("invite/", people.invite, name="invite"),
    path("<int:pk>/", people.person, name="person"),
    path("<int:pk>/deactivate/", people.deactivate, name="deactivate"),
    path("<int:pk>/reactivate/", people.reactivate, name="reactivate"),
    path("<int:pk>/link/", people.new_link, name="link"),
    path("<int:pk>/second-factors/", people.remove_second_factors, name="second_factors"),
]
audit_urls = [path("", audit.index, name="list")]

urlpatterns = [
    path("sign-in/<str:token>/", links.sign_in, name="sign_in_link"),
    path("profile/password/", links.choose_password, name="choose_password"),
    path("profile/", profile.profile, name="profile"),
    path("settings/people/", include((people_urls, "people"))),
    path("settings/audit/", include((audit_urls, "audit"))),
]
