"""lxml: a document is parsed, searched, transformed and written; a broken one is refused."""

import contextlib

from lxml import etree

TEXT = b"<shop>" + b"".join(b"<item n='%d'>name</item>" % n for n in range(50)) + b"</shop>"
SHEET = etree.XSLT(
    etree.XML(
        b'<xsl:stylesheet version="1.0" xmlns:xsl="http://www.w3.org/1999/XSL/Transform">'
        b'<xsl:template match="/shop"><list><xsl:for-each select="item"><i><xsl:value-of '
        b'select="@n"/></i></xsl:for-each></list></xsl:template></xsl:stylesheet>'
    )
)


def job() -> None:
    """One document's life."""
    root = etree.fromstring(TEXT)
    assert len(root.xpath("//item[@n > 9]")) == 40
    assert len(SHEET(root).getroot()) == 50
    etree.tostring(root, pretty_print=True)
    with contextlib.suppress(etree.XMLSyntaxError):
        etree.fromstring(b"<shop><item></shop>")
