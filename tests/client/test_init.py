"""`piku init`: a checkout becomes one that can be pushed."""

from pathlib import Path

from tests.client.laptop import ALIAS, Laptop
from tests.e2e.support import WSGI, refused


def test_a_checkout_becomes_an_app(laptop: Laptop, tmp_path: Path) -> None:
    folder = laptop.checkout("My First App", files={"app.py": WSGI, ".gitignore": "*.log\n"})
    refused_before = laptop.piku(folder, "init", ALIAS, "--name", "first.localhost")
    assert refused_before.returncode == 2 and "--yes" in refused_before.stderr
    # What it would do was shown, and nothing was done.
    for words in (
        "wsgi: app:app",
        "NGINX_SERVER_NAME=first.localhost",
        f"git remote add piku {ALIAS}:my-first-app",
    ):
        assert words in refused_before.stdout
    assert sorted(path.name for path in folder.iterdir()) == [".git", ".gitignore", "app.py"]
    said = laptop.says(folder, "init", ALIAS, "--name", "first.localhost", "--yes")
    assert (folder / "Procfile").read_text() == "wsgi: app:app\n"
    assert laptop.git(folder, "remote", "get-url", "piku") == f"{ALIAS}:my-first-app\n"
    # What it says to do next works.
    assert "git add Procfile ENV" in said and "git push piku main" in said
    laptop.git(folder, "add", "-A")
    laptop.git(folder, "commit", "--quiet", "-m", "For piku")
    laptop.git(folder, "push", "--quiet", "piku", "main")
    assert laptop.server.get("first.localhost", "/about")[0] == 200
    assert "Nothing to do" in laptop.says(folder, "init")
    opened = laptop.piku(folder, "open", "about", env={"BROWSER": "echo opened %s"})
    assert opened.stdout.startswith(f"http://first.localhost:{laptop.server.http_port}/about\n")


def test_what_is_there_stays(laptop: Laptop, tmp_path: Path) -> None:
    files = {"Procfile": "web: ./serve\n", "ENV": "A=1\n", "serve": ""}
    folder = laptop.checkout(str(tmp_path / "there"), f"{ALIAS}:there", files)
    said = laptop.says(folder, "init", "other@example.com:there")
    assert "Nothing to do" in said and "stays as it is" in said
    assert {name: (folder / name).read_text() for name in files} == files
    assert laptop.git(folder, "remote", "get-url", "piku") == f"{ALIAS}:there\n"
    (folder / "ENV").unlink()
    (folder / "below").mkdir()
    laptop.says(folder / "below", "init", "--yes")
    assert (folder / "ENV").read_text() == "# NGINX_SERVER_NAME=www.example.com\n"


def test_the_remote_with_a_port(laptop: Laptop, tmp_path: Path) -> None:
    folder = laptop.checkout(str(tmp_path / "port"), files={"index.html": "hello"})
    laptop.says(folder, "init", "ssh://me@example.com:2222/site", "-y")
    assert laptop.git(folder, "remote", "get-url", "piku") == "ssh://me@example.com:2222/site\n"


def test_what_cannot_be_prepared(laptop: Laptop, tmp_path: Path) -> None:
    (tmp_path / "none").mkdir()
    refused(laptop.piku(tmp_path / "none", "init"), 2, "no git repository", "git init")
    folder = laptop.checkout(str(tmp_path / "empty"))
    assert laptop.piku(folder, "init").returncode == 1
