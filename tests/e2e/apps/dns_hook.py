#!/usr/bin/python3 -I
"""What lego's provider "exec" calls to prove a name by DNS: present|cleanup NAME VALUE."""

import json
import os
import sys
import urllib.request

action, name, value = sys.argv[1:4]
path = {"present": "set-txt", "cleanup": "clear-txt"}[action]
body = json.dumps({"host": name, "value": value}).encode()
# The credential is one of the app's settings.
assert os.environ["DNS_TOKEN"] == "opensesame"
urllib.request.urlopen(f"{os.environ['DNS_RECORDS']}/{path}", body).close()  # noqa: S310 (a test's own address)
