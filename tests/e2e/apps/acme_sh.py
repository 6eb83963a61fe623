#!/usr/bin/python3 -I
"""Stands in for acme.sh: understands exactly the arguments that its documentation gives, refuses any
other, notes each call, and leaves the exchange with the authority to lego.

Like acme.sh it keeps a certificate in DOMAIN_ecc, and renews on --cron.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

HOME = Path(os.environ.get("LE_WORKING_DIR", Path(__file__).parent))
ONCE = {"--server"}
COMMANDS = {
    "--issue": {"needs": {"-d", "-w", "--server", "--force"}, "may": set()},
    "--cron": {"needs": set(), "may": set()},
}


def parse(words):
    found = {"-d": []}
    words = list(words)
    command = words.pop(0)
    if command not in COMMANDS:
        raise SystemExit(f"Unknown command: {command}")
    while words:
        word = words.pop(0)
        if word == "-d":
            found["-d"].append(words.pop(0))
        elif word == "-w" or word in ONCE:
            if word in found:
                raise SystemExit(f"{word} is given twice")
            found[word] = words.pop(0)
        elif word == "--force":
            found[word] = True
        else:
            raise SystemExit(f"Unknown parameter: {word}")
    given = {name for name, value in found.items() if value}
    rule = COMMANDS[command]
    if rule["needs"] - given or given - rule["needs"] - rule["may"]:
        raise SystemExit(
            f"{command}: missing {rule['needs'] - given}, unknown {given - rule['needs'] - rule['may']}"
        )
    return command, found


def issue(domain, names, options):
    folder = HOME / f"{domain}_ecc"
    note = folder / "conf.json"
    webroot = Path(options["-w"])
    assert webroot.is_absolute() and webroot.name == "acme", webroot
    words = [word for name in names for word in ("--domains", name)]
    done = subprocess.run(
        ["/usr/bin/lego", "--path", str(HOME / "lego"), "--server", options["--server"], "--accept-tos",
         "--email", "nobody@shop.localhost", *words, "--http", "--http.webroot", str(webroot), "run"],
        check=False, capture_output=True, text=True,
        env={**os.environ, "LEGO_CA_CERTIFICATES": os.environ["CURL_CA_BUNDLE"]},
    )  # fmt: skip
    if done.returncode:
        print(f"[Sat Nov 21 02:38:05 UTC 2026] {done.stderr.strip().splitlines()[-1]}")
        raise SystemExit(1)
    folder.mkdir(exist_ok=True)
    got = HOME / "lego" / "certificates"
    (folder / "fullchain.cer").write_text((got / f"{domain}.crt").read_text())
    (folder / f"{domain}.key").write_text((got / f"{domain}.key").read_text())
    note.write_text(json.dumps({"names": names, "options": options}))


def main():
    # A switch of its own, which the app under test has as a setting for something else.
    assert "STAGE" not in os.environ
    with (HOME / "calls").open("a") as calls:
        calls.write(json.dumps(sys.argv[1:]) + "\n")
    command, options = parse(sys.argv[1:])
    if command == "--cron":
        for note in HOME.glob("*_ecc/conf.json"):
            known = json.loads(note.read_text())
            issue(known["names"][0], known["names"], known["options"])
        return
    assert (
        os.environ["LE_WORKING_DIR"] == os.environ["LE_CONFIG_HOME"] == str(Path(__file__).parent)
    )
    issue(options["-d"][0], options["-d"], options)


main()
