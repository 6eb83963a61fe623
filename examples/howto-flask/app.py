"""Counts its visitors."""

import os
import sqlite3
from pathlib import Path

from flask import Flask, render_template

app = Flask(__name__)
DATABASE = Path(os.environ.get("DATA_ROOT", "."), "visits.db")


def count() -> int:
    with sqlite3.connect(DATABASE) as database:
        database.execute("CREATE TABLE IF NOT EXISTS visits (time TEXT DEFAULT CURRENT_TIMESTAMP)")
        database.execute("INSERT INTO visits DEFAULT VALUES")
        found: int = database.execute("SELECT count(*) FROM visits").fetchone()[0]
    return found


@app.get("/")
def page() -> str:
    return render_template("page.html", visits=count())
