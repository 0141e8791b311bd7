"""The Python side of httpyserver's WSGI workers (PEP 3333). Standard library only, Python 3.9 or newer.

Started with a stream socket to the server as descriptor 0, the board (a shared page of memory) as
1, and the server's error log as 2. The main thread reads frames, calls the application for one
after the other, and sends what came of several together. A second thread sleeps most of the time:
when one call takes long, it sends what is finished, and gives back what has not begun.

The frames are described in wire.rs; what is said here twice is said there with reasons.
"""

import ast
import builtins
import faulthandler
import functools
import gc
import io
import itertools
import mmap
import os
import signal
import socket
import stat
import struct
import sys
import time
import tokenize  # noqa: F401 -- traceback wants it, some versions only then: not to be an application's
import traceback
import _thread
from collections import deque
from types import FunctionType, MethodType

# A copy: an application may give others new meanings.
__builtins__ = vars(builtins).copy()

VERSION = 2

FRAME = struct.Struct("<IIBBH")       # length, id, flags, kind, status
START = struct.Struct("<IIB")         # the first three, and
HEAD = struct.Struct("<BHI")          # the rest, with the length of the header block
REQUEST = struct.Struct("<IIBxxxII")  # a frame's head, and the lengths of the two environment blocks
FILE = struct.Struct("<IIBBHQQ")      # a frame's head, offset and length

# Kinds of frames to the server.
READY, FAILED, ANSWER, DATA, SENDFILE, RETURNED, ERROR, CHANGED = range(1, 9)
# Kinds of frames from the server.
SETUP, CALL = 1, 2

END = 1           # flag: the answer is complete
BODY = 1          # flag: the request has a body in its frame
BODY_FILE = 2     # flag: the body is a file whose descriptor came along
HEAD_ONLY = 4     # flag: nobody wants the body of the answer

PIECE = 64 * 1024         # of a body in one frame
HEAD_MAX = 64 * 1024      # of the names and values in a head
GATHER = 128 * 1024       # bytes that are sent together
GATHER_FOR = 0.0005       # seconds that a finished answer waits for company
STUCK = 0.01              # seconds after which the second thread looks whether one call takes long
CACHED_MAX = 4096         # environment blocks longer than this are not remembered
CACHE_ENTRIES = 512       # of environment blocks, and of heads of answers

# Words of the board. LOADING is 1 once Python runs, which whatever starts it may delay. A slot of CANCELLED
# holds the id of a request whose client is gone, one of REVOKED that of a request which goes to another
# worker unless it was begun.
STARTED, LOADING, CANCELLED, REVOKED, SLOTS = 0, 1, 16, 128, 64


class FileWrapper:
    """wsgi.file_wrapper: sent by the kernel if it is a regular file, read in blocks if not."""

    def __init__(self, filelike, blksize=PIECE):
        self.filelike = filelike
        self.blksize = blksize
        if hasattr(filelike, "close"):
            self.close = filelike.close

    def __iter__(self):
        return self

    def __next__(self):
        data = self.filelike.read(self.blksize)
        if data:
            return data
        raise StopIteration

    def regular(self):
        """(descriptor, offset, length) of what is left of a regular file, or None."""
        plain = self.filelike
        if (type(plain).__module__, type(plain).__name__) in AROUND_FILES:
            plain = getattr(plain, "file", None)
        if type(plain) not in PLAIN_FILES:
            # It may have a descriptor all the same, and not say what is in there: `gzip.open` does so.
            return None
        try:
            number = plain.fileno()
            info = os.fstat(number)
            # Those of /proc say that they are empty, and are not.
            if not stat.S_ISREG(info.st_mode) or info.st_size == 0:
                return None
            offset = plain.tell()
            return number, offset, max(info.st_size - offset, 0)
        except (AttributeError, OSError, ValueError):
            return None


PLAIN_FILES = (io.BufferedReader, io.BufferedRandom, io.FileIO)
AROUND_FILES = (("tempfile", "_TemporaryFileWrapper"), ("django.core.files.base", "File"))

# What differs from request to request.
OWN = ("PATH_INFO", "QUERY_STRING", "REQUEST_URI", "REMOTE_PORT")


class Gone(BaseException):
    """The client of the request is gone: what else it yields is of no use."""


def base_of(block):
    """The part of an environment that requests have in common: pairs of names and values."""
    words = block.decode("latin-1").split("\0")
    base = dict(zip(words[::2], words[1::2]))
    # Their places are taken already, so that filling in a copy never makes it grow.
    for name in OWN:
        base[name] = ""
    base["wsgi.input"] = None
    base["wsgi.version"] = (1, 0)
    base["wsgi.errors"] = errors
    base["wsgi.multithread"] = False
    base["wsgi.multiprocess"] = True
    base["wsgi.run_once"] = False
    base["wsgi.input_terminated"] = True
    base["wsgi.file_wrapper"] = FileWrapper
    return base


def serve(sock, board, application, watch):
    """Answers requests until the server closes its end."""
    out = []                 # whole frames that wait to be sent
    gathered = 0             # bytes in it, about
    flushed = 0.0            # when it was last sent
    todo = deque()           # requests that have not begun
    files = deque()          # descriptors that came for requests
    rest = b""               # the beginning of a frame
    bases = {}
    running = False          # a call is in progress
    parked = False           # the second thread waits for the gate
    send_lock = _thread.allocate_lock()
    receive_lock = _thread.allocate_lock()
    gate = _thread.allocate_lock()
    gate.acquire()

    # Of the request that is being answered:
    current = 0
    taking = 0               # its id, as long as something may be added to the answer
    head = None              # what follows the id in its first frame, once start_response was called
    begun = False            # that frame is among what is sent

    clock = time.monotonic
    trace, get_trace, set_trace = sys.gettrace(), sys.gettrace, sys.settrace
    unpack = REQUEST.unpack_from
    pack_start = START.pack
    pack = FRAME.pack
    BytesIO = io.BytesIO
    heads = {}
    last = None, None, None  # a status line, headers, and what was made of them

    def flush():
        nonlocal gathered, flushed
        if is_child:
            raise RuntimeError(NOT_HERE)
        with send_lock:
            pieces = out[:]
            del out[:len(pieces)]
            gathered = 0
            sock.sendall(b"".join(pieces))
        flushed = clock()

    def receive(wait):
        """Takes what has arrived. Returns False if that was nothing."""
        nonlocal rest
        want = 65536
        if len(rest) >= 4:
            want = max(want, 4 + int.from_bytes(rest[:4], "little") - len(rest))
        try:
            data, ancillary, _, _ = sock.recvmsg(
                want, ANCILLARY, 0 if wait else socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        for level, kind, numbers in ancillary:
            if level == socket.SOL_SOCKET and kind == socket.SCM_RIGHTS:
                count = len(numbers) // 4
                files.extend(struct.unpack("=%di" % count, numbers[:count * 4]))
        if not data:
            raise EOFError
        if rest:
            data = rest + data
        at, end = 0, len(data)
        while end - at >= 20:
            length, number, flags, common, own = unpack(data, at)
            after = at + 4 + length
            if after > end:
                break
            a = at + 20
            b = a + common
            c = b + own
            todo.append((number, flags, data[a:b], data[b:c],
                         files.popleft() if flags & BODY_FILE else data[c:after]))
            at = after
        rest = data[at:]
        return True

    # An application is given these two bound to the number of its request, and may keep them, in a
    # thread say: what comes late must not get into the answer to somebody else. So they look at `taking`
    # last of all, with no call between that and the change: other threads do not run in there.

    def start_response(number, line, headers, exc_info=None):
        nonlocal head, last
        # Applications say the same again and again, and often what they have said just now.
        last_line, last_headers, known = last
        if headers != last_headers or line != last_line:
            try:
                key = line, tuple(headers)
                known = heads.get(key)
            except TypeError:
                key = known = None
            if known is None:
                known = head_of(line, headers)
                if key is not None and len(known) <= CACHED_MAX:
                    if len(heads) >= CACHE_ENTRIES:
                        heads.clear()
                    heads[key] = known
            if key is not None:
                last = line, list(headers), known
        if taking != number:
            raise RuntimeError(TOO_LATE)
        if exc_info is not None:
            try:
                if begun:
                    raise exc_info[1].with_traceback(exc_info[2])
            finally:
                exc_info = None
        elif head is not None:
            raise AssertionError("start_response was called twice, without exc_info")
        head = known
        return MethodType(write, number)

    def write(number, data):
        nonlocal begun
        if taking != number:
            raise RuntimeError(TOO_LATE)
        if data:
            emit(number, data)
        elif not begun and head is not None:
            # Somebody wants the head to be seen already.
            frame = pack_start(5 + len(head), number, 0) + head
            if taking != number:
                raise RuntimeError(TOO_LATE)
            begun = True
            out.append(frame)
        flush()

    def emit(number, data):
        """Puts a block of the body among what is to be sent."""
        nonlocal begun, gathered
        if not data:
            return
        if is_child:
            raise RuntimeError(NOT_HERE)
        if head is None:
            raise AssertionError("a body before start_response was called")
        if not isinstance(data, bytes):
            data = bytes(memoryview(data)) if isinstance(data, (bytearray, memoryview)) else no_bytes(data)
        if board[CANCELLED + number % SLOTS] == number:
            raise Gone
        size = len(data)
        if size > PIECE:
            view = memoryview(data)
            for start in range(0, size, PIECE):
                emit(number, bytes(view[start:start + PIECE]))
            return
        if begun:
            frame = pack(8 + size, number, 0, DATA, 0), data
        else:
            frame = pack_start(5 + len(head) + size, number, 0), head, data
        if taking != number:
            raise RuntimeError(TOO_LATE)
        begun = True
        out.extend(frame)
        gathered += size + 64
        if gathered > GATHER or clock() - flushed > GATHER_FOR:
            flush()

    def finish():
        """Says that the answer is complete."""
        nonlocal taking, gathered
        taking = 0
        if begun:
            out.append(pack(8, current, END, DATA, 0))
        else:
            out.append(pack_start(5 + len(head), current, END) + head)
        gathered += 64

    def send_file(wrapper):
        """Lets the server send a regular file. Returns whether it does."""
        nonlocal taking
        found = wrapper.regular()
        if found is None:
            return False
        number, offset, length = found
        taking = 0
        if not begun:
            out.append(pack_start(5 + len(head), current, 0) + head)
        frame = FILE.pack(24, current, END, SENDFILE, 0, offset, length)
        with send_lock:
            pieces = out[:]
            del out[:len(pieces)]
            # Together: the server then knows how long the answer is when it sees its head.
            data = b"".join(pieces) + frame
            rights = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, struct.pack("=i", number))]
            sent = sock.sendmsg([data], rights)
            if sent < len(data):
                sock.sendall(data[sent:])
        return True

    def answer(result, head_only):
        """Sends what an application returned, unless it is the plain case of one block. The iterable is
        closed before the end of the answer is told: until then this process is known to be busy."""
        if type(result) is FileWrapper and head is not None and not head_only:
            if send_file(result):
                close(result)
                return
        for block in result:
            if head_only and head is not None:
                break
            emit(current, block)
        if head is None:
            raise AssertionError("start_response was not called")
        close(result)
        finish()

    def close(result):
        """Closes an iterable. What goes wrong with that cannot be seen in the answer any more."""
        if hasattr(result, "close"):
            try:
                result.close()
            except BaseException as error:
                explain(error)

    def failed(error):
        """Tells the server that the application raised."""
        nonlocal taking, gathered
        taking = 0
        reason = type(error).__name__[:100].encode("latin-1", "replace")
        out.append(pack(8 + len(reason), current, END, ERROR, 0) + reason)
        gathered += 64

    def assist():
        """The second thread."""
        nonlocal parked
        seen, idle = 0, 0
        while True:
            time.sleep(STUCK)
            if watch is not None and watch():
                with send_lock:
                    sock.sendall(pack(8, 0, 0, CHANGED, 0))
            if not running:
                idle += 1
                if idle > 20 and watch is None:
                    parked = True
                    # Whoever begins a call now either sees that, or is seen.
                    if not running:
                        gate.acquire()
                    parked = False
                    idle = 0
                continue
            idle = 0
            if seen != current:
                seen = current
                continue
            # One call has taken all this time: what it holds up goes out, or back.
            if receive_lock.acquire(False):
                try:
                    while running and receive(False):
                        pass
                except (EOFError, OSError):
                    os._exit(1)
                finally:
                    receive_lock.release()
            try:
                # Under the lock, and before what waits: the server has to hear that a request was given
                # back before it hears the answer to one that it sent later.
                with send_lock:
                    frames = []
                    while running and seen == current:
                        try:
                            number, flags, _, _, body = todo.pop()
                        except IndexError:
                            break
                        if flags & BODY_FILE:
                            os.close(body)
                        frames.append(pack(8, number, 0, RETURNED, 0))
                    pieces = out[:]
                    del out[:len(pieces)]
                    frames += pieces
                    if frames:
                        sock.sendall(b"".join(frames))
            except OSError:
                os._exit(1)

    _thread.start_new_thread(assist, ())
    while True:
        try:
            number, flags, block, own, body = todo.popleft()
        except IndexError:
            if out:
                flush()
            with receive_lock:
                # The other thread may have received something just now.
                if not todo:
                    receive(True)
            flushed = clock()
            continue
        if out and (gathered > GATHER or clock() - flushed > GATHER_FOR):
            flush()
        # First said, then looked: the server marks first, and looks then.
        board[STARTED] = current = number
        slot = number % SLOTS
        if board[REVOKED + slot] == number or board[CANCELLED + slot] == number:
            if flags & BODY_FILE:
                os.close(body)
            out.append(pack(8, number, 0, RETURNED, 0))
            continue
        base = bases.get(block)
        if base is None:
            base = base_of(block)
            if len(block) <= CACHED_MAX:
                if len(bases) >= CACHE_ENTRIES:
                    bases.clear()
                bases[block] = base
        environ = base.copy()
        if flags & (BODY | BODY_FILE):
            own, _, environ["CONTENT_LENGTH"] = own.decode("latin-1").rpartition("\0")
            path, query, uri, port = own.split("\0")
            source = os.fdopen(body, "rb") if flags & BODY_FILE else BytesIO(body)
        else:
            path, query, uri, port = own.decode("latin-1").split("\0")
            source = BytesIO()
        environ["PATH_INFO"] = path
        environ["QUERY_STRING"] = query
        environ["REQUEST_URI"] = uri
        environ["REMOTE_PORT"] = port
        environ["wsgi.input"] = source
        head, begun = None, False
        taking = number
        running = True
        if parked:
            parked = False
            if gate.locked():
                gate.release()
        result = None
        try:
            result = application(environ, MethodType(start_response, number))
            if get_trace() is not trace:
                set_trace(trace)
            if (type(result) is list and len(result) == 1 and not begun
                    and head is not None and not flags & HEAD_ONLY
                    and type(result[0]) is bytes and len(result[0]) <= PIECE):
                data = result[0]
                taking = 0
                size = len(head) + len(data)
                out += (pack_start(5 + size, number, END), head, data)
                gathered += size
            else:
                answer(result, flags & HEAD_ONLY)
        except BaseException as error:
            # It may be what a trace function raises, which the next call of ours would meet as well.
            set_trace(trace)
            if is_child:
                leave(error)
            if isinstance(error, ConnectionError) and lost(sock):
                raise
            explain(error)
            close(result)
            failed(error)
        if is_child:
            leave(None)
        running = False
        if flags & BODY_FILE:
            source.close()
        environ = base = source = result = body = None


ANCILLARY = socket.CMSG_SPACE(4 * 64)
OWN_NAME = "httpyserver-worker"
TOO_LATE = "the answer to this request is complete"
NOT_HERE = "a request is answered by the process that was asked, not by a child of it"


is_child = False     # this is no worker: its application has forked


def part_children(sock):
    """Has what the application forks go without the socket: the server would take it for the worker."""
    def after_fork():
        global is_child
        is_child = True
        sock.close()
    os.register_at_fork(after_in_child=after_fork)


def leave(error):
    """Ends a child of the application that has come back from it, as Python would at the end of a program."""
    code = 0
    if isinstance(error, SystemExit):
        code = error.code or 0
        if not isinstance(code, int):
            print(code, file=sys.stderr)
            code = 1
    elif error is not None:
        explain(error)
        code = 1
    try:
        sys.stdout.flush()
        sys.stderr.flush()
    finally:
        os._exit(code & 255)


class Stream(io.TextIOWrapper):
    """A standard stream. It outlives whatever closes it: the next request has it as well."""

    def close(self):
        if not self.closed:
            self.flush()


# The error log, and `wsgi.errors`: on a descriptor that is not the one that everybody knows.
log = errors = None


def stream(number):
    raw = io.FileIO(number, "w", closefd=False)
    return Stream(io.BufferedWriter(raw), encoding="utf-8", errors="backslashreplace", line_buffering=True)


def explain(error):
    """Writes down what an application raised."""
    if not isinstance(error, Gone):
        # Frames of ours say nothing to whoever reads it.
        trace = error.__traceback__
        while trace is not None and trace.tb_frame.f_code.co_filename == OWN_NAME:
            trace = trace.tb_next
        try:
            text = "".join(traceback.format_exception(type(error), error, trace or error.__traceback__))
        except BaseException:
            text = "an exception that cannot be printed\n"
        try:
            log.write(text.encode("utf-8", "backslashreplace"))
        except (OSError, ValueError):
            pass         # nobody reads it


def lost(sock):
    """Whether the server has closed its end."""
    try:
        return sock.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT) == b""
    except BlockingIOError:
        return False
    except OSError:
        return True


@functools.lru_cache(64)
def status_of(line):
    """The number of a status line; raises what is wrong with it."""
    if not isinstance(line, str):
        raise TypeError("the status is %s, not str" % type(line).__name__)
    if len(line) < 3 or not line[:3].isascii() or not line[:3].isdigit() or line[3:4].strip():
        raise ValueError("the status %r does not begin with three digits and a space" % line)
    code = int(line[:3])
    if not 200 <= code <= 599:
        raise ValueError("the status %r is not that of a final answer" % line)
    return code


def phrase_of(line):
    """What a status line says of its number; nothing, if that cannot be sent."""
    phrase = line[4:].strip()
    clean = len(phrase) <= 128 and all(" " <= c <= "~" or "\x80" <= c <= "\xff" for c in phrase)
    return phrase if clean else ""


def head_of(line, headers):
    """The head of an answer as it is sent; raises what is wrong with it."""
    code = status_of(line)
    phrase = phrase_of(line)
    text = "\0".join(itertools.chain((phrase,), itertools.chain.from_iterable(headers)))
    if "\n" in text or "\r" in text or text.count("\0") != 2 * len(headers):
        check_headers(headers)
    fields = text.encode("latin-1")
    size = len(fields) - len(phrase) - 1
    if len(fields) > HEAD_MAX:
        raise ValueError("the headers have %d bytes, more than %d" % (size, HEAD_MAX))
    return HEAD.pack(ANSWER, code, len(fields)) + fields


def check_headers(headers):
    """Raises what is wrong with a list of headers."""
    for header in headers:
        if not isinstance(header, tuple) or len(header) != 2:
            raise TypeError("the header %r is not a tuple of name and value" % (header,))
        if any(mark in part for part in header for mark in "\r\n\0"):
            raise ValueError("the header %r has a control character" % (header,))


def no_bytes(data):
    raise TypeError("the body is made of %s, not bytes" % type(data).__name__)


def load(spec, folder):
    """The callable that `module:callable` names, or that the call `module:factory(...)` returns."""
    name, _, path = spec.partition(":")
    path, is_call, rest = path.partition("(")
    args, words = arguments("f(" + rest) if is_call else (None, None)
    __import__(name)
    target = sys.modules[name]
    for part in (path or "application").split("."):
        target = getattr(target, part)
    if is_call:
        target = target(*args, **words)
    if not callable(target):
        raise TypeError("%s is %s, which cannot be called" % (spec, type(target).__name__))
    if not is_call and isinstance(target, FunctionType) and takes_less_than_two(target.__code__):
        raise TypeError("%s does not take environ and start_response" % spec)
    return target


def takes_less_than_two(code):
    return code.co_argcount < 2 and not code.co_flags & 0x04     # no *args


def arguments(call):
    """The arguments of a call that is written in Python: literals, nothing that would have to be run."""
    try:
        tree = ast.parse(call, mode="eval").body
    except SyntaxError:
        tree = None
    if not isinstance(tree, ast.Call) or not isinstance(tree.func, ast.Name):
        raise ValueError("%s is not the arguments of one call" % call[1:])
    if any(word.arg is None for word in tree.keywords):
        raise ValueError("the arguments %s have a `**`" % call[1:])
    try:
        args = [ast.literal_eval(value) for value in tree.args]
        return args, {word.arg: ast.literal_eval(word.value) for word in tree.keywords}
    except ValueError:
        raise ValueError("the arguments %s are not all literals" % call[1:]) from None


def hint(error, spec, folder):
    """What probably helps against an application that cannot be loaded."""
    name, _, path = spec.partition("(")[0].partition(":")
    if isinstance(error, ModuleNotFoundError):
        missing = error.name or ""
        if missing == name or name.startswith(missing + "."):
            return ("hint: no module %r in %s; `dir` is the folder that has it" % (missing, folder)
                    + near_module(missing, folder))
        return ("hint: %r is not installed for %s; `venv` (--venv) names the virtual environment that has it"
                % (missing, sys.executable))
    if isinstance(error, AttributeError) and name in sys.modules:
        module = sys.modules[name]
        known = [key for key in ("application", "app", "wsgi", "wsgi_app", "api", "server")
                 if callable(getattr(module, key, None)) and key != path]
        own = [key for key, value in vars(module).items()
               if not key.startswith("_") and callable(value) and key != path
               and not isinstance(value, type) and getattr(value, "__module__", name) == name]
        for key in known + own:
            return "hint: did you mean %s:%s?" % (name, key)
    if isinstance(error, TypeError) and str(error).endswith("take environ and start_response"):
        return "hint: if it makes the application, write %s()" % spec
    if isinstance(error, (ImportError, SyntaxError)):
        return "hint: the module %s was found and could not be imported" % name
    return ""


def near_module(name, folder):
    try:
        there = sorted(entry[:-3] for entry in os.listdir(folder)
                       if entry.endswith(".py") and not entry.startswith("."))
    except OSError as error:
        return "; it cannot be read: %s" % error.strerror
    return "; there is %s" % ", ".join(there[:8]) if there else "; it has no .py file"


def watcher(folder):
    """A function that says whether a Python source has changed, looking every half second."""
    def times():
        found = {}
        for place, folders, names in os.walk(folder):
            folders[:] = [name for name in folders if name[:1] != "." and name not in (
                "__pycache__", "node_modules", "venv", "site-packages")]
            for name in names:
                if name.endswith(".py") and len(found) < 10000:
                    found[os.path.join(place, name)] = mtime(os.path.join(place, name))
        for module in list(sys.modules.values()):
            path = getattr(module, "__file__", None)
            if isinstance(path, str) and path.endswith(".py") and path not in found:
                found[path] = mtime(path)
        return found

    def mtime(path):
        try:
            return os.stat(path).st_mtime_ns
        except OSError:
            return 0

    known, due = times(), time.monotonic() + 0.5

    def changed():
        nonlocal known, due
        if time.monotonic() < due:
            return False
        now = times()
        due = time.monotonic() + 0.5
        # What was imported since is new, and not changed.
        differs = any(known.get(path, stamp) != stamp for path, stamp in now.items()
                      ) or any(path not in now for path in known) or any(
                          path not in known and path.startswith(folder) for path in now)
        known = now
        return differs
    return changed


def setup(sock):
    """The words that the server sends first."""
    data = b""
    while len(data) < 4 or len(data) < 4 + int.from_bytes(data[:4], "little"):
        want = 4 - len(data) if len(data) < 4 else 4 + int.from_bytes(data[:4], "little") - len(data)
        more = sock.recv(want)
        if not more:
            raise SystemExit
        data += more
    return data[12:].decode("utf-8", "surrogateescape").split("\0")


def close_others():
    """Closes what whoever started the server has left open: it is not meant for applications."""
    for number in map(int, os.listdir("/proc/self/fd")):
        if number > 2:
            try:
                os.close(number)
            except OSError:
                pass     # the one that the list was read by


def main():
    try:
        close_others()
    except OSError:
        pass             # no /proc
    sock = socket.socket(fileno=os.dup(0))
    board = memoryview(mmap.mmap(1, 4096)).cast("I")
    nothing = os.open(os.devnull, os.O_RDWR)
    os.dup2(nothing, 0)
    os.close(nothing)
    os.dup2(2, 1)
    # Python has looked at the descriptors that these were before.
    global log, errors
    sys.stdin = open(0, closefd=False)
    sys.stdout = sys.stderr = stream(2)
    log = open(os.dup(2), "wb", buffering=0)
    errors = stream(log.fileno())
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    faulthandler.enable(log)
    faulthandler.register(signal.SIGUSR1, log)
    board[LOADING] = 1
    kind, name, spec, folder, reload = setup(sock)
    try:
        with open("/proc/self/comm", "w") as comm:
            comm.write(("wsgi:" + name)[:15])
    except OSError:
        pass
    # A source that changes twice in a second would be taken for what was compiled of it before.
    sys.dont_write_bytecode = reload == "1"
    try:
        if sys.version_info < (3, 9):
            raise RuntimeError("Python %d.%d is too old: 3.9 or newer is needed" % sys.version_info[:2])
        sys.argv = [name]
        part_children(sock)
        if kind == "pages":
            # Their names are paths of URLs: `calendar.py` is not meant to be in the place of a library.
            sys.path.append(folder)
            application = pages(folder)
        else:
            sys.path.insert(0, folder)
            application = load(spec, folder)
    except BaseException as error:
        if is_child:
            leave(error)
        trace = error.__traceback__
        while trace is not None and (
                trace.tb_frame.f_code.co_filename == OWN_NAME
                or "importlib" in trace.tb_frame.f_code.co_filename):
            trace = trace.tb_next
        text = "".join(traceback.format_exception(type(error), error, trace))
        text = (text + hint(error, spec, folder)).encode("utf-8", "backslashreplace")[:60000]
        sock.sendall(FRAME.pack(8 + len(text), 0, 0, FAILED, VERSION) + text)
        # Whoever reads our last words closes.
        sock.settimeout(5)
        try:
            sock.recv(1)
        except OSError:
            pass
        return
    if is_child:
        leave(None)
    watch = watcher(folder) if reload == "1" else None
    gc.collect()
    gc.freeze()
    version = ("%d.%d.%d" % sys.version_info[:3]).encode()
    sock.sendall(FRAME.pack(8 + len(version), 0, 0, READY, VERSION) + version)
    try:
        serve(sock, board, application, watch)
    except (EOFError, ConnectionError):
        # The server has no more for us. What runs at exit has five seconds.
        faulthandler.dump_traceback_later(5, exit=True, file=open(os.devnull, "w"))


main()
