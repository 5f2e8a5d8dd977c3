"""Names: like enough to be one person, near enough to ask, or somebody else."""

import pytest

from tillbridge.model.names import fold, like_company, like_name

LIKE = [
    ("same", ("Maren", "Oduya"), ("Maren", "Oduya")),
    ("case and blanks", ("  maren ", "ODUYA"), ("Maren", "Oduya")),
    ("accents", ("Zoë", "Ångström"), ("Zoe", "Angstrom")),
    ("letters no keyboard has", ("Bjørn", "Sørensen"), ("Bjorn", "Sorensen")),
    ("apostrophes", ("Eva", "O'Brien"), ("Eva", "OBrien")),
    ("an entity left in the text", ("Eva", "Bell &amp; Roe"), ("Eva", "Bell & Roe")),
    ("nickname", ("Elizabeth", "Jansen"), ("Beth", "Jansen")),
    ("two nicknames of one name", ("Bob", "Smith"), ("Rob", "Smith")),
    ("Dutch nickname", ("Cornelis", "de Wit"), ("Kees", "de Wit")),
    ("German nickname", ("Friedrich", "Koch"), ("Fritz", "Koch")),
    ("Spanish nickname", ("José", "Peña"), ("Pepe", "Pena")),
    ("initial", ("M.", "Oduya"), ("Maren", "Oduya")),
    ("several initials", ("J.P.", "Bakker"), ("Jan Pieter", "Bakker")),
    ("swapped", ("Oduya", "Maren"), ("Maren", "Oduya")),
    ("a slip in the family name", ("Maren", "Odduya"), ("Maren", "Oduya")),
    ("two letters exchanged", ("Naomi", "Takahahsi"), ("Naomi", "Takahashi")),
    ("particles left out", ("Sanne", "van der Meer"), ("Sanne", "Meer")),
    ("hyphen or blank", ("Anna", "Jansen-Bakker"), ("Anna", "Jansen Bakker")),
    ("one of two family names", ("Anna", "Jansen-Bakker"), ("Anna", "Jansen")),
    ("one of two first names", ("Anna Maria", "Rossi"), ("Anna", "Rossi")),
    ("a title before it", ("Dr. Maren", "Oduya"), ("Maren", "Oduya")),
]
NEAR = [
    ("a slip in the first name", ("Daneil", "Visser"), ("Daniel", "Visser")),
    ("another family name", ("Anna", "Jansen"), ("Anna", "Bakker")),
    ("no first name", (None, "Oduya"), ("Maren", "Oduya")),
    ("no last name", ("Maren", None), ("Maren", "Oduya")),
    ("no name at all", (None, None), ("Maren", "Oduya")),
    ("Maria and Mario", ("Maria", "Rossi"), ("Mario", "Rossi")),
    ("sisters with a first name in common", ("Anna Maria", "Rossi"), ("Anna Sophie", "Rossi")),
]
UNLIKE = [
    ("husband and wife", ("Sarah", "Kim"), ("Peter", "Kim")),
    ("Chris may be two, they are not each other", ("Christopher", "Kim"), ("Christina", "Kim")),
    ("another initial", ("M.", "Kim"), ("Peter", "Kim")),
    ("nobody in common", ("Maren", "Oduya"), ("Peter", "Kim")),
    ("short family names are not slips", ("Peter", "Kim"), ("Sarah", "Kin")),
    ("first letters differ", ("Eva", "Mulder"), ("Tom", "Bulder")),
]


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param(a, b, degree, id=f"{degree}: {text}")
        for degree, table in (("like", LIKE), ("near", NEAR), ("unlike", UNLIKE))
        for text, a, b in table
    ],
)
def test_names(a, b, expected):
    assert expected == like_name(a, b).degree
    assert expected == like_name(b, a).degree  # whoever asks


def test_maria_and_mario_are_never_alike():
    assert like_name(("Maria", "Rossi"), ("Mario", "Rossi")).degree != "like"


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        pytest.param(
            "Harbor Pine Design LLC",
            "HARBOR PINE DESIGN, L.L.C.",
            False,
            id="letters of a form taken apart are not guessed",
        ),
        pytest.param("Harbor Pine Design LLC", "harbor pine design", True, id="without its legal form"),
        pytest.param("Kestrel B.V.", "Kestrel BV", True, id="spelt either way"),
        pytest.param("Kestrel", "Kestrel Events", False, id="another company"),
        pytest.param(None, "Kestrel", False, id="none"),
        pytest.param("BV", "BV", True, id="nothing but a form"),
    ],
)
def test_companies(a, b, expected):
    assert expected == like_company(a, b)


def test_fold_leaves_other_scripts_alone():
    assert (fold("小龍"), fold(None), fold("  Line\nBreak ")) == ("小龍", "", "line break")
