"""The history of the tables, for Alembic; applied when a gateway starts."""
