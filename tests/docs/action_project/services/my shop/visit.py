"""What drives the application and the server."""


def visit(client):
    client.get("/").raise_for_status()
