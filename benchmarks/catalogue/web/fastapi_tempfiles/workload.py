"""The report of May."""


def fetch(client):
    assert client.get("/reports/5").text.count("quiet") == 30
