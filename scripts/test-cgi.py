"""What PHP pages ask of a server, asked of httpyserver with php-cgi. Started by scripts/test-cgi."""

import http.client
import re
import subprocess
import sys
import tempfile
from pathlib import Path

BINARY = Path(sys.argv[1]).resolve()

CONFIG = """
[server]
listen = "http://127.0.0.1:0"
[limits]
body = "4MiB"
[cgi]
interpreter = { ".php" = "php-cgi" }
[[host]]
root = "static"
[[host.route]]
path = "/app/"
cgi = "app"
"""

PAGES = {
    "form.php": """<?php
        header("X-Method: " . $_SERVER["REQUEST_METHOD"]);
        echo htmlspecialchars($_POST["name"] ?? "nobody"), "|", $_GET["q"] ?? "", "|", $_SERVER["PATH_INFO"] ?? "";
    """,
    "upload.php": """<?php
        $file = $_FILES["file"];
        echo $file["name"], " ", $file["size"], " ", md5_file($file["tmp_name"]);
    """,
    "session.php": """<?php
        session_save_path(getcwd() . "/../sessions");
        session_start();
        $_SESSION["count"] = ($_SESSION["count"] ?? 0) + 1;
        setcookie("second", "cookie");
        echo $_SESSION["count"];
    """,
    "go.php": """<?php header("Location: /app/form.php?q=went");""",
    "status.php": """<?php http_response_code(418); echo "teapot";""",
    "broken.php": """<?php echo "before"; undefined_function();""",
    "raw.php": """<?php echo strlen(file_get_contents("php://input")), " ", $_SERVER["CONTENT_LENGTH"];""",
    "flush.php": """<?php for ($n = 0; $n < 3; $n++) { echo $n, "\\n"; flush(); usleep(50000); }""",
}


class Site:
    def __init__(self, folder: Path):
        for name in ("static", "app", "sessions"):
            (folder / name).mkdir()
        for name, text in PAGES.items():
            (folder / "app" / name).write_text(text)
        (folder / "web.conf").write_text(CONFIG)
        self.server = subprocess.Popen(
            [BINARY, "-c", folder / "web.conf"], stdout=subprocess.PIPE, stderr=sys.stderr, text=True
        )
        self.port = None
        for line in self.server.stdout:
            if found := re.search(r"http://127\.0\.0\.1:(\d+)/", line):
                self.port = int(found[1])
            if line == "ready\n":
                return
        sys.exit("test-cgi: the server does not start")

    def ask(self, method, path, body=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        headers = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, headers, encode_chunked=headers.get("Transfer-Encoding"))
        response = connection.getresponse()
        response.text = response.read().decode()
        connection.close()
        return response

    def stop(self):
        self.server.terminate()
        self.server.wait(10)


def check(what, found, wanted):
    if found != wanted:
        sys.exit(f"test-cgi: FAILED: {what}: {found!r}, and not {wanted!r}")
    print(f"test-cgi: {what}: ok")


def main():
    with tempfile.TemporaryDirectory() as folder:
        site = Site(Path(folder))
        try:
            run(site)
        finally:
            site.stop()
    print("test-cgi: all is well")


def run(site):
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    answer = site.ask("POST", "/app/form.php/info?q=1", "name=Ann+%3Cb", **form)
    check("a form", answer.text, "Ann &lt;b|1|/info")
    check("a header", answer.getheader("X-Method"), "POST")
    check("a query", site.ask("GET", "/app/form.php?q=-s").text, "nobody|-s|")
    # CVE-2012-1823: a query without `=` is not to become arguments of php.
    check("no arguments", site.ask("GET", "/app/form.php?-s").text, "nobody||")

    content = bytes(range(256)) * 4000
    boundary = "boundary42"
    body = (
        f'--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="a.bin"\r\n'
        "Content-Type: application/octet-stream\r\n\r\n"
    ).encode() + content + f"\r\n--{boundary}--\r\n".encode()
    kind = {"Content_Type": f"multipart/form-data; boundary={boundary}"}
    import hashlib

    wanted = f"a.bin {len(content)} {hashlib.md5(content).hexdigest()}"
    check("an upload", site.ask("POST", "/app/upload.php", body, **kind).text, wanted)
    pieces = (body[at : at + 10_000] for at in range(0, len(body), 10_000))
    chunked = site.ask("POST", "/app/upload.php", pieces, Transfer_Encoding="chunked", **kind)
    check("an upload in chunks", chunked.text, wanted)
    check("a raw body", site.ask("PUT", "/app/raw.php", b"x" * 70_000).text, "70000 70000")

    first = site.ask("GET", "/app/session.php")
    cookies = first.headers.get_all("Set-Cookie")
    check("two cookies", len(cookies), 2)
    cookie = "; ".join(cookie.split(";")[0] for cookie in cookies)
    check("a session", [first.text, site.ask("GET", "/app/session.php", Cookie=cookie).text], ["1", "2"])

    moved = site.ask("GET", "/app/go.php")
    check("a redirect", (moved.status, moved.getheader("Location")), (302, "/app/form.php?q=went"))
    teapot = site.ask("GET", "/app/status.php")
    check("a status", (teapot.status, teapot.text), (418, "teapot"))
    check("a broken page", site.ask("GET", "/app/broken.php").status in (200, 500), True)
    check("output as it is flushed", site.ask("GET", "/app/flush.php").text, "0\n1\n2\n")
    check("HEAD", (site.ask("HEAD", "/app/form.php").status, site.ask("HEAD", "/app/form.php").text), (200, ""))
    for path in ("/app/form%2Ephp", "/app/./form.php", "/app//form.php"):
        check(f"no source by {path}", "<?php" in site.ask("GET", path).text, False)


main()
