"""Certificates for tests: authorities, chains with an intermediate, leafs of servers and clients.

    authority = Authority(home.directory("ca"), "Test CA")
    leaf = authority.leaf(names=["hub.example.com", "*.example.com"], ips=["127.0.0.1"], days=90)

`authority.ca` is the file to trust. `leaf.cert` is the chain, `leaf.key` its key, `leaf.pem` both
in one file; keys have mode 0600. `days` may be negative: the leaf has expired. `leaf.fingerprint`
tells which one a peer showed: fingerprint(sock.getpeercert(binary_form=True)).
"""
import datetime
import hashlib
import ipaddress
import os
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)


class Leaf(NamedTuple):
    cert: str         # the chain: leaf first, then the intermediate
    key: str
    pem: str          # chain and key in one file
    fingerprint: str  # of the leaf, SHA-256


def fingerprint(der):
    return hashlib.sha256(der).hexdigest()


def make_key(kind):
    if kind == "rsa":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    assert kind == "ec", kind
    return ec.generate_private_key(ec.SECP256R1())


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8,
                             serialization.NoEncryption())


def pem_of(certificate):
    return certificate.public_bytes(serialization.Encoding.PEM)


def write(path, data, mode=0o644):
    """As cat > path does: the same file, with the new content."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(fd, "wb") as file:
        file.write(data)
    return path


def named(common_name):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def now():
    return datetime.datetime.now(datetime.timezone.utc).replace(microsecond=0, tzinfo=None)


class Issuer:
    """A name and a key that sign."""

    def __init__(self, name, signer=None, kind="ec"):
        self.name = named(name)
        self.key = make_key(kind)
        self.certificate = (signer or self).sign(
            self.name, self.key.public_key(), now() - 3650 * DAY, now() + 3650 * DAY,
            [(x509.BasicConstraints(ca=True, path_length=None), True),
             (x509.KeyUsage(False, False, False, False, False, True, True, False, False), True)])

    def sign(self, subject, public_key, not_before, not_after, extensions):
        builder = (x509.CertificateBuilder().subject_name(subject).issuer_name(self.name)
                   .public_key(public_key).serial_number(x509.random_serial_number())
                   .not_valid_before(not_before).not_valid_after(not_after)
                   .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)
                   .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(
                       self.key.public_key()), False))
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        return builder.sign(self.key, hashes.SHA256())


class Authority:
    """A root, its intermediate, and what they sign; all files are in `directory`."""

    def __init__(self, directory, name="Test CA", key="ec"):
        self.directory = directory
        self.count = 0
        self.root = Issuer(name, kind=key)
        self.intermediate = Issuer(name + " intermediate", self.root, key)
        self.ca = write(os.path.join(directory, "ca.pem"), pem_of(self.root.certificate))

    def leaf(self, names=(), ips=(), days=90, key="ec", intermediate=True, client=False,
             name=None, not_before=None):
        """Valid from `not_before` (a datetime in UTC; else long ago) until `days` from now. `name`
        is the files' name and the subject's; without one it is made up of the first SAN."""
        self.count += 1
        common_name = name or (list(names) + list(ips) + ["nobody"])[0].replace("*", "any")
        issuer = self.intermediate if intermediate else self.root
        private = make_key(key)
        until = now() + days * DAY + datetime.timedelta(hours=1)  # `days` whole ones are left
        sans = [x509.DNSName(n) for n in names]
        sans += [x509.IPAddress(ipaddress.ip_address(ip)) for ip in ips]
        purpose = ExtendedKeyUsageOID.CLIENT_AUTH if client else ExtendedKeyUsageOID.SERVER_AUTH
        extensions = [(x509.BasicConstraints(ca=False, path_length=None), True),
                      (x509.ExtendedKeyUsage([purpose]), False)]
        if sans:
            extensions.append((x509.SubjectAlternativeName(sans), False))
        certificate = issuer.sign(named(common_name[:64]), private.public_key(),
                                  not_before or min(now(), until) - 365 * DAY, until, extensions)
        chain = pem_of(certificate)
        if intermediate:
            chain += pem_of(self.intermediate.certificate)
        return self._written(f"{self.count}-{common_name[:64]}", certificate, chain, private)

    def _written(self, stem, certificate, chain, private):
        path = os.path.join(self.directory, stem)
        secret = key_pem(private)
        return Leaf(write(path + ".crt", chain), write(path + ".key", secret, 0o600),
                    write(path + ".pem", chain + secret, 0o600),
                    fingerprint(certificate.public_bytes(serialization.Encoding.DER)))
