"""Entered by alembic, with the connection to migrate. The caller holds the transaction."""

from alembic import context

from serve_app.control.schema import METADATA

context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=METADATA,
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
