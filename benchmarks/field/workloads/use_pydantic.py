"""pydantic: a nested model is validated and dumped; a wrong one is refused."""

import pydantic


class Item(pydantic.BaseModel):
    """What a shop has."""

    name: str
    price: float


class Shop(pydantic.BaseModel):
    """The outer model."""

    name: str
    items: list[Item]


DATA = {"name": "shop", "items": [{"name": f"item {n}", "price": "1.5"} for n in range(10)]}


def job() -> None:
    """One model's life, and that of a model made on the way."""
    shop = Shop(**DATA)
    (shop.model_dump_json if hasattr(shop, "model_dump_json") else shop.json)()
    try:
        Shop(name="shop", items=[{"name": "no price"}])
    except pydantic.ValidationError as error:
        str(error)
