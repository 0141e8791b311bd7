"""http://pages.localhost:8080/ : a form, and a greeting by the query's `firstname`."""

import html

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><title>Pages</title>
<style>body { font: 1.1rem/1.6 system-ui; max-width: 34rem; margin: 3rem auto; padding: 0 1rem }</style>
</head>
<body>
<h1>%(greeting)s</h1>
<form method="get">
<label>Your first name: <input name="firstname" value="%(name)s"></label>
<button>Greet me</button>
</form>
<p>This page is <code>docroot/pages/index.py</code>: change it and load it again.
<a href="sleep">Another one</a> takes its time.</p>
</body>
</html>
"""


def request_handler(request_details):
    name = html.escape(request_details.parsers.query().get("firstname", ""))
    greeting = "Hello, %s!" % name if name else "Who are you?"
    body = PAGE % {"greeting": greeting, "name": name}
    request_details.response = [200, body, {"Content-Type": "text/html; charset=utf-8"}]
