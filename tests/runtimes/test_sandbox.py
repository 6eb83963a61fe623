"""What uWSGI serves in other languages, inside the walls of its app."""

from __future__ import annotations

import pytest

from tests.runtimes.conftest import NewApp

PHP = """\
<?php
session_start();
$_SESSION["times"] = ($_SESSION["times"] ?? 0) + 1;
session_write_close();
echo "PHP " . file_exists("/run/piku-sandbox");
"""
RACK = """\
run ->(_env) { [200, { "Content-Type" => "text/plain" }, ["Rack #{Dir.exist?("/run/piku-sandbox")}"]] }
"""
JAVA = """\
import java.io.File;
import java.util.HashMap;

public class Hello {
    public static Object[] app(HashMap env) {
        String body = "Java " + new File("/run/piku-sandbox").exists();
        return new Object[] {200, new HashMap<String, Object>(), body};
    }
}
"""


@pytest.mark.parametrize(
    ("name", "files", "answer"),
    [
        ("phpin", {"Procfile": "php: .\n", "index.php": PHP}, "PHP 1"),
        ("rackin", {"Procfile": "rwsgi: config.ru\n", "config.ru": RACK}, "Rack true"),
        (
            "javain",
            {
                "Procfile": "release: javac -d target/classes Hello.java\njwsgi: Hello:app\n",
                "Hello.java": JAVA,
            },
            "Java true",
        ),
    ],
)
def test_served_inside(new_app: NewApp, name: str, files: dict[str, str], answer: str) -> None:
    app = new_app(name, {**files, "ENV": f"NGINX_SERVER_NAME={name}.localhost\n"}, push=False)
    app.does("apps:create")
    app.does("config:set", "PIKU_SANDBOX=true")
    app.deployed()
    assert app.body() == answer
    assert "error" not in app.does("logs", "--no-follow").lower()
