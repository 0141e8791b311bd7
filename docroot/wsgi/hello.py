"""http://wsgi.localhost:8080/ : a small WSGI application (PEP 3333) without any framework."""

import html
import os
import time
from urllib.parse import parse_qs

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>WSGI</title>
<style>body { font: 1.1rem/1.6 system-ui; max-width: 40rem; margin: 3rem auto; padding: 0 1rem }
td { padding-right: 1rem; vertical-align: top; font-size: .85rem } td:first-child { font-weight: bold }</style>
</head>
<body>
%s
</body>
</html>
"""


def application(environ, start_response):
    views = {"/": overview, "/environ": show_environ, "/clock": clock, "/upload": upload}
    view = views.get(environ["PATH_INFO"] or "/")
    if view is None:
        return page(start_response, "<h1>No such page</h1>", "404 Not Found")
    return view(environ, start_response)


def page(start_response, content, status="200 OK"):
    body = (PAGE % content).encode("utf-8")
    start_response(status, [("Content-Type", "text/html; charset=utf-8"),
                            ("Content-Length", str(len(body)))])
    return [body]


def overview(environ, start_response):
    name = parse_qs(environ["QUERY_STRING"]).get("name", ["you"])[0]
    return page(start_response, """<h1>Hello, %s</h1>
<p>Worker %d answered. <a href="?name=World">Greet the world</a>, look at the
<a href="environ">environment</a> of a request, or at a <a href="clock">clock</a> that runs for five seconds.</p>
<form action="upload" method="post" enctype="multipart/form-data">
<input type="file" name="file"> <button>How long is it?</button></form>"""
                % (html.escape(name), os.getpid()))


def show_environ(environ, start_response):
    rows = "".join("<tr><td>%s<td>%s</tr>\n" % (html.escape(key), html.escape(repr(environ[key])))
                   for key in sorted(environ))
    return page(start_response, "<h1>environ</h1>\n<table>%s</table>" % rows)


def clock(environ, start_response):
    """A stream of server-sent events is made in the same way."""
    start_response("200 OK", [("Content-Type", "text/plain; charset=utf-8")])
    for _ in range(5):
        yield time.strftime("%H:%M:%S\n").encode()
        time.sleep(1)


def upload(environ, start_response):
    length = 0
    while True:
        piece = environ["wsgi.input"].read(65536)
        if not piece:
            break
        length += len(piece)
    return page(start_response, "<h1>%d bytes</h1><p>with their framing.</p>" % length)
