"""What PHP pages and CGI applications ask of a server, asked of httpyserver. Started by scripts/test-cgi."""

import html
import http.client
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.parse
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


DOKUWIKI = """
[server]
listen = "http://127.0.0.1:0"
[cgi]
interpreter = { ".php" = "php-cgi" }
[[host]]
root = "/usr/share/dokuwiki"
cgi = true
index = ["doku.php", "index.php", "index.html"]
[[host.route]]
path = "/lib/tpl/"
files = "/var/lib/dokuwiki/lib/tpl"
cgi = true
[[host.route]]
path = "/lib/plugins/"
files = "/var/lib/dokuwiki/lib/plugins"
cgi = true
"""

GITWEB = """
[server]
listen = "http://127.0.0.1:0"
[cgi]
env = { GITWEB_CONFIG = "FOLDER/gitweb.conf" }
[[host]]
root = "/usr/share/gitweb"
cgi = true
index = ["index.cgi"]
"""

CGIT = """
[server]
listen = "http://127.0.0.1:0"
[cgi]
env = { CGIT_CONFIG = "FOLDER/cgitrc" }
[[host]]
[[host.route]]
path = "/cgit/"
files = "/usr/lib/cgit"
cgi = true
fallback = "cgit.cgi"
[[host.route]]
path = "/cgit-css/"
files = "/usr/share/cgit"
"""


class Site:
    def __init__(self, folder: Path, config=CONFIG):
        (folder / "web.conf").write_text(config.replace("FOLDER", str(folder)))
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
        response.content = response.read()
        response.text = response.content.decode("utf-8", "replace")
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
    for needed, config, prepare, test in (
        (shutil.which("php-cgi"), CONFIG, pages, run),
        (shutil.which("php-cgi") and is_there("/usr/share/dokuwiki/doku.php"), DOKUWIKI, None, dokuwiki),
        (is_there("/usr/share/gitweb/gitweb.cgi"), GITWEB, repository, gitweb),
        (is_there("/usr/lib/cgit/cgit.cgi"), CGIT, repository, cgit),
    ):
        if not needed:
            print(f"test-cgi: SKIPPED {test.__name__}: not installed")
            continue
        with tempfile.TemporaryDirectory() as folder:
            if prepare:
                prepare(Path(folder))
            site = Site(Path(folder), config)
            try:
                test(site)
            finally:
                site.stop()
    print("test-cgi: all is well")


def is_there(path):
    return Path(path).exists()


def pages(folder):
    for name in ("static", "app", "sessions"):
        (folder / name).mkdir()
    for name, text in PAGES.items():
        (folder / "app" / name).write_text(text)


def repository(folder):
    """A repository with one commit, and what gitweb and cgit are to know of it."""
    place = folder / "repos" / "sample.git"
    place.mkdir(parents=True)
    who = ["-c", "user.name=Ann", "-c", "user.email=ann@example.org"]
    subprocess.run(["git", "init", "-q", place / "work"], check=True)
    (place / "work" / "hello.txt").write_text("hello from the repository\n")
    subprocess.run(["git", "add", "."], cwd=place / "work", check=True)
    subprocess.run(["git", *who, "commit", "-qm", "the first commit"], cwd=place / "work", check=True)
    subprocess.run(["git", "clone", "-q", "--bare", place / "work", folder / "bare" / "sample.git"], check=True)
    (folder / "gitweb.conf").write_text(f'$projectroot = "{folder}/bare"; $feature{{"pathinfo"}}{{"default"}} = [1]; 1;\n')
    (folder / "cgitrc").write_text(
        "css=/cgit-css/cgit.css\nlogo=/cgit-css/cgit.png\nvirtual-root=/cgit/\n"
        f"repo.url=sample\nrepo.path={folder}/bare/sample.git\n"
    )


KINDS = {".css": "text/css", ".js": "javascript", ".png": "image/png", ".gif": "image/gif", ".ico": "image/",
         "css.php": "text/css", "js.php": "javascript"}


def furniture(site, page, text):
    """Asks for every style, script and picture of a page, and looks at their types."""
    links = set(re.findall(r"""(?:href|src)=["']([^"'#]+)["']""", text))
    here = f"http://127.0.0.1:{site.port}"
    given = re.search(r'<base href="([^"]+)"', text)
    base = urllib.parse.urljoin(here + page, given[1] if given else "")
    asked = 0
    for link in sorted(links):
        url = urllib.parse.urljoin(base, html.unescape(link))
        path = urllib.parse.urlsplit(url).path
        kind = next((kind for end, kind in KINDS.items() if path.endswith(end)), None)
        if kind is None or not url.startswith(here + "/"):
            continue
        url = url.removeprefix(here)
        answer = site.ask("GET", url)
        if answer.status != 200 or kind not in answer.getheader("Content-Type", "") or not answer.content:
            # Not all applications have an icon at the root.
            if path != "/favicon.ico":
                sys.exit(f"test-cgi: FAILED: {url} of {page}: {answer.status} {answer.getheader('Content-Type')}")
            continue
        asked += 1
    return asked


def shows(site, path, words, least):
    answer = site.ask("GET", path)
    check(f"{path}", (answer.status, words in answer.text), (200, True))
    check(f"the styles, scripts and pictures of {path}", furniture(site, path, answer.text) >= least, True)


def hides(site, paths):
    for path in paths:
        answer = site.ask("GET", path)
        check(f"no source by {path}", any(mark in answer.text for mark in ("<?php", "#!/usr", "\x7fELF")), False)


def dokuwiki(site):
    shows(site, "/", "DokuWiki", 5)
    shows(site, "/doku.php?id=wiki:syntax", "Formatting Syntax", 5)
    shows(site, "/doku.php?id=wiki:dokuwiki&do=login", "Log In", 5)
    picture = site.ask("GET", "/lib/exe/fetch.php?media=wiki:dokuwiki-128.png")
    check("a picture by PHP", (picture.status, picture.content[:4]), (200, b"\x89PNG"))
    check("a picture of its own", site.ask("GET", "/lib/images/blank.gif").getheader("Content-Type"), "image/gif")
    form = {"Content_Type": "application/x-www-form-urlencoded"}
    found = site.ask("POST", "/doku.php", "do=search&id=start&q=syntax", **form)
    check("a form", (found.status, "Search" in found.text), (200, True))
    hides(site, ["/doku.php%20", "/DOKU.PHP", "/doku%2Ephp", "/lib/../doku.php", "/inc/init.php", "/lib/exe/css.php/"])
    for path in ("/.htaccess", "/.htaccess.dist", "/doku.php~", "/inc/preload.php.dist"):
        check(f"{path} is 404", site.ask("GET", path).status, 404)


def gitweb(site):
    shows(site, "/", "sample.git", 2)
    shows(site, "/index.cgi/sample.git/log", "the first commit", 0)
    text = site.ask("GET", "/gitweb.cgi/sample.git/blob_plain/HEAD:/hello.txt")
    check("a file of the repository", text.text, "hello from the repository\n")
    hides(site, ["/gitweb.cgi/", "/index.cgi%20", "/INDEX.CGI", "/static/../gitweb.cgi"])


def cgit(site):
    shows(site, "/cgit/", "sample", 1)
    shows(site, "/cgit/sample/log/", "the first commit", 1)
    text = site.ask("GET", "/cgit/sample/plain/hello.txt")
    check("a file of the repository", text.text, "hello from the repository\n")
    hides(site, ["/cgit/cgit.cgi", "/cgit/cgit.cgi~", "/cgit/CGIT.CGI"])


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
