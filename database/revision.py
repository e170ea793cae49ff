"""The figures' revision: a token in the database that changes with whatever changes an answer.

Equal revisions mean equal figures, so an answer may be cached until the revision changes. Every
session changes it in the transaction that changes a table of figures; any other change that shows
in an answer calls `raise_revision`.
"""

from __future__ import annotations

import secrets
from typing import Any, Final

from sqlalchemy import BigInteger, SmallInteger, event
from sqlalchemy.orm import Mapped, ORMExecuteState, Session, mapped_column

from database.engine import Base
from database.upsert import upsert

SELECT_REVISION: Final = "SELECT value FROM revision WHERE id = 1"
ONLY_ROW: Final = 1

_CHANGED = "figures_changed"


class Revision(Base):
    """The one row that holds the revision.

    The value is random, not counted: a database restored from a backup must not reach the number
    of another state whose answers a process still caches.
    """

    __tablename__ = "revision"

    id: Mapped[int] = mapped_column(SmallInteger, primary_key=True, autoincrement=False)
    value: Mapped[int] = mapped_column(BigInteger)


def raise_revision(session: Session) -> None:
    """Change the revision when this session's transaction is committed."""
    session.info[_CHANGED] = True


def holds_figures(model: object) -> bool:
    """Return whether a mapped class or instance is a table of figures."""
    return bool(getattr(model, "holds_figures", False))


@event.listens_for(Session, "do_orm_execute")
def _note_statement(state: ORMExecuteState) -> None:
    changes = state.is_insert or state.is_update or state.is_delete
    if changes and state.bind_mapper is not None and holds_figures(state.bind_mapper.class_):
        raise_revision(state.session)


@event.listens_for(Session, "after_flush")
def _note_flush(session: Session, _context: Any) -> None:
    for instance in (*session.new, *session.dirty, *session.deleted):
        if holds_figures(instance):
            raise_revision(session)
            return


@event.listens_for(Session, "before_commit")
def _change_revision(session: Session) -> None:
    session.flush()
    # The last statement of the transaction, so that its row is locked for no longer than need be.
    if session.info.pop(_CHANGED, False):
        value = secrets.randbits(62)
        upsert(session, Revision, "id", {"id": ONLY_ROW, "value": value}, {"value": value})


@event.listens_for(Session, "after_rollback")
def _forget_change(session: Session) -> None:
    session.info.pop(_CHANGED, None)
