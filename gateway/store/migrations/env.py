"""Alembic's entry: runs the migrations on the connection that it is given; see `gateway.store.migrate`."""

from alembic import context

from gateway.store.schema import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
