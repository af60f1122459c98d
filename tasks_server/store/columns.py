"""Kinds of columns and indexes that several tables of the record have."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, Text
from sqlalchemy import text as sql


def text() -> Column[str]:
    return Column(Text, nullable=False)


def optional_text() -> Column[str]:
    return Column(Text, nullable=True)


def millis() -> Column[int]:
    return Column(BigInteger, nullable=False)


def optional_millis() -> Column[int]:
    return Column(BigInteger, nullable=True)


def count(default: int = 0) -> Column[int]:
    return Column(Integer, nullable=False, server_default=sql(str(default)))


def of_task(*, primary_key: bool = False) -> Column[str]:
    return Column(Text, ForeignKey("task.id", ondelete="CASCADE"), primary_key=primary_key, nullable=False)


def index_where(condition: str, name: str, *columns: str, unique: bool = False) -> Index:
    """A partial index: of the rows that meet the condition."""
    where = sql(condition)
    return Index(name, *columns, unique=unique, sqlite_where=where, postgresql_where=where)
