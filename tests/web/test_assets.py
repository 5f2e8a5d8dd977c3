"""What of others is shipped is what they published: held against the hash file, licences beside it."""

import re

import pytest

from tillbridge.web.assets import ROOT, integrity

LINES = [
    line.split("  ")
    for line in (ROOT / "vendor" / "HASHES").read_text().splitlines()
    if line and not line.startswith("#")
]


@pytest.mark.parametrize(("expected", "name"), [(line[0], line[1]) for line in LINES], ids=lambda v: v[-24:])
def test_a_file_of_others_is_unchanged(expected, name):
    assert expected == integrity((ROOT / name).read_bytes())


def test_no_file_of_others_is_missing_from_the_list():
    listed = {line[1] for line in LINES}
    found = {
        p.relative_to(ROOT).as_posix() for folder in ("vendor", "icons") for p in (ROOT / folder).iterdir()
    }
    others = {name for name in found if not re.search(r"/(HASHES|LICENSE\..*)$", name)}

    assert listed == others


def test_every_package_has_its_licence_beside_it():
    names = {"@tabler/core": "tabler", "@tabler/icons": "tabler-icons", "htmx.org": "htmx"}
    names |= {"chart.js": "chart.js", "@fontsource-variable/inter": "inter"}
    packages = {line[2].rpartition("@")[0] for line in LINES}

    assert set(names) == packages
    assert [] == [p for p in packages if not (ROOT / "vendor" / f"LICENSE.{names[p]}").stat().st_size]


def test_nothing_of_ours_asks_for_anything_from_outside():
    own = [
        p for p in ROOT.parent.rglob("*") if p.suffix in {".html", ".css", ".js"} and "vendor" not in p.parts
    ]
    found = [p.name for p in own if re.search(r"(src|href|url\()=?\s*[\"']?(https?:)?//", p.read_text())]

    assert 5 < len(own)
    assert [] == found
