"""peewee: rows in two tables are added, joined, queried and deleted."""

from itertools import count

import peewee

DATABASE = peewee.SqliteDatabase(":memory:")
NUMBERS = count()


class Shop(peewee.Model):
    """One of the two tables."""

    name = peewee.CharField()

    class Meta:  # noqa: D106 - peewee's own name for it
        database = DATABASE


class Item(peewee.Model):
    """The other one."""

    name = peewee.CharField()
    shop = peewee.ForeignKeyField(Shop, backref="items")

    class Meta:  # noqa: D106 - peewee's own name for it
        database = DATABASE


DATABASE.create_tables([Shop, Item])


def job() -> None:
    """Rows come and go."""
    shop = Shop.create(name=f"shop {next(NUMBERS)}")
    for number in range(10):
        Item.create(name=f"item {number}", shop=shop)
    assert len(list(Item.select().join(Shop).where(Shop.name == shop.name))) == 10
    shop.delete_instance(recursive=True)
