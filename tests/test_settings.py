from dataclasses import dataclass
from typing import ClassVar

import pytest

from hmmrnn.errors import InputError
from hmmrnn.settings import Section, option, option_types


@dataclass(frozen=True)
class Shop(Section):
    section: ClassVar[str] = "shop"
    sizes: tuple[int, ...] = option((3,), "sizes on sale", low=1, high=9)
    price: float = option(1.0, "of one", low=0.0)


@pytest.mark.parametrize("given", [(2, 4, 6), [2, 4, 6]])
def test_a_list_becomes_a_tuple_of_its_values(given):
    shop = Shop(sizes=given)
    assert shop.sizes == (2, 4, 6)
    assert type(shop.sizes) is tuple
    assert hash(shop) == hash(Shop(sizes=(2, 4, 6)))  # it can be static under jit
    assert option_types(Shop) == {"sizes": tuple[int, ...], "price": float}


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ((), "shop.sizes=(): must be a list of at least one value"),
        ([], "shop.sizes=[]: must be a list of at least one value"),
        (3, "shop.sizes=3: must be a list of at least one value"),
        ("246", "shop.sizes='246': must be a list of at least one value"),
        (None, "shop.sizes=None: must be a list of at least one value"),
        ([2, 2.5], "shop.sizes=2.5: must be of type int"),
        ([True], "shop.sizes=True: must be of type int"),
        (["2"], "shop.sizes='2': must be of type int"),
        ([[2]], "shop.sizes=[2]: must be of type int"),
        ([2, 0], "shop.sizes=0: must be at least 1"),
        ((10,), "shop.sizes=10: must be at most 9"),
    ],
)
def test_what_is_no_list_of_allowed_numbers_is_refused(given, message):
    with pytest.raises(InputError) as raised:
        Shop(sizes=given)
    assert str(raised.value) == message
