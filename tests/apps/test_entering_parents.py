"""Which row typed text means, where a foreign key has several attributes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import dj_panel as dj
from dj_panel.apps.services import Services
from dj_panel.apps.services.parents import Guess
from dj_panel.apps.services.receipts import Receipt, Refused
from tests.composite_tables import declare_composite

Resolve = Callable[..., str]


@pytest.fixture
def services(schema: dj.Schema) -> Iterator[Services]:
    services = Services(declare_composite(schema))
    subject = services.pipeline[f"{schema.name}.Subject"]()
    subject.insert(
        [("mouse", "M041", "7-A"), ("rat", "M041", None), ("mouse", "M042", None), ("mouse", "M0431", None)]
    )
    yield services
    services.close()


@pytest.fixture
def resolve(services: Services, schema: dj.Schema) -> Resolve:
    """Give what becomes of text in a picker: the label of a row, with a question mark after a guess; or a sentence."""

    def resolve(text: str, parent: str = "Subject", **options: Any) -> str:
        name = f"{schema.name}.Weighing"
        links = [link.table for link in services.table(name).parents]
        number = links.index(f"{schema.name}.{parent}")
        found = asyncio.run(
            services.entering.resolve(name, number, text, options.pop("fixed", {}), **options)
        )
        if isinstance(found, Guess):
            return f"{found.choice.label}?"
        return found if isinstance(found, str) else found.label

    return resolve


def test_a_row_is_found_by_that_part_of_its_key_that_no_other_row_has(resolve: Resolve) -> None:
    assert resolve("M042") == resolve(" m042 ") == resolve("mouse M042") == "mouse · M042"
    assert resolve("M041", fixed={"species": "rat"}) == "rat · M041"
    assert resolve("A r2", "Place") == resolve("a R2", "Place") == "A · 2 · r2"
    assert resolve("r1", "Place") == "A · 1 · r1"


def test_text_that_several_rows_have_names_the_first_of_them(resolve: Resolve) -> None:
    assert resolve("M041") == (
        "“M041” may mean several rows of Subject: mouse · M041, rat · M041. Choose one, or type more."
    )
    assert resolve("r2", "Place").startswith("“r2” may mean several rows of Place: A · 2 · r2, B · 2 · r2.")
    assert "mouse · M041, mouse · M042, mouse · M0431, …" not in resolve("M041")
    assert resolve("M0").endswith(", … Choose one, or type more.")


def test_the_only_row_that_a_search_finds_is_taken_as_a_guess_and_no_number_is_completed(
    resolve: Resolve,
) -> None:
    assert resolve("ra") == "rat · M041?"
    assert resolve("7-A") == "mouse · M041?"
    assert resolve("M043") == "There is no Subject M043. Did you mean mouse · M0431?"
    assert resolve("gerbil") == "There is no Subject gerbil."


def test_a_scanned_code_is_a_whole_key_or_tag_and_never_the_beginning_of_one(resolve: Resolve) -> None:
    assert resolve("M042", is_code=True) == "mouse · M042"
    assert resolve("7-A", is_code=True) == "mouse · M041"
    assert resolve("ra", is_code=True).startswith("There is no Subject ra.")


def test_a_misspelled_part_of_a_key_brings_the_nearest_row(resolve: Resolve) -> None:
    assert resolve("M0422") == "There is no Subject M0422. Did you mean mouse · M042?"
    assert resolve("mouse M0422") == "There is no Subject mouse M0422. Did you mean mouse · M042?"


def test_text_that_is_saved_means_what_it_means_when_its_field_is_left(
    services: Services, schema: dj.Schema
) -> None:
    def save(text: str) -> Receipt | Refused:
        draft = {"->0": text, "day": "2026-07-01"}
        return asyncio.run(services.entering.save(f"{schema.name}.Weighing", draft, {}, text))

    receipt = save("m042")
    assert isinstance(receipt, Receipt)
    assert receipt.key == {"species": "mouse", "subject": "M042", "day": "2026-07-01"}
    refused = save("M041")
    assert isinstance(refused, Refused)
    assert refused.errors["subject"].startswith("“M041” may mean several rows of Subject")
