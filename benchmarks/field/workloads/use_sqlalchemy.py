"""SQLAlchemy: rows in two tables are added, joined, queried and deleted."""

from itertools import count

from sqlalchemy import ForeignKey, create_engine, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from sqlalchemy.pool import StaticPool


class Base(DeclarativeBase):
    """The tables."""


class Shop(Base):
    """One of the two tables."""

    __tablename__ = "shops"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    items: Mapped[list["Item"]] = relationship(back_populates="shop", cascade="all, delete-orphan")


class Item(Base):
    """The other one."""

    __tablename__ = "items"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    shop_id: Mapped[int] = mapped_column(ForeignKey("shops.id"))
    shop: Mapped[Shop] = relationship(back_populates="items")


ENGINE = create_engine("sqlite://", poolclass=StaticPool)
Base.metadata.create_all(ENGINE)
NUMBERS = count()


def job() -> None:
    """One session's life."""
    name = f"shop {next(NUMBERS)}"
    with Session(ENGINE) as session:
        session.add(Shop(name=name, items=[Item(name=f"item {n}") for n in range(10)]))
        session.commit()
        found = session.scalars(select(Item).join(Shop).where(Shop.name == name)).all()
        assert len(found) == 10
        session.delete(found[0].shop)
        session.commit()
