"""An HTTP server that says what the test tells it: hubs, clustercheck, what probes are sent to."""
import contextlib
import os
import ssl
import subprocess
import threading

from lib.fake import FakeServer, echo

REASONS = {200: "OK", 503: "Service Unavailable"}
WITHOUT_BODY = (204, 304)


class Request:
    """One request's head."""

    def __init__(self, head, connection):
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.target, self.version = lines[0].split(" ", 2)
        self.fields = {name.lower(): value.strip()
                       for name, _, value in (line.partition(":") for line in lines[1:])}
        self.connection = connection  # a number: 1 for the first that was accepted


# Shapes of an answer: shape(status, body) gives its bytes.


def head(status, *fields, version="1.1"):
    return "\r\n".join([f"HTTP/{version} {status} {REASONS.get(status, 'Whatever')}", *fields,
                        "", ""]).encode()


def with_length(status, body):
    return head(status, f"Content-Length: {len(body)}") + body


def chunked(status, body):
    """With an extension and trailers, in small chunks."""
    parts = b"".join(b"%X;name=value\r\n%s\r\n" % (len(part), part)
                     for part in (body[i:i + 2] for i in range(0, len(body), 2)))
    return head(status, "Transfer-Encoding: chunked") + parts + b"0\r\nTrailer: here\r\n\r\n"


def answer_of(shape):
    """Answers like shape(status, body), without a body where none may be."""
    def answer(request, status, body):
        whole = shape(status, body)
        bare = request.method == "HEAD" or status in WITHOUT_BODY
        return whole[:whole.index(b"\r\n\r\n") + 4] if bare else whole
    return answer


class Hub:
    """Set `status`, `body` and `shape` at any time: the next answer is made of them. It ends a
    connection after an answer if `ends` is set. A request for an upgrade gets an echo behind a
    101, one for /name its name; neither is among the `requests`."""

    def __init__(self, name="hub", shape=with_length, tls=None, ends=False, **options):
        self.name = name
        self.status = 200
        self.body = b"well\n"
        self.shape = shape
        self.ends = ends
        self.tls = tls  # an ssl.SSLContext
        self.requests = []
        self.refused = []  # what TLS clients said instead of going on
        self.numbers = 0
        self.lock = threading.Lock()
        self.server = FakeServer(self._serve, name, **options)

    @property
    def text(self):
        return self.server.text

    @property
    def port(self):
        return self.server.port

    @property
    def accepted(self):
        return self.server.accepted

    def asked(self):
        return len(self.requests)

    def close(self):
        self.server.close()

    def _serve(self, _server, sock):
        with self.lock:
            self.numbers += 1
            number = self.numbers
        if not self.tls:
            self._talk(sock, number)
            return
        try:
            with self.tls.wrap_socket(sock, server_side=True) as secure:
                self._talk(secure, number)
        except ssl.SSLError as error:
            self.refused.append(error.reason)

    def _talk(self, sock, number):
        buffer = b""
        while True:
            while b"\r\n\r\n" not in buffer:
                data = sock.recv(65536)
                if not data:
                    return
                buffer += data
                if not buffer[:1].isalpha():
                    sock.sendall(head(400, "Connection: close"))
                    return
            text, buffer = buffer.split(b"\r\n\r\n", 1)
            request = Request(text, number)
            if "upgrade" in request.fields:
                sock.sendall(head(101, "Upgrade: websocket", "Connection: Upgrade") + buffer)
                echo(self, sock)
                return
            if request.target == "/name":
                sock.sendall(with_length(200, self.name.encode()))
                continue
            self.requests.append(request)
            sock.sendall(answer_of(self.shape)(request, self.status, self.body))
            if self.ends:
                return


class Authority:
    """A certificate authority of one test, made with the openssl command."""

    def __init__(self, directory, name="ca"):
        self.directory = directory
        self.name = name
        self.ca = self._path(f"{name}.pem")
        self._openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256",
                      "-nodes", "-days", "2", "-subj", f"/CN={name}", "-keyout",
                      self._path(f"{name}.key"), "-out", self.ca)

    def context(self, subject, *alternatives):
        """What a server with a certificate for `alternatives` ("DNS:hub.test") speaks TLS with."""
        stem = self._path(f"{self.name}-{subject}")
        with open(f"{stem}.ext", "w", encoding="ascii") as file:
            file.write(f"subjectAltName={','.join(alternatives)}\n")
        self._openssl("req", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
                      "-subj", f"/CN={subject}", "-keyout", f"{stem}.key", "-out", f"{stem}.csr")
        self._openssl("x509", "-req", "-in", f"{stem}.csr", "-CA", self.ca, "-CAkey",
                      self._path(f"{self.name}.key"), "-CAcreateserial", "-days", "2",
                      "-extfile", f"{stem}.ext", "-out", f"{stem}.pem")
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(f"{stem}.pem", f"{stem}.key")
        return context

    def _path(self, name):
        return os.path.join(self.directory, name)

    @staticmethod
    def _openssl(*arguments):
        done = subprocess.run(["openssl", *arguments], capture_output=True, timeout=60, text=True,
                              check=False)
        assert done.returncode == 0, done.stderr


@contextlib.contextmanager
def names_wanted(context):
    """The names that clients of an ssl.SSLContext ask for (SNI), in the order of coming."""
    wanted = []
    context.sni_callback = lambda _sock, name, _context: wanted.append(name)
    try:
        yield wanted
    finally:
        context.sni_callback = None
