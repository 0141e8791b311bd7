# Pages: Python files that answer for their own path (see docs/wsgi.md). Read before worker.py, as one
# program with it: an application of PEP 3333 like any other, whose body is the page that was asked for.

import http
import importlib
import os
import re
import sys
import urllib.parse


def pages(folder):
    """The application that runs the pages of a folder."""
    known, modules = {}, PageModules(folder)
    # Compiled modules are told apart by the second in which their source was changed, and by its size.
    sys.dont_write_bytecode = True

    def load(name):
        """The page's function, read again when its file, or what pages import, has changed."""
        path = os.path.join(folder, name)
        stamp = stamp_of(path)
        if modules.have_changed():
            modules.forget()
            known.clear()
        seen = known.get(name)
        if seen is None or seen[0] != stamp:
            with open(path, "rb") as file:
                code = compile(file.read(), path, "exec")
            scope = {"__name__": "page", "__file__": path}
            here = os.path.dirname(path)
            if here not in sys.path:
                sys.path.append(here)
            exec(code, scope)
            handler = scope.get("request_handler")
            if not callable(handler):
                raise TypeError("%s has no function request_handler(request_details)" % path)
            seen = known[name] = (stamp, handler)
        return seen[1]

    def application(environ, start_response):
        details = RequestDetails(environ, start_response)
        before = details.response
        try:
            handler = load(environ["httpyserver.page"])
            # Before it runs, for that may take as long as it likes.
            modules.note()
            returned = handler(details)
        finally:
            modules.note()
        is_untouched = details.response is before and before == NOTHING_YET
        return details.connection._finish(returned, None if is_untouched else details.response)

    return application


NOTHING_YET = [200, "", {}]


def stamp_of(path):
    info = os.stat(path)
    return info.st_mtime_ns, info.st_size, info.st_ino


class PageModules:
    """The modules of the folder of pages that pages have imported."""

    def __init__(self, folder):
        self.inside = os.path.join(folder, "")
        self.stamps = {}
        self.seen = 0

    def note(self):
        """Remembers what was imported since it was called last."""
        if len(sys.modules) != self.seen:
            self.seen = len(sys.modules)
            for _, path in self._own():
                if path not in self.stamps and os.path.isfile(path):
                    self.stamps[path] = stamp_of(path)

    def have_changed(self):
        try:
            return any(stamp_of(path) != stamp for path, stamp in self.stamps.items())
        except OSError:
            return True

    def forget(self):
        """All of them: what one module took from another would stay the old one in it."""
        # Found first: those of a package are looked up by way of it.
        for name, _ in list(self._own()):
            del sys.modules[name]
        importlib.invalidate_caches()
        self.stamps.clear()
        self.seen = 0

    def _own(self):
        for name, module in list(sys.modules.items()):
            place = place_of(module)
            if place.startswith(self.inside):
                yield name, place


def place_of(module):
    """Where a module lies, or "". There may be anything among the modules, and it may answer anything."""
    try:
        place = getattr(module, "__file__", None)
        if not isinstance(place, str):
            # A folder without __init__.py has no file and may have several places.
            place = next(iter(getattr(module, "__path__", ())), "")
        return place if isinstance(place, str) else ""
    except Exception:
        return ""


class RequestDetails:
    """What a page is told, and where it puts its answer."""

    def __init__(self, environ, start_response):
        self.method = environ["REQUEST_METHOD"]
        self.client_address = (environ.get("REMOTE_ADDR", ""), int(environ["REMOTE_PORT"] or 0))
        self.headers = PageHeaders(environ)
        self.body = environ["wsgi.input"].read().decode("utf-8", "surrogateescape")
        path = environ["SCRIPT_NAME"] + environ["PATH_INFO"]
        self.uri = PageUri(path.encode("latin-1").decode("utf-8", "replace"), environ["QUERY_STRING"])
        self.parsers = PageParsers(self.uri)
        self.connection = PageConnection(start_response)
        # Pages set it, or fill in what is there.
        self.response = [200, "", {}]


class PageHeaders(dict):
    """The request's headers by name, whatever its case."""

    def __init__(self, environ):
        for key, value in environ.items():
            if key.startswith("HTTP_"):
                self[key[5:]] = value
        for key in ("CONTENT_TYPE", "CONTENT_LENGTH"):
            if environ.get(key):
                self[key] = environ[key]

    @staticmethod
    def _name(name):
        return "-".join(part.capitalize() for part in name.replace("_", "-").split("-"))

    def __setitem__(self, name, value):
        super().__setitem__(self._name(name), value)

    def __getitem__(self, name):
        return super().__getitem__(self._name(name))

    def __contains__(self, name):
        return super().__contains__(self._name(name))

    def get(self, name, default=None):
        return super().get(self._name(name), default)


class PageUri(dict):
    """`uri.path` and `uri["path"]` are the same; so with `query` and `fragment`."""

    def __init__(self, path, query):
        # Clients keep the fragment to themselves; it is here for pages that ask for it.
        super().__init__(path=path, query=query, fragment="")
        self.path, self.query, self.fragment = path, query, ""


class PageParsers:
    """Ready-made readings of the request."""

    def __init__(self, uri):
        self._uri = uri

    def query(self, query=None):
        """Names and values of the request's query, or of another; of a name that comes twice, the last."""
        query = self._uri.query if query is None else query
        return dict(urllib.parse.parse_qsl(query, keep_blank_values=True))


class PageConnection:
    """The connection as a page sees it: what is sent first is an HTTP response, with its head."""

    def __init__(self, start_response):
        self._start_response = start_response
        self._write = None
        self._head = b""
        self._made = None
        self._closed = False
        self.response_already_made = False

    @property
    def low_level(self):
        """In place of the client's socket, which is the server's: it sends, receives and closes."""
        return self

    def make_response(self, response_code, headers=None, body=""):
        """A response as text, or bytes where the body is; nothing, if one was made already."""
        # The order of `response` is understood as well.
        answer = PageAnswer.of_parts((response_code, headers, body))
        if answer is None:
            raise TypeError("make_response takes a code, headers and a body")
        body = "" if answer.body is None else answer.body
        if is_bytes(body):
            body = bytes(body)
        elif not isinstance(body, str):
            body = str(body)
        if self.response_already_made:
            return body[:0]
        self.response_already_made = True
        lines = ["HTTP/1.1 %s" % status_text(answer.code)]
        lines += ["%s: %s" % (name, value) for name, value in header_list(answer.headers)]
        head = "\r\n".join(lines) + "\r\n\r\n"
        self._made = head.encode("latin-1") + body if isinstance(body, bytes) else head + body
        return self._made

    def send(self, data):
        """Sends text or bytes; the client has them at once. Returns how many were taken."""
        if self._closed:
            raise ConnectionError("the page has closed its connection")
        raw = raw_of(data)
        taken = len(raw)
        if self._write is None:
            self._head += raw
            head, blank, rest = self._head.partition(b"\r\n\r\n")
            if not blank:
                if len(self._head) > 65536:
                    raise ValueError("the page sends no head: see connection.make_response")
                return taken
            self._start(head.decode("latin-1").split("\r\n"))
            raw, self._head = rest, b""
        # What goes beyond a HEAD, the server leaves out.
        self._write(raw)
        return taken

    sendall = send

    def recv(self, bytes_count):
        """The body was read before the page was called: there is nothing more."""
        return ""

    def close(self):
        """Nothing more will be sent."""
        self._closed = True

    def _start(self, lines):
        self._write = self._start_response(*head_of_lines(lines))
        self.response_already_made = True

    def _finish(self, returned, response):
        """What is left to be sent of the answer, once the page has returned; `None` is what a page returns
        that returns nothing, and sets that sets nothing. What was sent is the answer, else what was
        returned, else what was set, else what was made."""
        # A thread that goes on sending is told so.
        self._closed = True
        if self._write is not None:
            return []
        if self._head:
            raise ValueError(NO_HEAD % "sent")
        answer = None
        if response is not None:
            answer = PageAnswer.of(response)
            if answer is None and returned is None:
                raise TypeError("request_details.response is %r, not [code, body, headers]" % (response,))
        elif self._made is not None:
            answer = PageAnswer.of(self._made)
        # A second make_response makes an empty text: the answer is the first one.
        if returned is not None and not (self._made is not None and is_empty(returned)):
            own = PageAnswer.of(returned)
            if own is not None:
                answer = own if answer is None else own.on_top_of(answer)
            elif answer is None:
                raise TypeError("request_handler returned %r, which is no answer: it may be text, bytes or "
                                "(code, headers, body)" % (returned,))
        if answer is None:
            raise ValueError("the page has neither set request_details.response nor sent or returned anything")
        return answer.start(self._start_response)


NO_HEAD = ("the page %s the beginning of a head, and not the empty line at its end; "
           "its lines end with CR LF: see connection.make_response")

# The head of a response, as a page may write it by hand.
HEAD_BY_HAND = re.compile(rb"HTTP/1\.[01] [0-9]{3}(?: [^\r\n]*)?\r?\n(?:[!#-'*+.^_`|~0-9A-Za-z-]+:[^\r\n]*\r?\n)*\r?\n")


class PageAnswer:
    """An answer that was not sent by the page itself. `None` is what is not said."""

    def __init__(self, code=None, headers=None, body=None):
        self.code, self.headers, self.body = code, headers, body

    @classmethod
    def of(cls, value):
        """The answer that a value stands for; `None` if for none."""
        if isinstance(value, str) or is_bytes(value):
            return cls.of_text(raw_of(value))
        if isinstance(value, (list, tuple)):
            return cls.of_parts(value)
        if is_code(value):
            return cls(code=value)
        return cls(body=value) if hasattr(value, "__next__") else None

    @classmethod
    def of_text(cls, raw):
        """A whole response, or a body."""
        if not HEAD_BY_HAND.match(raw):
            return cls(body=raw)
        head, blank, body = raw.partition(b"\r\n\r\n")
        if not blank:
            raise ValueError(NO_HEAD % "returned")
        return cls(*head_of_lines(head.decode("latin-1").split("\r\n")), body)

    @classmethod
    def of_parts(cls, parts):
        """Code, headers and body, told apart by what they are: there is more than one order."""
        answer = cls()
        for n, part in enumerate(parts):
            if part is None:
                continue
            is_line = n == 0 and len(parts) > 1 and isinstance(part, str) and re.match("[1-9][0-9]{2}( |$)", part)
            if answer.code is None and (is_line or is_code(part)):
                answer.code = part
            elif answer.headers is None and is_headers(part):
                answer.headers = part
            elif answer.body is None and not isinstance(part, (dict, list, tuple)):
                answer.body = part
            else:
                return None
        return answer if parts else None

    def on_top_of(self, other):
        """What this one does not say is as in the other."""
        if self.headers is None and other.headers is not None and self.body is not None:
            # The length was that of the other body.
            self.headers = [pair for pair in header_list(other.headers) if pair[0].lower() != "content-length"]
        elif self.headers is None:
            self.headers = other.headers
        self.code = other.code if self.code is None else self.code
        self.body = other.body if self.body is None else self.body
        return self

    def start(self, start_response):
        """Says its head, and returns its body."""
        status, headers = status_text(200 if self.code is None else self.code), header_list(self.headers)
        named = {name.lower() for name, _ in headers}
        if "content-type" not in named:
            headers.append(("Content-Type", "text/html; charset=utf-8"))
        body = "" if self.body is None else self.body
        if hasattr(body, "__next__"):
            start_response(status, headers)
            return map(raw_of, body)
        raw = raw_of(body)
        if "content-length" not in named and status[:3] not in ("204", "304"):
            headers.append(("Content-Length", str(len(raw))))
        start_response(status, headers)
        return [raw]


def is_bytes(value):
    return isinstance(value, (bytes, bytearray, memoryview))


def is_empty(value):
    return (isinstance(value, str) or is_bytes(value)) and len(value) == 0


def is_code(value):
    return isinstance(value, int) and not isinstance(value, bool)


def is_headers(value):
    """Whether it is a dictionary, or a list of pairs."""
    if hasattr(value, "items"):
        return True
    return isinstance(value, (list, tuple)) and all(isinstance(p, (list, tuple)) and len(p) == 2 for p in value)


def raw_of(value):
    """Text or bytes, as bytes."""
    return bytes(value) if is_bytes(value) else str(value).encode("utf-8", "surrogateescape")


def head_of_lines(lines):
    """Status and headers of a response that a page has written."""
    version, _, status = lines[0].partition(" ")
    if not version.startswith("HTTP/"):
        raise ValueError("the page sends %r where its status line should be" % lines[0][:80])
    headers = []
    for line in lines[1:]:
        name, _, value = line.partition(":")
        # How the body is framed is the server's to say.
        if name.strip().lower() not in ("connection", "keep-alive", "transfer-encoding"):
            headers.append((name.strip(), value.strip()))
    return status, headers


def status_text(code):
    if isinstance(code, str) and not code.isdigit():
        return code
    try:
        return "%d %s" % (int(code), http.HTTPStatus(int(code)).phrase)
    except ValueError:
        return "%d " % int(code)


def header_list(headers):
    """Headers as pairs, from a dict or from pairs; a list as value is several lines."""
    pairs = []
    for name, value in (headers.items() if hasattr(headers, "items") else headers or ()):
        for one in value if isinstance(value, (list, tuple)) else (value,):
            pairs.append((str(name), str(one)))
    return pairs


