"""Numbers as typed → E.164, or a refusal; never anything else, whatever is typed and wherever."""

from __future__ import annotations

import re

import phonenumbers
import pytest
from django.core.exceptions import ValidationError
from hypothesis import given
from hypothesis import strategies as st

from web.tenant.contacts.phone_numbers import guess_e164, to_e164

REGIONS = ["", *sorted(phonenumbers.SUPPORTED_REGIONS)]
CODES = sorted(phonenumbers.COUNTRY_CODE_TO_REGION_CODE)
_TYPED = st.one_of(
    st.text(alphabet="+0123456789 ()-./x;e=tl:*#", max_size=24),
    st.builds(
        "+{}{}".format, st.sampled_from(CODES), st.text(alphabet="0123456789", min_size=1, max_size=17)
    ),
    st.text(alphabet="٠١٢٣４５６７+", max_size=18),
    st.text(max_size=30),
)


@pytest.mark.parametrize("text", ["+49999999999999999", "+622222222222222222", "+4999999999999999"])
def test_a_number_longer_than_e164_is_refused_though_its_country_knows_such(text):
    assert phonenumbers.is_possible_number(phonenumbers.parse(text)), "otherwise this test says nothing"
    with pytest.raises(ValidationError) as refusal:
        to_e164(text, "KE")
    assert refusal.value.code == "invalid_phone" and guess_e164(text, "KE") == ""


@given(_TYPED, st.sampled_from(REGIONS))
def test_what_comes_out_fits_the_column_and_is_what_the_library_says(text, region):
    found = guess_e164(text, region)
    try:
        parsed = phonenumbers.parse(text, region or None)
    except phonenumbers.NumberParseException:
        assert found == ""
        return
    said = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    fits = phonenumbers.is_possible_number(parsed) and re.fullmatch(r"\+[1-9][0-9]{2,14}", said)
    assert found == (said if fits else "")
