from controlpanel.access.gate import Permission, needs
from controlpanel.access.models import AuditEntry, User
from controlpanel.web import page
from controlpanel.web.listing import Filter, Listing, csv_response

EXPORT_ROWS = 50_000


def _filters() -> list[Filter]:
    kinds = AuditEntry.objects.order_by("subject_kind").values_list("subject_kind", flat=True).distinct()
    verbs = AuditEntry.objects.order_by("verb").values_list("verb", flat=True).distinct()
    people = [(str(person.pk), str(person)) for person in User.objects.all()]
    return [
        Filter("by", "Who", people, lambda rows, value: rows.filter(actor=value)),
        Filter("verb", "Did", [(v, v) for v in verbs], lambda rows, value: rows.filter(verb=value)),
        Filter("kind", "To", [(k, k) for k in kinds], lambda rows, value: rows.filter(subject_kind=value)),
    ]


@needs(Permission.AUDIT)
def index(request):
    listing = Listing(
        request,
        AuditEntry.objects.all(),
        search=("subject_name__icontains", "actor_name__icontains", "verb__icontains"),
        filters=_filters(),
        sorts={"at": ("id",)},
        default_sort="-at",
    )
    if request.GET.get("format") == "csv":
        rows = listing.queryset[:EXPORT_ROWS].iterator(chunk_size=2000)
        return csv_response(
            "fleetpost-audit.csv",
            ["at", "who", "did", "kind", "id", "name", "detail"],
            (
                [e.at.isoformat(), e.actor_name, e.verb, e.subject_kind, e.subject_id, e.subject_name, e.detail]
                for e in rows
            ),
        )
    return page.render(request, "access/audit.html", {"listing": listing})
