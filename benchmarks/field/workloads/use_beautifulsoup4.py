"""beautifulsoup4: a page is parsed, searched and changed."""

from bs4 import BeautifulSoup

PAGE = "<html><body>" + "<p class='a'>text <a href='/x'>link</a></p>" * 30 + "</body></html>"


def job() -> None:
    """One page's life."""
    soup = BeautifulSoup(PAGE, "html.parser")
    assert len(soup.select("p.a > a")) == 30
    for link in soup.find_all("a"):
        link.string = "changed"
    str(soup)
