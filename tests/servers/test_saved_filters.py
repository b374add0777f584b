import pytest
from django.core.exceptions import ValidationError
from django.urls import reverse

from servers import saved_filters
from servers.models import SavedFilter
from tests import factories
from tests.servers import naughty

pytestmark = pytest.mark.django_db
LIST = reverse("servers:list")


def test_a_search_is_kept_listed_and_dropped_again(viewer_client):
    factories.ServerFactory(tags=["eu"])
    answer = viewer_client.post(reverse("servers:keep-filter"), {"name": "Europe", "query": "tag=eu&page=3&q="})
    assert answer["Location"] == f"{LIST}?tag=eu"
    kept = viewer_client.get(LIST).context["saved"]
    assert [(row.name, row.query) for row in kept] == [("Europe", "tag=eu")]
    viewer_client.post(reverse("servers:delete-filter", args=[kept[0].pk]))
    assert viewer_client.get(LIST).context["saved"] == []


def test_everybody_has_his_own(viewer_client, operator):
    theirs = saved_filters.keep(operator, "Mine", "q=web")
    assert viewer_client.get(LIST).context["saved"] == []
    viewer_client.post(reverse("servers:delete-filter", args=[theirs.pk]))
    assert SavedFilter.objects.get() == theirs


def test_the_same_name_replaces(viewer):
    saved_filters.keep(viewer, "Mine", "q=web")
    saved_filters.keep(viewer, " Mine ", "q=shop")
    assert SavedFilter.objects.get().query == "q=shop"


def test_fifty_are_enough_and_the_fiftieth_may_still_change(viewer):
    for number in range(saved_filters.MOST):
        saved_filters.keep(viewer, f"filter {number}", "q=web")
    with pytest.raises(ValidationError, match="50 filters"):
        saved_filters.keep(viewer, "one more", "q=web")
    assert saved_filters.keep(viewer, "filter 49", "q=shop").query == "q=shop"


@pytest.mark.parametrize(
    ("name", "query"), [("", "q=a"), ("x" * 61, "q=a"), ("Mine", ""), ("Mine", "page=2"), ("Mine", "q=" + "x" * 600)]
)
def test_what_cannot_be_kept_is_said_and_the_search_stays(viewer_client, name, query):
    answer = viewer_client.post(reverse("servers:keep-filter"), {"name": name, "query": query})
    assert answer["Location"].startswith(LIST)
    assert not SavedFilter.objects.exists()
    assert list(viewer_client.get(answer["Location"]).context["messages"])


@pytest.mark.parametrize("text", naughty.HOSTILE)
def test_hostile_names_and_queries_are_text_on_this_host(viewer_client, text):
    text = text.encode("utf-8", "replace").decode()
    for sent in ({"name": text, "query": "q=a"}, {"name": "Mine", "query": text}, {"name": "M", "query": f"q={text}"}):
        answer = viewer_client.post(reverse("servers:keep-filter"), sent)
        assert answer["Location"].startswith(LIST)
        assert "<script>alert" not in viewer_client.get(LIST).content.decode()
