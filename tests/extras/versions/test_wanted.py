"""What an app's files ask for."""

import pytest

from piku.app.tree import Tree
from piku.extras.versions.wanted import wanted


def tree(**files: str) -> Tree:
    return Tree(files=files, read=lambda path: files.get(path, ""))


@pytest.mark.parametrize(
    ("language", "path", "content", "text", "range_"),
    [
        ("python", ".python-version", "# ours\n3.12.1\n3.11\n", "3.12.1", "3.12.*"),
        ("python", ".python-version", "cpython-3.13\n", "3.13", "3.13.*"),
        ("python", "runtime.txt", "python-3.12.1\r\n", "3.12.1", "3.12.*"),
        ("python", ".tool-versions", "nodejs 22\npython 3.13.0 3.12.0\n", "3.13.0", "3.13.*"),
        ("python", "mise.toml", "[tools]\npython = ['3.13', '3.12']\n", "3.13", "3.13.*"),
        ("python", "mise.toml", "[tools]\npython = {version = '3.13'}\n", "3.13", "3.13.*"),
        ("python", "pyproject.toml", '[project]\nrequires-python = ">=3.12"\n', ">=3.12", ">=3.12"),
        ("python", "pyproject.toml", '[x]\npython = "^3.12"\n', "^3.12", "^3.12"),
        ("node", ".nvmrc", "v20.11.1\n", "20.11.1", "^20.11.1"),
        ("node", ".nvmrc", "lts/Jod", "22", "^22"),
        ("node", ".nvmrc", "lts/*", "*", "*"),
        ("node", ".node-version", "22", "22", "^22"),
        ("node", "package.json", '{"engines": {"npm": "1", "node": ">=22 <25"}}', ">=22 <25", ">=22 <25"),
        ("go", "go.mod", "module x\n\ngo 1.22\n\ntoolchain go1.22.5\n", "1.22.5", ">=1.22.5"),
        ("go", "go.mod", "module x\n\ngo 1.22.0\n", "1.22.0", ">=1.22.0"),
        ("go", "mise.toml", '[tools]\ngo = "1.23"\n', "1.23", ">=1.23"),
        ("ruby", "Gemfile", 'source "x"\nruby "3.3.1"\n', "3.3.1", "3.3.1"),
        ("ruby", "Gemfile", "ruby '~> 3.3', '>= 3.3.1' # why\n", "~> 3.3, >= 3.3.1", "~> 3.3, >= 3.3.1"),
        ("ruby", ".ruby-version", "ruby-3.3.0\n", "3.3.0", "3.3.*"),
        ("rust", "rust-toolchain.toml", '[toolchain]\nchannel = "1.80"\n', "1.80", ">=1.80"),
        ("rust", "rust-toolchain", "1.80.1\n", "1.80.1", ">=1.80.1"),
    ],
)  # fmt: skip
def test_what_a_file_asks_for(
    language: str, path: str, content: str, text: str, range_: str
) -> None:
    found = wanted(language, tree(**{path: content}))
    assert found is not None
    assert (found.source, found.text, found.range) == (path, text, range_)


@pytest.mark.parametrize(
    ("language", "path", "content"),
    [
        ("python", ".python-version", "pypy3.10\n"),
        ("python", ".python-version", "\n"),
        ("python", "pyproject.toml", "[tool.black]\ntarget-version = ['py312']\n"),
        ("node", ".nvmrc", "node\n"),
        ("node", "package.json", '{"devDependencies": {"node": "22"}}'),
        ("node", ".tool-versions", "nodejs latest\n"),
        ("ruby", "Gemfile", 'ruby file: ".ruby-version"\n'),
        ("rust", "rust-toolchain.toml", '[toolchain]\nchannel = "stable"\n'),
        ("go", "go.mod", "module x\n"),
    ],
)
def test_what_leaves_it_open(language: str, path: str, content: str) -> None:
    assert wanted(language, tree(**{path: content})) is None


def test_the_first_file_counts() -> None:
    files = {"runtime.txt": "python-3.9.1\n", ".python-version": "3.12\n"}
    found = wanted("python", tree(**files))
    assert found is not None
    assert found.source == ".python-version"
    # One that leaves it open does not hide the next.
    found = wanted("python", tree(**{**files, ".python-version": "system\n"}))
    assert found is not None
    assert found.source == "runtime.txt"
