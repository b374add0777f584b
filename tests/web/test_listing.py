import pytest

from controlpanel.access.models import Role, User
from controlpanel.web.listing import Filter, Listing, csv_response, safe_cell
from tests import factories

pytestmark = pytest.mark.django_db
ROLE = Filter("role", "Role", Role.choices, lambda rows, value: rows.filter(role=value))


@pytest.fixture
def people():
    return [factories.UserFactory(email=f"p{n}@example.com", role=role) for n, role in enumerate(Role.values)]


def listing(rf, query: dict, **changes) -> Listing:
    options = {
        "search": ("email__icontains", "name__icontains"),
        "filters": (ROLE,),
        "sorts": {"email": ("email",), "role": ("role", "-email")},
        "default_sort": "email",
    }
    return Listing(rf.get("/people/", query), User.objects.all(), **(options | changes))


def emails(found: Listing) -> list[str]:
    return [person.email for person in found.rows]


def test_words_are_joined_by_and(rf, people):
    assert emails(listing(rf, {"q": "p1 example"})) == ["p1@example.com"]
    assert emails(listing(rf, {"q": "p1 p2"})) == []


def test_sorting_turns_round(rf, people):
    assert emails(listing(rf, {"sort": "-email"})) == [f"p{n}@example.com" for n in (3, 2, 1, 0)]
    down = listing(rf, {"sort": "-role"}).queryset.query.order_by
    assert down == ("-role", "email")


@pytest.mark.parametrize(
    "query",
    [
        {"password__startswith": "a"},
        {"role__in": "administrator"},
        {"role": "x' OR 1=1"},
        {"sort": "password"},
        {"sort": "-password"},
        {"page": "-1"},
        {"page": "many"},
        {"q": "\0"},
    ],
)
def test_parameters_outside_the_allow_list_change_nothing(rf, people, query):
    assert emails(listing(rf, query)) == emails(listing(rf, {}))


def test_links_keep_the_search_and_go_back_to_page_one(rf, people):
    found = listing(rf, {"q": "p", "role": "", "page": "2", "evil": "1"}, per_page=1)
    assert found.sort_link("role")["url"] == "/people/?q=p&sort=role"
    assert found.next_url == "/people/?q=p&page=3"
    assert found.previous_url == "/people/?q=p&page=1"


def test_a_column_says_how_it_is_sorted(rf, people):
    assert listing(rf, {}).sort_link("email") == {"url": "/people/?sort=-email", "direction": "ascending"}
    assert listing(rf, {"sort": "-email"}).sort_link("email")["direction"] == "descending"


@pytest.mark.parametrize("cell", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "  =1", "＝1", "\n=1"])
def test_no_cell_is_a_formula(cell):
    assert safe_cell(cell).startswith("'")


def test_ordinary_cells_are_left_alone():
    assert [safe_cell(value) for value in ("web-1", 5, None, "a=b")] == ["web-1", "5", "", "a=b"]


def test_an_export_is_a_download():
    answer = csv_response("x.csv", ["a"], [["=1"], ['say "hi"']])
    assert answer.content.decode() == 'a\r\n\'=1\r\n"say ""hi"""\r\n'
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
