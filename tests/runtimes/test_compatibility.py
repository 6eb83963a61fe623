"""Public applications, pushed as their makers made them: the rows of docs/compatibility.md.

With UPDATE_DOCS=1 in the environment the last test writes the page's rows anew.
"""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.e2e.support import CHECKOUT
from tests.runtimes.conftest import NewApp

PAGE = CHECKOUT / "docs/compatibility.md"
UPDATE = bool(os.environ.get("UPDATE_DOCS"))
Make = Callable[[Path], None]


@dataclass(frozen=True, kw_only=True)
class Public:
    """`make` fills a folder with what its makers publish; `needs` is what has to be added to a file,
    `line` what runs, and `shows` a part of the answer for `path`."""

    title: str
    language: str
    origin: str
    make: Make
    needs: Mapping[str, str] = field(default_factory=dict)
    line: str
    path: str
    shows: str

    @property
    def row(self) -> str:
        added = (f"`{name}`: `{text}`" for name, text in self.needs.items())
        needs = ", ".join(added) or "nothing"
        runs = "that line" if "Procfile" in self.needs else f"`{self.line}`"
        return f"| {self.title} | {self.language} | {self.origin} | {needs} | {runs} |"


def npx(*words: str) -> Make:
    def make(folder: Path) -> None:
        folder.mkdir(parents=True)
        subprocess.run(["npx", "--yes", *words], cwd=folder, check=True, stdin=subprocess.DEVNULL)

    return make


def from_source(package: str, inner: str) -> Make:
    """A folder of a Python package's source archive."""

    def make(folder: Path) -> None:
        place = folder.with_name("source")
        pip = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--quiet",
            "--no-deps",
            "--dest",
            str(place),
        ]
        subprocess.run([*pip, "--no-binary", package, package], check=True)
        archive = next(place.glob("*.tar.gz"))
        subprocess.run(["tar", "-xzf", str(archive), "-C", str(place)], check=True)
        shutil.copytree(place / archive.name.removesuffix(".tar.gz") / inner, folder)

    return make


def startproject(folder: Path) -> None:
    place = folder.with_name("django")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--target", str(place)]
    subprocess.run([*pip, "Django==5.2.*"], check=True)
    folder.mkdir()
    django = [sys.executable, "-m", "django", "startproject", "mysite", str(folder)]
    subprocess.run(django, env={"PYTHONPATH": str(place)}, check=True)


def written(files: Mapping[str, str]) -> Make:
    """The same files as a well-known application, in words of our own."""

    def make(folder: Path) -> None:
        for name, text in files.items():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text(text)

    return make


RUST = {
    "Cargo.toml": '[package]\nname = "hello"\nversion = "0.1.0"\nedition = "2021"\n\n[dependencies]\n',
    "hello.html": "<!DOCTYPE html>\n<title>Hello</title>\n<p>Hello from Rust</p>\n",
    "src/main.rs": """\
use std::io::{prelude::*, BufReader};
use std::net::{TcpListener, TcpStream};

fn main() {
    let listener = TcpListener::bind("127.0.0.1:7878").unwrap();
    for stream in listener.incoming() {
        answer(stream.unwrap());
    }
}

fn answer(mut stream: TcpStream) {
    let lines = BufReader::new(&mut stream).lines().map(|line| line.unwrap());
    let _request: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
    let page = std::fs::read_to_string("hello.html").unwrap();
    let length = page.len();
    let response = format!("HTTP/1.1 200 OK\\r\\nContent-Length: {length}\\r\\n\\r\\n{page}");
    stream.write_all(response.as_bytes()).unwrap();
}
""",
}
GO = {
    "go.mod": "module example.com/go-getting-started\n\ngo 1.19\n",
    "main.go": """\
package main

import (
	"fmt"
	"log"
	"net/http"
	"os"
)

func main() {
	port := os.Getenv("PORT")
	if port == "" {
		log.Fatal("$PORT must be set")
	}
	http.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "Hello from Go")
	})
	log.Fatal(http.ListenAndServe(":"+port, nil))
}
""",
}
SPRING = {
    "pom.xml": """\
<?xml version="1.0" encoding="UTF-8"?>
<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <parent>
    <groupId>org.springframework.boot</groupId>
    <artifactId>spring-boot-starter-parent</artifactId>
    <version>3.5.7</version>
  </parent>
  <groupId>com.example</groupId>
  <artifactId>rest-service</artifactId>
  <version>0.0.1-SNAPSHOT</version>
  <properties><java.version>17</java.version></properties>
  <dependencies>
    <dependency>
      <groupId>org.springframework.boot</groupId>
      <artifactId>spring-boot-starter-web</artifactId>
    </dependency>
  </dependencies>
  <build>
    <plugins>
      <plugin>
        <groupId>org.springframework.boot</groupId>
        <artifactId>spring-boot-maven-plugin</artifactId>
      </plugin>
    </plugins>
  </build>
</project>
""",
    "src/main/java/com/example/restservice/RestServiceApplication.java": """\
package com.example.restservice;

import org.springframework.boot.SpringApplication;
import org.springframework.boot.autoconfigure.SpringBootApplication;
import org.springframework.web.bind.annotation.GetMapping;
import org.springframework.web.bind.annotation.RestController;

@SpringBootApplication
@RestController
public class RestServiceApplication {
    public record Greeting(long id, String content) {}

    @GetMapping("/greeting")
    public Greeting greeting() {
        return new Greeting(1, "Hello from Spring");
    }

    public static void main(String[] args) {
        SpringApplication.run(RestServiceApplication.class, args);
    }
}
""",
}
FRONT = {
    "composer.json": '{"name": "example/front", "type": "project", "require": {"php": ">=8.0"}}\n',
    "public/index.php": """\
<?php
require __DIR__ . '/../src/routes.php';
$path = parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH);
echo isset($routes[$path]) ? $routes[$path]() : 'nothing here';
""",
    "src/routes.php": "<?php\n$routes = ['/' => fn() => 'Hello from a front controller'];\n",
}
JAR = "java -jar target/rest-service-0.0.1-SNAPSHOT.jar --server.port=$PORT"

# fmt: off
APPS = {
    "flaskr": Public(
        title="Flask's tutorial, flaskr", language="Python", origin="`flask`'s source, `examples/tutorial`",
        make=from_source("flask", "examples/tutorial"), line="wsgi: flaskr:create_app()",
        path="/hello", shows="Hello, World!"),
    "django": Public(
        title="A new Django project", language="Python", origin="`django-admin startproject`",
        make=startproject, needs={"requirements.txt": "Django==5.2.*"}, line="wsgi: mysite.wsgi:application",
        path="/", shows="The install worked successfully"),
    "fastapi": Public(
        title="FastAPI's bigger application", language="Python", origin="`fastapi`'s source, `docs_src`",
        make=from_source("fastapi", "docs_src/bigger_applications"), needs={"requirements.txt": "fastapi[standard]"},
        line="web: uvicorn app.main:app --host $BIND_ADDRESS --port $PORT", path="/?token=jessica", shows="Hello"),
    "express": Public(
        title="Express", language="JavaScript", origin="`npx express-generator --no-view`",
        make=npx("express-generator", "--no-view", "."), line="web: npm start", path="/users",
        shows="respond with a resource"),
    "fastify": Public(
        title="Fastify", language="JavaScript", origin="`npx fastify-cli generate`",
        make=npx("fastify-cli", "generate", "."), line="web: npm start", path="/", shows='"root":true'),
    "vite": Public(
        title="Vite", language="JavaScript, static", origin="`npm create vite`, `vanilla`",
        make=npx("create-vite", ".", "--template", "vanilla", "--no-interactive"), line="static: dist",
        path="/", shows="/assets/index-"),
    "docsify": Public(
        title="docsify", language="static", origin="`npx docsify-cli init ./docs`",
        make=npx("docsify-cli", "init", "./docs"), line="static: docs", path="/README.md", shows="Headline"),
    "go": Public(
        title="Heroku's first steps in Go", language="Go", origin="the same files",
        make=written(GO), line="web: bin/go-getting-started", path="/", shows="Hello from Go"),
    "rust": Public(
        title="The web server of the Rust book", language="Rust", origin="the same files",
        make=written(RUST), needs={"ENV": "PORT=7878"}, line="web: target/debug/hello",
        path="/", shows="Hello from Rust"),
    "spring": Public(
        title="Spring's REST service", language="Java", origin="the same files",
        make=written(SPRING), needs={"Procfile": f"web: {JAR}"}, line=f"web: {JAR}", path="/greeting",
        shows="Hello from Spring"),
    "php": Public(
        title="A front controller in `public`", language="PHP", origin="files as in Slim's skeleton",
        make=written(FRONT), line="php: public", path="/", shows="Hello from a front controller"),
}
# fmt: on


@pytest.mark.usefixtures("uv")
@pytest.mark.parametrize("name", APPS)
def test_a_public_application(new_app: NewApp, tmp_path: Path, name: str) -> None:
    public = APPS[name]
    app = new_app(f"public-{name}", {"ENV": ""}, push=False)
    public.make(tmp_path / "made")
    shutil.copytree(tmp_path / "made", app.repository, dirs_exist_ok=True)
    for file, text in public.needs.items():
        with (app.repository / file).open("a") as opened:
            opened.write(f"{text}\n")
    app.commit("What its makers made, and what it needs")
    said = app.deployed()
    if "Procfile" not in public.needs:
        assert any(f"No Procfile: running `{public.line}`" in line for line in said), said
    assert public.shows in app.body(public.path)
    app.does("stop")


def test_the_page_says_what_is_tried() -> None:
    text = PAGE.read_text()
    rows = "".join(f"{public.row}\n" for public in APPS.values())
    page = re.sub(r"(?<=\| --- \|\n)(\|.*\n)*", lambda _: rows, text)
    if UPDATE:
        PAGE.write_text(page)
    assert PAGE.read_text() == page, "run this test with UPDATE_DOCS=1"
