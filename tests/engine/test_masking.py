"""Secrets of the environment are known by the names of their variables, and found in every form."""

from __future__ import annotations

import json

from hypothesis import given
from hypothesis import strategies as st

from vibe_workflows.engine.masking import as_written_in_json, masked, secret_values

secrets = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=8, max_size=20)


def test_only_variables_that_look_like_secrets_and_hold_enough_are_taken() -> None:
    environ = {
        "OPENAI_API_KEY": "sk-12345678",
        "my_token": "abcdefgh-longer",
        "DB_PASSWORD": "short",
        "EDITOR": "nano" * 5,
    }
    assert secret_values(environ) == ("abcdefgh-longer", "sk-12345678")


@given(secrets)
def test_a_secret_is_found_in_text_in_json_and_in_json_within_json(secret: str) -> None:
    forms = as_written_in_json([secret])
    once = json.dumps({"a": secret}, ensure_ascii=False)
    for text in (secret, once, json.dumps({"a": secret}), json.dumps([once]), json.dumps([once], ensure_ascii=False)):
        left = masked(f"before {text} after", forms)
        assert secret not in left
        assert json.dumps(secret)[1:-1] not in left
        assert left.startswith("before ")
        assert left.endswith(" after")


def test_a_secret_within_a_longer_one_leaves_nothing_of_the_longer_one() -> None:
    values = secret_values({"A_KEY": "abcdefgh", "B_KEY": "abcdefgh-and-more"})
    assert masked("x abcdefgh-and-more y", values) == "x *** y"
