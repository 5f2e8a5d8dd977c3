"""Two letters for what people write for countries, in the languages of the shops' neighbourhoods."""

from __future__ import annotations

from tillbridge.model.phones import REGIONS

_NAMES = {
    "AE": "united arab emirates, uae",
    "AR": "argentina",
    "AT": "austria, österreich, oostenrijk, autriche",
    "AU": "australia, australië, australien, australie",
    "BE": "belgium, belgië, belgique, belgien, bélgica",
    "BG": "bulgaria",
    "BR": "brazil, brasil, brazilië, brésil",
    "CA": "canada, kanada, canadá",
    "CH": "switzerland, schweiz, suisse, zwitserland, svizzera, suiza",
    "CL": "chile",
    "CN": "china, chine",
    "CO": "colombia",
    "CY": "cyprus",
    "CZ": "czech republic, czechia, tsjechië, tschechien",
    "DE": "germany, deutschland, duitsland, allemagne, alemania",
    "DK": "denmark, danmark, denemarken, dänemark, danemark",
    "EE": "estonia, eesti, estland",
    "ES": "spain, españa, spanje, spanien, espagne",
    "FI": "finland, suomi, finnland, finlande",
    "FR": "france, frankrijk, frankreich, francia",
    "GB": "united kingdom, great britain, uk, england, scotland, wales, northern ireland, "
    "verenigd koninkrijk, vereinigtes königreich, royaume-uni, reino unido",
    "GR": "greece, griekenland, griechenland, grèce",
    "HK": "hong kong",
    "HR": "croatia, hrvatska, kroatië, kroatien",
    "HU": "hungary, magyarország, hongarije, ungarn",
    "IE": "ireland, ierland, irland, irlande, éire",
    "IL": "israel, israël",
    "IN": "india, inde, indien",
    "IS": "iceland, ijsland, island",
    "IT": "italy, italia, italië, italien, italie",
    "JP": "japan, japon",
    "KR": "south korea, korea",
    "LT": "lithuania",
    "LU": "luxembourg, luxemburg, luxemburgo",
    "LV": "latvia",
    "MA": "morocco, maroc, marokko",
    "MC": "monaco",
    "MT": "malta",
    "MX": "mexico, méxico, mexique, mexiko",
    "MY": "malaysia",
    "NL": "netherlands, the netherlands, nederland, holland, niederlande, pays-bas, países bajos",
    "NO": "norway, norge, noorwegen, norwegen, norvège",
    "NZ": "new zealand, nieuw-zeeland, neuseeland, aotearoa",
    "PE": "peru, perú",
    "PH": "philippines",
    "PL": "poland, polska, polen, pologne",
    "PT": "portugal",
    "RO": "romania, roemenië",
    "SE": "sweden, sverige, zweden, schweden, suède",
    "SG": "singapore",
    "SI": "slovenia",
    "SK": "slovakia",
    "TH": "thailand",
    "TR": "turkey, türkiye, turkije, türkei",
    "TW": "taiwan",
    "UA": "ukraine, oekraïne",
    "US": "united states, united states of america, usa, u.s.a., u.s., america, verenigde staten, "
    "vereinigte staaten, états-unis, estados unidos",
    "ZA": "south africa, zuid-afrika, südafrika",
}
_CODES = {name.strip(): code for code, names in _NAMES.items() for name in names.split(",")}


def country_code(name: str) -> str | None:
    """Return the ISO 3166 letters for a country's name or code; None for one we do not know."""
    folded = " ".join(name.split())
    if folded.upper() in REGIONS:
        return folded.upper()
    return _CODES.get(folded.casefold())
