import pytest
from hypothesis import given
from hypothesis import strategies as st

from serve_app.adapters.names import asked_adapter, is_name, public_name

LEGAL = ["a", "0", "acme-finance-lora", "v1.2_b", "tenant_acme_corp", "a" * 63]
ILLEGAL = {
    "nothing": "",
    "a capital": "Acme",
    "a leading dot": ".hidden",
    "a leading dash": "-rf",
    "a step up": "..",
    "a path": "a/b",
    "a backslash": "a\\b",
    "a separator of ours": "a@b",
    "a colon": "a:b",
    "a space": "a b",
    "a trailing newline": "acme\n",
    "a NUL": "a\0",
    "a letter that looks Latin": "\u0430cme",
    "a digit of another script": "a\u0663",
    "64 characters": "a" * 64,
}


@pytest.mark.parametrize("name", LEGAL)
def test_plain_names_are_allowed(name: str) -> None:
    assert is_name(name)


@pytest.mark.parametrize("name", ILLEGAL.values(), ids=ILLEGAL)
def test_a_name_is_refused_for(name: str) -> None:
    assert not is_name(name)


@given(st.text(alphabet="ab0-._/\\:@ \n\0~", max_size=70))
def test_a_name_never_leads_out_of_a_directory(text: str) -> None:
    if is_name(text):
        assert not set(text) & set("/\\\0@: \n~")
        assert text not in (".", "..")


@pytest.mark.parametrize(
    ("model", "adapter"),
    [
        ("demo-llama@acme", "acme"),
        ("demo-llama:acme", "acme"),
        ("base@acme", "acme"),
        ("base:acme", "acme"),
        ("acme", "acme"),
        ("base", None),
        ("demo-llama", None),
        ("", None),
        ("demo-llama-2", "demo-llama-2"),
        ("baseline", "baseline"),
        ("other@acme", "other@acme"),
        ("base@", ""),
        ("base@@acme", "@acme"),
        ("Base", "Base"),
    ],
)
def test_every_spelling_of_a_model_names_one_adapter(model: str, adapter: str | None) -> None:
    assert asked_adapter(model, "demo-llama") == adapter


@given(
    base=st.sampled_from(["demo-llama", "meta-llama/Llama-3.1-8B", "a:b", "base"]),
    adapter=st.from_regex(r"[a-z0-9][a-z0-9._-]{0,62}", fullmatch=True),
)
def test_the_name_an_answer_bears_asks_for_the_same_adapter(base: str, adapter: str) -> None:
    assert asked_adapter(public_name(base, adapter), base) == adapter
