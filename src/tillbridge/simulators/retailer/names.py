"""Common first and last names, streets and towns by country, and how people misspell them.

No person here is real: first and last names are drawn apart. Each misspelling is a pure function of a
`Random`, so that the truth knows which kind of difference a record carries.
"""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from random import Random


def _words(text: str) -> tuple[str, ...]:
    """Split a list of names; an underscore stands for the space inside one."""
    return tuple(word.replace("_", " ") for word in text.split())


FEMALE = {
    "US": _words("""
        Anna Maria Elizabeth Jennifer Susan Katherine Margaret Patricia Deborah Rebecca Christina
        Jessica Samantha Victoria Abigail Emily Grace Hannah Olivia Sophie Naomi Ruth Tanya Vera Wendy
        Yvonne Zoë Chloé Ingrid Lucía
    """),
    "NL": _words("""
        Sanne Lotte Femke Marijke Johanna Annelies Eva Fleur Iris Maria Noor Saskia Tess Wilma Renée Zoë
    """),
    "JP": _words("""
        Aiko Emi Haruka Keiko Mariko Naoko Rin Sakura Tomoko Yui Yoko Kaori Mei Chihiro Hana Nozomi
    """),
    "AU": _words("""
        Charlotte Matilda Isla Ruby Georgia Elizabeth Kirra Tamsin Bronwyn Maria Imogen Sienna Willow
    """),
}
MALE = {
    "US": _words("""
        Robert William James Michael Thomas Richard Daniel Matthew Christopher Anthony Joseph Edward
        Benjamin Nicholas Samuel Gregory Timothy Kenneth Stephen Mario Carlos José Omar Peter Victor
        Walter Zachary Andrew Lukas
    """),
    "NL": _words("""
        Daan Sem Bram Pieter Willem Jeroen Kees Mario Niels Ruben Sjoerd Thijs Wouter Hendrik Floris
        Björn
    """),
    "JP": _words("""
        Akira Daisuke Hiroshi Kenji Makoto Naoki Ryo Satoshi Takeshi Yuto Haruto Kazuo Minoru Shinji
    """),
    "AU": _words("""
        Angus Lachlan Hamish Cooper Jack Robert William Mario Bruce Darcy Callum Ewan Toby Rhys
    """),
}
LAST = {
    "US": _words("""
        Smith Johnson Williams Brown Garcia Miller Davis Martinez Anderson Taylor Moore Jackson Thompson
        Robinson Walker Hernandez Nelson Campbell Mitchell Carter Phillips Evans Turner Edwards Collins
        Stewart Morris Murphy O'Brien O'Connor McDonald MacLeod Fitzgerald Goldberg Kowalski Nguyen
        Patel Rossi Schneider Müller Peña Lee Kim Park Ng Washington Hamilton Whitfield Ashcroft Barrow
        Holloway Pemberton Larkspur Oduya Okafor Haddad Petrov Lindqvist Sørensen Dubois Moreau Ferreira
        Castellano Vandermeer Winterbourne Blackwood St._John
    """),
    "NL": _words("""
        de_Vries van_den_Berg Jansen Bakker Visser Smit Meijer de_Boer Mulder Bos Vos Peters Hendriks
        van_Dijk van_Leeuwen Dekker Brouwer de_Wit Dijkstra Smits van_der_Meer 't_Hooft Kuipers Veenstra
        Hoekstra Prins
    """),
    "JP": _words("""
        Sato Suzuki Takahashi Tanaka Watanabe Ito Yamamoto Nakamura Kobayashi Kato Yoshida Yamada Sasaki
        Matsumoto Inoue Kimura Hayashi Shimizu Mori Abe Ikeda Hashimoto Ishikawa Ogawa
    """),
    "AU": _words("""
        Smith Jones Wilson Brown Harris Kelly Walsh Murray O'Sullivan Fraser Grant Papadopoulos Nguyen
        Tran Singh Chalmers Drummond Whitlock Barker Hartigan Lindsay Doyle Mackenzie Sutherland
    """),
}
# Short forms nearly everyone knows; rarer ones would make a puzzle of the matching, not a test.
NICKNAMES = {
    "Elizabeth": ("Liz", "Beth", "Betty"),
    "Jennifer": ("Jenny", "Jen"),
    "Susan": ("Sue", "Susie"),
    "Katherine": ("Kathy", "Kate", "Katie"),
    "Margaret": ("Maggie", "Peggy"),
    "Patricia": ("Pat", "Patty"),
    "Deborah": ("Debbie", "Deb"),
    "Rebecca": ("Becky",),
    "Christina": ("Tina", "Chris"),
    "Jessica": ("Jess",),
    "Samantha": ("Sam",),
    "Victoria": ("Vicky",),
    "Abigail": ("Abby",),
    "Robert": ("Bob", "Rob", "Bobby"),
    "William": ("Bill", "Will", "Billy"),
    "James": ("Jim", "Jimmy"),
    "Michael": ("Mike", "Mick"),
    "Thomas": ("Tom", "Tommy"),
    "Richard": ("Rick", "Dick"),
    "Daniel": ("Dan", "Danny"),
    "Matthew": ("Matt",),
    "Christopher": ("Chris",),
    "Anthony": ("Tony",),
    "Joseph": ("Joe", "Joey"),
    "Edward": ("Ed", "Ted"),
    "Benjamin": ("Ben",),
    "Nicholas": ("Nick",),
    "Samuel": ("Sam",),
    "Gregory": ("Greg",),
    "Timothy": ("Tim",),
    "Kenneth": ("Ken",),
    "Stephen": ("Steve",),
    "Andrew": ("Andy", "Drew"),
    "Charlotte": ("Lottie",),
}
COMPANY_WORDS = _words("""
    Harbor Pine Granite Meadow Copper Northgate Silverline Juniper Bluestone Cedar Lantern Foxglove
    Marlow Tidewater Kestrel Orchard Summit Willowbrook Ironside Fairway
""")
COMPANY_ENDS = {
    "US": ("Design LLC", "& Sons", "Events Inc.", "Legal Group", "Hospitality Co.", "Bridal"),
    "NL": ("Advies B.V.", "& Zonen", "Events B.V.", "Notarissen"),
    "JP": ("Trading K.K.", "Studio", "Foods Co., Ltd."),
    "AU": ("Events Pty Ltd", "& Co", "Vineyards Pty Ltd", "Surf Club Inc."),
}
JOB_TITLES = ("Office Manager", "Events Planner", "Owner", "Head of People", "Buyer", "Dr.", "Partner")


@dataclass(frozen=True, slots=True)
class Town:
    """A town with the state and post code scheme of its country. `zip_form`: # is a digit."""

    city: str
    state: str
    state_code: str
    zip_form: str
    country: str
    country_code: str
    area_codes: tuple[str, ...] = ()


US, NL, JP, AU, BE = "United States", "Netherlands", "Japan", "Australia", "Belgium"
TOWNS: dict[str, tuple[Town, ...]] = {
    "US/Eastern": (
        Town("New York", "New York", "NY", "100##", US, "US", ("212", "646", "917")),
        Town("Albany", "New York", "NY", "122##", US, "US", ("518",)),
        Town("Brooklyn", "New York", "NY", "112##", US, "US", ("718", "347")),
        Town("Hoboken", "New Jersey", "NJ", "0703#", US, "US", ("201", "551")),
        Town("Stamford", "Connecticut", "CT", "0690#", US, "US", ("203",)),
    ),
    "America/Los_Angeles": (
        Town("Pasadena", "California", "CA", "911##", US, "US", ("626",)),
        Town("Santa Monica", "California", "CA", "904##", US, "US", ("310", "424")),
        Town("Oakland", "California", "CA", "946##", US, "US", ("510",)),
        Town("Portland", "Oregon", "OR", "972##", US, "US", ("503",)),
    ),
    "Europe/Amsterdam": (
        Town("Amsterdam", "Noord-Holland", "", "10## AB", NL, "NL"),
        Town("Haarlem", "Noord-Holland", "", "20## KT", NL, "NL"),
        Town("Utrecht", "Utrecht", "", "35## GD", NL, "NL"),
        Town("'s-Hertogenbosch", "Noord-Brabant", "", "52## XN", NL, "NL"),
    ),
    "Asia/Tokyo": (
        Town("Shibuya-ku", "Tokyo", "", "150-00##", JP, "JP"),
        Town("Setagaya-ku", "Tokyo", "", "154-00##", JP, "JP"),
        Town("Yokohama", "Kanagawa", "", "220-00##", JP, "JP"),
    ),
    "Australia/Sydney": (
        Town("Sydney", "New South Wales", "NSW", "20##", AU, "AU"),
        Town("Parramatta", "New South Wales", "NSW", "215#", AU, "AU"),
        Town("Newcastle", "New South Wales", "NSW", "230#", AU, "AU"),
    ),
    "Europe/Brussels": (
        Town("Antwerpen", "Antwerpen", "", "20##", BE, "BE"),
        Town("Gent", "Oost-Vlaanderen", "", "90##", BE, "BE"),
    ),
}
STREETS = {
    "US": _words("""
        Pinehurst_Ln Maple_Ave Oak_St W_4th_St Highland_Blvd Cedar_Ct Lakeshore_Dr Chestnut_St Elm_Pl
        Park_Ave_S
    """),
    "NL": _words("""
        Prinsengracht Lindenlaan Kerkstraat Wilhelminastraat Molenweg Oude_Gracht Plantage_Kade
    """),
    "JP": _words("""
        Jingumae Sakuragaoka-cho Minamiaoyama Kitazawa Motomachi
    """),
    "AU": _words("""
        Wattle_St Banksia_Rd Harbour_Tce King_St Bondi_Pde Jacaranda_Ave
    """),
}
# Names come from these lists by country; Belgium borrows its neighbour's.
NAME_COUNTRY = {"US": "US", "NL": "NL", "JP": "JP", "AU": "AU", "BE": "NL"}


def first_name(rng: Random, country: str, *, female: bool) -> str:
    """Draw a first name; one in seven has a second one, so that same-name strangers stay a believable few."""
    pool = (FEMALE if female else MALE)[NAME_COUNTRY[country]]
    name = rng.choice(pool)
    if country != "JP" and rng.random() < 0.15:
        second = rng.choice([other for other in pool if other != name])
        return f"{name} {second}" if rng.random() < 0.5 else f"{name}-{second}"
    return name


def last_name(rng: Random, country: str) -> str:
    """Draw a family name; some carry two."""
    pool = LAST[NAME_COUNTRY[country]]
    if country != "JP" and rng.random() < 0.25:
        return "-".join(rng.sample(pool, 2))
    return rng.choice(pool)


def nickname(rng: Random, first: str) -> str | None:
    """Return a short form, or None where there is none."""
    forms = NICKNAMES.get(first)
    return rng.choice(forms) if forms else None


def typo(rng: Random, name: str) -> str:
    """Make one slip of the finger: letters swapped, or one doubled, lost or replaced; never the first."""
    if len(name) < 5:
        return name
    at = rng.randrange(1, len(name) - 2)
    a, b = name[at], name[at + 1]
    if not (a.isalpha() and b.isalpha()):
        return name
    match rng.randrange(4):
        case 0 if a != b:
            return name[:at] + b + a + name[at + 2 :]
        case 1:
            return name[:at] + a + name[at:]
        case 2:
            return name[:at] + name[at + 1 :]
        case _:
            return name[:at] + rng.choice("aeionrst".replace(a, "")) + name[at + 1 :]


def unaccented(name: str) -> str:
    """Write a name the way a keyboard without accents does."""
    plain = unicodedata.normalize("NFKD", name.replace("ø", "o").replace("Ø", "O"))
    return "".join(ch for ch in plain if not unicodedata.combining(ch))


def company_name(rng: Random, country: str) -> str:
    """Invent a company."""
    ends = COMPANY_ENDS[NAME_COUNTRY[country]]
    return f"{rng.choice(COMPANY_WORDS)} {rng.choice(COMPANY_WORDS)} {rng.choice(ends)}"


def zip_code(rng: Random, town: Town) -> str:
    """Fill in a post code."""
    return "".join(str(rng.randrange(10)) if ch == "#" else ch for ch in town.zip_form)


def street(rng: Random, country: str) -> str:
    """Draw a street with a house number, in the country's order."""
    country = NAME_COUNTRY[country]
    name, number = rng.choice(STREETS[country]), rng.randrange(1, 400)
    match country:
        case "NL":
            return f"{name} {number}{rng.choice(('', '', ' hs', 'A', '-II'))}"
        case "JP":
            return f"{rng.randrange(1, 6)}-{rng.randrange(1, 40)}-{rng.randrange(1, 30)} {name}"
        case _:
            return f"{number} {name}"
