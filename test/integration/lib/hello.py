"""ClientHellos (RFC 8446, section 4.1.2) as bytes: real ones of OpenSSL, and such as no library
makes. And servers that tell what came to them."""
import ssl
import struct

SERVER_NAME, ALPN, PADDING, ECH, GREASE = 0, 16, 21, 0xfe0d, 0x1a1a
RECORD_MAX = 16384
HELLO_MAX = 65536  # that the router looks at, record headers included


def real(name, alpn=(), maximum=ssl.TLSVersion.TLSv1_3):
    """What OpenSSL sends first. name None: without SNI."""
    context = trusting_all(maximum)
    if alpn:
        context.set_alpn_protocols(list(alpn))
    came, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    try:
        context.wrap_bio(came, out, server_hostname=name).do_handshake()
    except ssl.SSLWantReadError:
        pass
    return out.read()


def trusting_all(maximum=ssl.TLSVersion.TLSv1_3):
    """A client's context that looks at no certificate."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.maximum_version = maximum
    return context


def vector(width, data):
    return len(data).to_bytes(width, "big") + data


def extension(kind, data=b""):
    return struct.pack(">H", kind) + vector(2, data)


def server_name(*names):
    """The extension; a name is bytes, or (type, bytes)."""
    entries = [name if isinstance(name, tuple) else (0, name) for name in names]
    return extension(SERVER_NAME, vector(2, b"".join(
        bytes([kind]) + vector(2, name) for kind, name in entries)))


def message(*extensions):
    """A ClientHello as a handshake message; no record yet. Only its form is right: no server will
    agree on anything with it."""
    body = (b"\3\3" + b"R" * 32 + vector(1, b"S" * 32) + vector(2, b"\x1a\x1a\x13\x01\xc0\x2f")
            + b"\1\0" + vector(2, b"".join(extensions)))
    return b"\1" + vector(3, body)


def records(data, size=RECORD_MAX):
    """The message in records of so many bytes."""
    return b"".join(b"\x16\3\1" + vector(2, data[at:at + size])
                    for at in range(0, len(data), size))


def named(name, *more, size=RECORD_MAX):
    """A hello with this SNI (bytes), behind other extensions."""
    return records(message(extension(GREASE), *more, server_name(name)), size)


def content(hello):
    """The handshake bytes in whole records."""
    found = b""
    while hello:
        length = int.from_bytes(hello[3:5], "big")
        found += hello[5:5 + length]
        hello = hello[5 + length:]
    return found


# Handlers of lib.fake.FakeServer.


def name_then_listen(server, sock):
    """When something came, says its own name. Each connection's bytes are in server.heard."""
    heard = bytearray()
    server.__dict__.setdefault("heard", []).append(heard)
    while data := sock.recv(65536):
        if not heard:
            sock.sendall(server.name.encode() + b"\n")
        heard += data


def tls_name_then_echo(leaf, alpn=()):
    """A real TLS server: says its name and the name that it was asked for, then echoes until it is
    told to leave."""
    def handle(server, sock):
        asked = []
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(leaf.cert, leaf.key)
        if alpn:
            context.set_alpn_protocols(list(alpn))
        context.sni_callback = lambda _sock, name, _context: asked.append(name)
        with context.wrap_socket(sock, server_side=True) as secure:
            secure.sendall(f"{server.name} {asked[0]}\n".encode())
            while (data := secure.recv(65536)) and data != b"leave\n":
                secure.sendall(data)
    return handle
