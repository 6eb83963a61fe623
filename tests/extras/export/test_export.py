"""The documents for other engines, as golden files, and what cannot be exported.

A folder of `golden` has a Procfile and ENV; what comes out is written anew with UPDATE_GOLDEN=1.
"""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from piku import dotenv
from piku.app import procfile
from piku.errors import PikuError
from piku.extras.export import compose, kubernetes, yaml
from piku.extras.export.app import App

GOLDEN = Path(__file__).with_name("golden")
CASES = sorted(path.name for path in GOLDEN.iterdir())
ENGINES = {"compose": compose, "kubernetes": kubernetes}
# In this environment there is no PyYAML: Debian's python3-yaml is asked.
LOAD = "import json, sys, yaml; print(json.dumps(list(yaml.safe_load_all(sys.stdin))))"


def app(name: str) -> App:
    case = GOLDEN / name
    return App(
        name=name,
        release=7,
        image=f"registry.example.com/{name}:v7",
        procfile=procfile.parse((case / "Procfile").read_text()),
        values=dotenv.parse((case / "ENV").read_text(), "ENV", {}),
        counts={"worker": 2},
        data="/var/lib/piku/.piku/data/shop" if name == "shop" else "",
    )


def parsed(text: str) -> Any:
    """What PyYAML makes of documents."""
    result = subprocess.run(
        ["/usr/bin/python3", "-c", LOAD], input=text, check=True, capture_output=True, text=True
    )
    return json.loads(result.stdout)


def without_none(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: without_none(inner) for key, inner in value.items() if inner is not None}
    return [without_none(inner) for inner in value] if isinstance(value, list) else value


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("name", CASES)
def test_documents(name: str, engine: str) -> None:
    found, module = app(name), ENGINES[engine]
    found.check()
    documents = module.documents(found)
    text = "---\n".join(map(yaml.render, documents))
    said = [f"# {line}\n" for line in (*found.warnings(), *module.warnings(found))]
    golden = GOLDEN / name / f"{engine}.yml"
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text("".join((*said, text)))
    assert golden.read_text() == "".join((*said, text))
    assert parsed(text) == without_none(documents)


@settings(max_examples=3)  # PyYAML is a program here
@given(st.lists(st.text(), min_size=99, max_size=99))
def test_any_text_comes_back(texts: list[str]) -> None:
    document = {"texts": texts, "names": {f"a{text}": text for text in texts}}
    assert parsed(yaml.render(document)) == [document]


def test_an_app_that_only_nginx_serves_is_refused() -> None:
    found = App(
        name="page", release=1, image="page:v1", procfile=procfile.parse("static: public\n"),
        values={}, counts={},
    )  # fmt: skip
    with pytest.raises(PikuError, match="page has no processes"):
        found.check()
