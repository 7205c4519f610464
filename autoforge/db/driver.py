"""Our asynchronous SQLite driver as SQLAlchemy knows it: the dialect ``sqlite+autoforge``.

The work is done in :mod:`autoforge.db.connection`; here is only where SQLAlchemy asks for it.
"""

from __future__ import annotations

from typing import Any, cast

from sqlalchemy import pool
from sqlalchemy.dialects import registry
from sqlalchemy.dialects.sqlite.base import SQLiteExecutionContext
from sqlalchemy.dialects.sqlite.pysqlite import SQLiteDialect_pysqlite
from sqlalchemy.util.concurrency import await_

from autoforge.db.connection import SQLiteConnection, dbapi, open_connection
from autoforge.db.statements import BOUNDED

__all__ = ["AutoforgeSQLiteDialect", "SQLiteConnection", "dbapi"]


class AutoforgeExecutionContext(SQLiteExecutionContext):
    def create_server_side_cursor(self) -> Any:
        return cast(Any, self._dbapi_connection).cursor(server_side=True)


class AutoforgeSQLiteDialect(SQLiteDialect_pysqlite):
    """``sqlite+autoforge``; connect arguments: ``opening``, an :class:`Opening`."""

    driver = "autoforge"
    is_async = True
    supports_statement_cache = True
    supports_server_side_cursors = True
    execution_ctx_cls = AutoforgeExecutionContext

    @classmethod
    def import_dbapi(cls) -> Any:
        return dbapi.dbapi2

    @classmethod
    def get_pool_class(cls, url: Any) -> type[pool.Pool]:
        return pool.NullPool

    def on_connect(self) -> Any:
        return None  # the usual one defines functions that we have no use for

    def get_driver_connection(self, connection: Any) -> Any:
        return connection._connection

    def connect(self, *args: Any, **options: Any) -> Any:
        return await_(open_connection(options["opening"]))

    def do_execute(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if context is None:
            cursor.execute(statement, parameters)
            return
        # Interrupting a select is harmless; interrupting a write would roll back the whole transaction.
        invoked = context.invoked_statement
        reads = cursor.owner.read_only or (invoked is not None and invoked.is_select)
        if context.execution_options.get(BOUNDED):
            cursor.execute_inline(statement, parameters, reads=reads)
        else:
            cursor.execute(statement, parameters, reads=reads)

    def do_executemany(self, cursor: Any, statement: str, parameters: Any, context: Any = None) -> None:
        if context is not None and context.execution_options.get(BOUNDED):
            cursor.executemany_inline(statement, parameters)
        else:
            cursor.executemany(statement, parameters)

    def do_execute_no_params(self, cursor: Any, statement: str, context: Any = None) -> None:
        self.do_execute(cursor, statement, (), context)


registry.register("sqlite.autoforge", __name__, "AutoforgeSQLiteDialect")
