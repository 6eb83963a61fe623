"""What the other folders answer as well: /echo, /early, /cookies?bytes=, /events?n=&gap=, /cut."""

import hashlib
import time

from flask import Flask, Response, jsonify, request

app = Flask(__name__)


@app.route("/early", methods=["POST"])
def early():
    return Response("who are you?", 401)


@app.route("/cookies")
def cookies():
    answer = Response("baked")
    answer.headers["Set-Cookie"] = "all=" + "c" * int(request.args["bytes"])
    return answer


@app.route("/events")
def events():
    count, gap = int(request.args["n"]), float(request.args["gap"])

    def each():
        for number in range(count):
            if number:
                time.sleep(gap)
            yield f"data: {number}\n\n"

    return Response(each(), mimetype="text/event-stream")


@app.route("/cut")
def cut():
    def each():
        yield "begun"
        raise RuntimeError("no more")

    return Response(each(), mimetype="text/plain")


@app.route("/", defaults={"path": ""}, methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"])
@app.route("/<path:path>", methods=["GET", "POST", "PUT", "DELETE", "OPTIONS"])
def echo(path):
    body = request.get_data()
    return jsonify(
        method=request.method,
        target=request.environ.get("REQUEST_URI") or request.environ["RAW_URI"],
        headers={name.lower(): value for name, value in request.headers.items() if value},
        client=request.remote_addr,
        scheme=request.scheme,
        length=len(body),
        sha256=hashlib.sha256(body).hexdigest(),
    )
