"""The database's own refusal to alter the audit log, for those who get past the model."""

TABLE = "access_auditentry"
REFUSAL = "the audit log is append-only"
_OPERATIONS = ("UPDATE", "DELETE")


def install(schema) -> None:
    vendor = schema.connection.vendor
    for statement in _postgresql() if vendor == "postgresql" else _sqlite():
        schema.execute(statement)


def remove(schema) -> None:
    on_table = f" ON {TABLE}" if schema.connection.vendor == "postgresql" else ""
    for operation in (*_OPERATIONS, "TRUNCATE"):
        schema.execute(f"DROP TRIGGER IF EXISTS audit_no_{operation.lower()}{on_table}")


def _sqlite() -> list[str]:
    return [
        f"CREATE TRIGGER audit_no_{operation.lower()} BEFORE {operation} ON {TABLE} "
        f"BEGIN SELECT RAISE(ABORT, '{REFUSAL}'); END"
        for operation in _OPERATIONS
    ]


def _postgresql() -> list[str]:
    return [
        "CREATE OR REPLACE FUNCTION audit_append_only() RETURNS trigger LANGUAGE plpgsql AS "
        f"$$ BEGIN RAISE EXCEPTION '{REFUSAL}'; END $$",
        *(
            f"CREATE TRIGGER audit_no_{operation.lower()} BEFORE {operation} ON {TABLE} "
            "FOR EACH STATEMENT EXECUTE FUNCTION audit_append_only()"
            for operation in (*_OPERATIONS, "TRUNCATE")
        ),
    ]
