#!/usr/bin/env python3
"""A form that greets. It reads its answer from standard input, as CGI has it."""

import html
import os
import sys
from urllib.parse import parse_qs

LONGEST = 10_000

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>A form</title>
<style>
  body {{ font: 1rem/1.5 system-ui, sans-serif; max-width: 44rem; margin: 2rem auto; padding: 0 1rem }}
  :root {{ color-scheme: light dark }}
</style>
<h1>{greeting}</h1>
<form method="post" action="{action}">
  <label>Your name <input name="name" value="{name}" autofocus></label>
  <button>Greet me</button>
</form>
<p><a href="/hello.sh">What a script is told</a></p>
</html>
"""


def name_sent() -> str:
    """The name in the body of a POST, or in the query."""
    text = os.environ["QUERY_STRING"]
    if os.environ["REQUEST_METHOD"] == "POST":
        length = min(int(os.environ.get("CONTENT_LENGTH") or 0), LONGEST)
        text = sys.stdin.buffer.read(length).decode("utf-8", "replace")
    return parse_qs(text).get("name", [""])[0].strip()


def main() -> None:
    name = html.escape(name_sent())
    page = PAGE.format(
        greeting=f"Good day, {name}!" if name else "Who are you?",
        action=html.escape(os.environ["SCRIPT_NAME"]),
        name=name,
    )
    body = page.encode()
    sys.stdout.write(f"Content-Type: text/html; charset=utf-8\r\nContent-Length: {len(body)}\r\n\r\n")
    sys.stdout.flush()
    sys.stdout.buffer.write(body)


main()
