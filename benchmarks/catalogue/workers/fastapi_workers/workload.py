"""A new player's first move."""


async def play(client):
    move = {"player": "ada", "board": [300 + field for field in range(64)]}
    (await client.post("/moves", json=move)).raise_for_status()
