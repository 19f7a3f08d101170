"""The token comes from the environment and is never shown."""

import pytest
from pydantic import SecretStr

from triptych.download.errors import Refused
from triptych.download.token import check_endpoint, read_token

TOKEN = SecretStr("hf_secret")


def test_read_from_the_named_variable() -> None:
    token = read_token("MY_TOKEN", {"MY_TOKEN": " hf_secret\n"})
    assert token == TOKEN
    assert "secret" not in repr(token)
    assert read_token("MY_TOKEN", {}) is None
    assert read_token("MY_TOKEN", {"MY_TOKEN": ""}) is None


@pytest.mark.parametrize("given", ["hf_secret", "abc-def", "", "A B"])
def test_a_token_in_place_of_a_name_is_refused_and_not_repeated(given: str) -> None:
    with pytest.raises(Refused) as caught:
        read_token(given, {})
    assert str(caught.value) == "--token-env takes the name of an environment variable, never the token itself"


@pytest.mark.parametrize("value", ["hf_sec\nret", "hf sec", "hf_\u00e9"])
def test_a_token_that_is_none_is_not_repeated(value: str) -> None:
    with pytest.raises(Refused) as caught:
        read_token("HF_TOKEN", {"HF_TOKEN": value})
    assert "HF_TOKEN" in str(caught.value) and "hf" not in str(caught.value)


@pytest.mark.parametrize(
    "endpoint", ["http://127.0.0.1:1/", "http://localhost:1", "http://[::1]:1", "https://hub.org/"]
)
def test_where_a_token_may_go(endpoint: str) -> None:
    assert check_endpoint(endpoint, TOKEN) == endpoint.rstrip("/")


def test_no_token_without_tls() -> None:
    with pytest.raises(Refused, match="never sent without TLS"):
        check_endpoint("http://hub.example.org", TOKEN)
    assert check_endpoint("http://hub.example.org", None) == "http://hub.example.org"


@pytest.mark.parametrize(
    "endpoint", ["hub.example.org", "ftp://hub", "https://", "https://me:pass@hub", "https://h?x=1"]
)
def test_what_is_no_endpoint(endpoint: str) -> None:
    with pytest.raises(Refused) as caught:
        check_endpoint(endpoint, None)
    assert "pass@" not in str(caught.value)
