"""Who runs the place where backups lie, and whose law reaches them."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from gardien.words import Given, Words

# The European Union, the rest of the European Economic Area, Switzerland, the United Kingdom.
EUROPE: Mapping[str, Given] = MappingProxyType(
    {
        "AT": Given("Austria", "Autriche"),
        "BE": Given("Belgium", "Belgique"),
        "BG": Given("Bulgaria", "Bulgarie"),
        "CH": Given("Switzerland", "Suisse"),
        "CY": Given("Cyprus", "Chypre"),
        "CZ": Given("Czechia", "Tchéquie"),
        "DE": Given("Germany", "Allemagne"),
        "DK": Given("Denmark", "Danemark"),
        "EE": Given("Estonia", "Estonie"),
        "ES": Given("Spain", "Espagne"),
        "FI": Given("Finland", "Finlande"),
        "FR": Given("France", "France"),
        "GB": Given("United Kingdom", "Royaume-Uni"),
        "GR": Given("Greece", "Grèce"),
        "HR": Given("Croatia", "Croatie"),
        "HU": Given("Hungary", "Hongrie"),
        "IE": Given("Ireland", "Irlande"),
        "IS": Given("Iceland", "Islande"),
        "IT": Given("Italy", "Italie"),
        "LI": Given("Liechtenstein", "Liechtenstein"),
        "LT": Given("Lithuania", "Lituanie"),
        "LU": Given("Luxembourg", "Luxembourg"),
        "LV": Given("Latvia", "Lettonie"),
        "MT": Given("Malta", "Malte"),
        "NL": Given("Netherlands", "Pays-Bas"),
        "NO": Given("Norway", "Norvège"),
        "PL": Given("Poland", "Pologne"),
        "PT": Given("Portugal", "Portugal"),
        "RO": Given("Romania", "Roumanie"),
        "SE": Given("Sweden", "Suède"),
        "SI": Given("Slovenia", "Slovénie"),
        "SK": Given("Slovakia", "Slovaquie"),
    }
)
_ELSEWHERE: Mapping[str, Given] = MappingProxyType(
    {
        "AU": Given("Australia", "Australie"),
        "CA": Given("Canada", "Canada"),
        "CN": Given("China", "Chine"),
        "IN": Given("India", "Inde"),
        "JP": Given("Japan", "Japon"),
        "RU": Given("Russia", "Russie"),
        "SG": Given("Singapore", "Singapour"),
        "US": Given("United States", "États-Unis"),
    }
)


def country_name(code: str) -> Given:
    """A country's name, by its two letters; the letters themselves, where we have no name for it."""
    return EUROPE.get(code) or _ELSEWHERE.get(code) or Given(code, code)


@dataclass(frozen=True, slots=True)
class Operator:
    """What gardien knows of the one who runs a target, and says of it. Countries are ISO 3166, two letters."""

    name: str | None  # None: not known
    country: str | None  # under whose law the operator is
    data_country: str | None  # where the backups lie
    european: bool | None  # whether both are in Europe, as far as they are known; None: nobody knows
    says: Words

    @property
    def law(self) -> str | None:
        """The country outside Europe whose law reaches the backups; None where we know of none."""
        if self.european is not False:
            return None
        return next(each for each in (self.country, self.data_country) if each is not None and each not in EUROPE)
