"""Node.js apps: real npm, yarn and pnpm, their real registry, and versions of Node.js besides the server's."""

import json
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest
from sandbox import Sandbox

from tests.e2e.support import App
from tests.runtimes.support import build_failed, built, reused

NewApp = Callable[..., App]

# The same package at two versions, as the registry has it.
INTEGRITY = {
    "2.1.2": "sha512-sGkPx+VjMtmA6MX27oA4FBFELFCZZ4S4XqeGOXCv68tT+jb3vk/RyaKWP0PTKyWtmLSM0b+adUTEvbs1PEaH2w==",
    "2.1.3": "sha512-6FlzubTLZG3J2a/NVCAleEhjzq5oxgHyaCU9yYXvcLsvoVaHJq/s5xXI6/XXP6tz7R9xAOtHnSO/tXtF3WRTlA==",
}
SERVER = """
const http = require("http");
const about = () => [process.version, require("ms/package.json").version].join(" ");
http.createServer((_, response) => response.end(about())).listen(process.env.PORT, process.env.BIND_ADDRESS);
"""


def package(version: str = "2.1.3", **others: object) -> str:
    return json.dumps({"name": "it", "private": True, "dependencies": {"ms": version}, **others})


def npm_lock(version: str) -> str:
    packages = {
        "": {"name": "it", "dependencies": {"ms": version}},
        "node_modules/ms": {
            "version": version,
            "integrity": INTEGRITY[version],
            "resolved": f"https://registry.npmjs.org/ms/-/ms-{version}.tgz",
        },
    }
    return json.dumps({"name": "it", "lockfileVersion": 3, "requires": True, "packages": packages})


def yarn_lock(version: str) -> str:
    return (
        f'# yarn lockfile v1\n\n\nms@{version}:\n  version "{version}"\n'
        f'  resolved "https://registry.npmjs.org/ms/-/ms-{version}.tgz"\n  integrity {INTEGRITY[version]}\n'
    )


def pnpm_lock(version: str) -> str:
    return f"""\
lockfileVersion: '9.0'
settings:
  autoInstallPeers: true
  excludeLinksFromLockfile: false
importers:
  .:
    dependencies:
      ms:
        specifier: {version}
        version: {version}
packages:
  ms@{version}:
    resolution: {{integrity: {INTEGRITY[version]}}}
snapshots:
  ms@{version}: {{}}
"""


LOCKS = {
    "npm": ("package-lock.json", npm_lock),
    "yarn": ("yarn.lock", yarn_lock),
    "pnpm": ("pnpm-lock.yaml", pnpm_lock),
}


def files(version: str = "2.1.3", env: str = "", **others: str) -> Mapping[str, str]:
    own = {
        "Procfile": "web: exec node server.js\n",
        "server.js": SERVER,
        "package.json": package(version),
    }
    return {**own, "ENV": env, **others}


def change(app: App, **changed: str | None) -> None:
    """Commit files whose names stand as they are."""
    app.server.commit(app.repository, changed)


def ms(app: App) -> str:
    return app.body().split()[1]


def test_the_example(new_app: NewApp, example: Callable[[str], Path]) -> None:
    app = new_app("node", example("node"), push=False)
    first = built(app, "node")
    node = subprocess.run(
        ["node", "--version"], check=True, capture_output=True, text=True
    ).stdout.strip()
    assert app.body().startswith(f"Hello from Node.js {node}, ms 2.1.3, up for ")

    # The checkout has a link to the packages, and programs know where they are.
    environment = app.server.root / "envs" / "node" / first
    assert (
        app.server.root / "apps" / "node" / "node_modules"
    ).readlink() == environment / "node_modules"
    assert (environment / "package.json").exists()
    seen = dict(
        line.split("=", 1) for line in app.does("run", "--", "env").splitlines() if "=" in line
    )
    assert seen["NODE_PATH"] == str(environment / "node_modules")
    assert seen["NPM_CONFIG_PREFIX"] == str(environment / ".node")
    assert seen["PATH"].startswith(f"{environment}/node_modules/.bin:{environment}/.node/bin:")
    assert app.does("run", "--", "cd / && node -p 'require(\"ms\")(60000)'") == "1m\n"

    code = (app.repository / "server.js").read_text()
    change(app, **{"server.js": code.replace("Hello", "Goodbye")})
    reused(app)
    assert app.body().startswith("Goodbye")

    change(
        app,
        **{
            name: app_text(app, name, "2.1.3", "2.1.2")
            for name in ("package.json", "package-lock.json")
        },
    )
    assert built(app, "node") != first
    assert ", ms 2.1.2, " in app.body()

    change(app, **{"package.json": app_text(app, "package.json", "2.1.2", "2.1.1")})
    build_failed(app, "`npm ci", "package.json and package-lock.json")
    assert ", ms 2.1.2, " in app.body()


def app_text(app: App, name: str, old: str, new: str) -> str:
    """A file of the app's with another version of the package."""
    text = (app.repository / name).read_text()
    assert old in text
    return text.replace(old, new).replace(INTEGRITY[old], INTEGRITY.get(new, ""))


@pytest.mark.parametrize("manager", ["npm", "yarn@1", "pnpm@9"])
def test_a_package_manager_with_its_lock_file(new_app: NewApp, manager: str) -> None:
    name = manager.partition("@")[0]
    lock, text = LOCKS[name]
    setting = f"NODE_PACKAGE_MANAGER={manager}\n"
    app = new_app(f"locked-{name}", files("2.1.2", setting, **{lock: text("2.1.2")}))
    assert ms(app) == "2.1.2"
    # A lock file that says something else than package.json is refused, not mended.
    change(app, **{"package.json": package("2.1.3")})
    build_failed(app, f"`{name} ", r"(?i)lock")
    assert ms(app) == "2.1.2"
    change(app, **{lock: text("2.1.3")})
    built(app, "node")
    assert ms(app) == "2.1.3"
    change(app, **{"server.js": SERVER + "// changed\n"})
    reused(app)
    folder = app.server.root / "apps" / app.name
    assert (folder / lock).read_text() == text("2.1.3")


@pytest.mark.parametrize("manager", ["npm --package-lock=false", "yarn@1 --production", "pnpm@9"])
def test_a_package_manager_without_a_lock_file(new_app: NewApp, manager: str) -> None:
    name = manager.partition("@")[0].partition(" ")[0]
    app = new_app(f"free-{name}", files("~2.1.2", f"NODE_PACKAGE_MANAGER={manager}\n"))
    assert ms(app) == "2.1.3"
    folder = (app.server.root / "apps" / app.name / "node_modules").resolve().parent
    assert not (folder / LOCKS[name][0]).exists()


def test_yarn_4_as_package_json_asks_for_it(new_app: NewApp, server: Sandbox) -> None:
    # As `yarn set version` leaves a repository; without more, Yarn 4 would zip its packages.
    start = {"scripts": {"start": "node server.js", "postinstall": "node -p 1+1 >made.txt"}}
    asked = package("~2.1.2", packageManager="yarn@4.5.0+sha512.0123", **start)
    own = {"package.json": asked, "Procfile": "web: exec yarn start\n"}
    lock = (
        "__metadata:\n  version: 8\n\n"
        '"it@workspace:.":\n  version: 0.0.0-use.local\n  resolution: "it@workspace:."\n'
        '  dependencies:\n    ms: "npm:~2.1.2"\n  languageName: unknown\n  linkType: soft\n\n'
        '"ms@npm:~2.1.2":\n  version: 2.1.2\n  resolution: "ms@npm:2.1.2"\n'
        "  languageName: node\n  linkType: hard\n"
    )
    app = new_app("yarn-4", files("~2.1.2", **own, **{"yarn.lock": lock}), push=False)
    said = app.deployed()
    assert any("Installing @yarnpkg/cli-dist@4.5.0" in line for line in said), said
    assert ms(app) == "2.1.2"
    folder = server.root / "apps" / "yarn-4"
    assert (folder / "made.txt").read_text() == "2\n"
    # `yarn start` left nothing beside the code: the next push is not refused for it.
    change(app, **{"server.js": SERVER + "// changed\n"})
    assert app.deployed()
    assert ms(app) == "2.1.2"
    # A lock file that says something else is refused.
    change(app, **{"package.json": asked.replace("~2.1.2", "2.1.1")})
    build_failed(app, "`yarn install --immutable` failed", "YN0028")


def test_the_lock_file_chooses_the_manager(new_app: NewApp) -> None:
    # npm would take the newest; the lock file of yarn says which it is to be.
    lock = yarn_lock("2.1.2").replace("ms@2.1.2:", "ms@~2.1.2:")
    app = new_app("chosen", files("~2.1.2", **{"yarn.lock": lock}))
    assert ms(app) == "2.1.2"


def test_an_option_ignores_the_lock_file(new_app: NewApp) -> None:
    lock = npm_lock("2.1.2").replace('"ms": "2.1.2"', '"ms": "~2.1.2"')
    app = new_app("ignoring", files("~2.1.2", **{"package-lock.json": lock}))
    assert ms(app) == "2.1.2"
    app.does("config:set", "NODE_PACKAGE_MANAGER=npm --package-lock=false")
    assert ms(app) == "2.1.3"


def test_a_version_of_node_of_its_own(new_app: NewApp) -> None:
    app = new_app("versions", files(env="NODE_VERSION=20.11.1\n"), push=False)
    said = app.deployed()
    assert app.body() == "v20.11.1 2.1.3"
    ways = [line for line in said if line.startswith("       Node.js 20.11.1: ")]
    # nodeenv where it can download, else the same binaries from the npm registry; the transcript says which.
    assert "nodeenv" in ways[0]
    assert len(ways) == 1 or "from the npm registry" in ways[-1], ways
    # Another version, at any deploy, beside the one that runs.
    app.does("config:set", "NODE_VERSION=v22")
    assert app.body().startswith("v22.")
    environments = {path.name for path in (app.server.root / "envs" / "versions").glob("node-*")}
    assert len(environments) == 2
    # Programs of the app find its Node.js, and an npm that fits it.
    assert app.does("run", "--", "node --version").startswith("v22.")
    assert app.does("run", "--", "npm --version").startswith("10.")
    app.does("rollback")
    assert app.body() == "v20.11.1 2.1.3"

    refused = app.says("config:set", "NODE_VERSION=lts")
    assert refused.returncode == 1
    assert "not a Node.js version such as 20, 20.11 or 20.11.1" in refused.stderr
    missing = app.says("config:set", "NODE_VERSION=20.99")
    assert missing.returncode == 1
    assert "node-linux-" in missing.stdout + missing.stderr
    # npm has this version, but no program in it.
    empty = app.says("config:set", "NODE_VERSION=4.0.0")
    assert empty.returncode == 1
    assert "NODE_VERSION=4.0.0: there is no such Node.js for this machine" in empty.stderr
    assert app.body() == "v20.11.1 2.1.3"


def test_packages_of_the_repository_itself(new_app: NewApp) -> None:
    local = json.dumps({"name": "greet", "version": "1.0.0", "main": "index.js"})
    server = SERVER.replace('require("ms/package.json").version', 'require("greet")')
    app = new_app(
        "local",
        files(
            **{
                "server.js": server,
                "package.json": json.dumps(
                    {"name": "it", "dependencies": {"greet": "file:lib/greet"}}
                ),
                "lib/greet/package.json": local,
                "lib/greet/index.js": 'module.exports = "one";',
            }
        ),
    )
    assert app.body().endswith(" one")
    change(app, **{"lib/greet/index.js": 'module.exports = "two";'})
    built(app, "node")
    assert app.body().endswith(" two")


def test_scripts_of_its_own_run_in_the_checkout(new_app: NewApp, server: Sandbox) -> None:
    made = "node -e \"require('fs').writeFileSync('made.txt', require('ms')(Number(process.argv[1])))\" 60000"
    app = new_app("scripts", files(**{"package.json": package(scripts={"postinstall": made})}))
    assert (server.root / "apps" / "scripts" / "made.txt").read_text() == "1m"
    change(
        app, **{"package.json": package(scripts={"postinstall": "echo it cannot be done; exit 9"})}
    )
    build_failed(app, "it cannot be done", "`npm run postinstall` failed")
    assert (server.root / "apps" / "scripts" / "made.txt").read_text() == "1m"


def test_a_second_app_downloads_nothing_and_trusts_nobody(new_app: NewApp, server: Sandbox) -> None:
    def pushed(name: str, env: str = "") -> App:
        lock = {"package-lock.json": npm_lock("2.1.2"), "package.json": package("2.1.2")}
        return new_app(name, files(env=env, **lock))

    shared = server.root / "cache" / "@npm"
    assert ms(pushed("npm-first")) == "2.1.2"
    assert ms(pushed("npm-second", "NPM_CONFIG_REGISTRY=http://127.0.0.1:9\n")) == "2.1.2"

    # What a build could do to the packages of another.
    for file in [path for path in shared.rglob("*") if path.is_file()]:
        file.chmod(0o600)
        file.write_text("forged")
    assert ms(pushed("npm-third")) == "2.1.2"
    assert ms(pushed("npm-fourth", "NPM_CONFIG_REGISTRY=http://127.0.0.1:9\n")) == "2.1.2"
