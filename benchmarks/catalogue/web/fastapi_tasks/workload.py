"""Two sign up, and only one of them confirms."""


async def sign_up(client):
    first, _ = [
        (await client.post("/signups", params={"address": f"{name}@example.org"})).json()
        for name in ("ada", "bob")
    ]
    (await client.post(f"/confirmations/{first['code']}")).raise_for_status()
