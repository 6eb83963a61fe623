"""Counts its visitors in Redis."""

import os

from flask import Flask
from redis import Redis

app = Flask(__name__)
redis = Redis.from_url(os.environ["REDIS_URL"])


@app.get("/")
def page() -> str:
    return f"You are visitor {redis.incr('visits')}.\n"
