"""How values of records are shown: as people read them, with the other system's own spelling as the title."""

import pytest

from tillbridge.web.values import beside, shown


@pytest.mark.parametrize(
    ("text", "kind", "words"),
    [
        pytest.param("true", "flag", '<span title="true">Yes</span>', id="yes"),
        pytest.param("False", "flag", '<span title="False">No</span>', id="no in another spelling"),
        pytest.param("maybe", "flag", "maybe", id="neither yes nor no"),
        pytest.param("true", "text", "true", id="a name that is no flag"),
        pytest.param(
            "12345.5", "amount", '<span class="num-left" title="12345.5">12,345.50</span>', id="an amount"
        ),
        pytest.param("free", "amount", "free", id="no amount"),
        pytest.param("NaN", "amount", "NaN", id="not a number at all"),
        pytest.param("2.000", "number", '<span class="num-left" title="2.000">2</span>', id="pieces"),
        pytest.param(
            "0.250", "number", '<span class="num-left" title="0.250">0.25</span>', id="part of a piece"
        ),
        pytest.param("001xx", "id", '<span class="mono-small">001xx</span>', id="an id"),
        pytest.param("<b>", "text", "&lt;b&gt;", id="hostile"),
        pytest.param("<b>", "flag", "&lt;b&gt;", id="hostile where a flag is expected"),
        pytest.param(None, "amount", '<span class="text-secondary">–</span>', id="nothing"),  # noqa: RUF001
        pytest.param(
            "2026-11-20T15:00:00.000+0000",
            "moment",
            '<time datetime="2026-11-20T15:00:00+00:00" title="2026-11-20T15:00:00.000+0000" '
            'data-raw="2026-11-20T15:00:00.000+0000">2026-11-20 15:00 UTC</time>',
            id="a moment in Salesforce's spelling",
        ),
        pytest.param("yesterday", "moment", "yesterday", id="no moment"),
    ],
)
def test_a_value_is_shown_as_what_it_is(text, kind, words):
    assert words == shown(text, kind)


@pytest.mark.parametrize(
    ("text", "other", "kind", "marked"),
    [
        pytest.param("100", "100.00", "amount", False, id="one amount in two spellings"),
        pytest.param("100", "101", "amount", True, id="two amounts"),
        pytest.param("true", "false", "flag", True, id="yes and no"),
        pytest.param("Ada", "Ida", "text", True, id="two names"),
        pytest.param("Ada", "Ada", "text", False, id="one name"),
    ],
)
def test_what_differs_is_marked(text, other, kind, marked):
    assert marked == ("<mark" in beside(text, other, kind))
