"""Somebody opens the page, sees two goals, and closes it."""

GOALS = [{"game": "home - away", "score": f"{n}:0"} for n in (1, 2)]


async def watch(client):
    async with client.stream("GET", "/events") as page:
        lines = page.aiter_lines()
        assert (await anext(lines)).startswith(":")
        for goal in GOALS:
            (await client.post("/scores", json=goal)).raise_for_status()
        seen = 0
        async for line in lines:
            seen += line.startswith("data:")
            if seen == len(GOALS):
                break
