"""PROTOCOL.md §1: the primitives, over Debian's python3-cryptography.

ML-KEM itself is not here: the vectors give its shared secrets.
"""

from __future__ import annotations

import hashlib
import hmac as std_hmac
from functools import lru_cache

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from stm_wire import Refused, require

NONCE_0 = bytes(12)
DER = serialization.Encoding.DER
RAW = serialization.Encoding.Raw

P = 2**255 - 19
GROUP_ORDER = 2**252 + 27742317777372353535851937790883648493
# The y of the eight points of small order: 1, -1, 0 and the four of order 8.
ORDER_8_Y = int.from_bytes(
    bytes.fromhex("26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05"), "little"
)
SMALL_ORDER_Y = {0, 1, P - 1, ORDER_8_Y, P - ORDER_8_Y}


def sha256(data: bytes) -> bytes:
    """SHA-256."""
    return hashlib.sha256(data).digest()


def hmac(key: bytes, message: bytes) -> bytes:
    """HMAC(k, m)."""
    return std_hmac.digest(key, message, "sha256")


def hkdf(ikm: bytes, salt: bytes, info: bytes, size: int) -> bytes:
    """HKDF(ikm, salt, info, L): extract, then expand."""
    prk = hmac(salt or bytes(32), ikm)
    out, block = b"", b""
    for i in range(1, (size + 31) // 32 + 1):
        block = hmac(prk, block + info + bytes([i]))
        out += block
    return out[:size]


def gcm_seal(key: bytes, nonce: bytes, aad: bytes, plaintext: bytes) -> bytes:
    """GCM(k, n, aad, p)."""
    return AESGCM(key).encrypt(nonce, plaintext, aad)


def gcm_open(key: bytes, nonce: bytes, aad: bytes, box: bytes) -> bytes:
    """The p of a GCM(k, n, aad, p)."""
    require(len(box) >= 16, "open-failed", "a box shorter than its tag")
    try:
        return AESGCM(key).decrypt(nonce, box, aad)
    except InvalidTag as error:
        raise Refused("open-failed") from error


def ctr(key: bytes, counter: bytes, data: bytes) -> bytes:
    """CTR(k, c, p), which is its own inverse."""
    stream = Cipher(algorithms.AES(key), modes.CTR(counter)).encryptor()
    return stream.update(data) + stream.finalize()


def signed(kind: str, body: bytes) -> bytes:
    """What Sign(key, kind, body) signs."""
    return b"stm/1 " + kind.encode() + b"\0" + body


def sign(seed: bytes, kind: str, body: bytes) -> bytes:
    """Sign(key, kind, body) by the key of a seed."""
    return Ed25519PrivateKey.from_private_bytes(seed).sign(signed(kind, body))


def public_key(seed: bytes) -> bytes:
    """The public key of a seed."""
    key = Ed25519PrivateKey.from_private_bytes(seed).public_key()
    return key.public_bytes(RAW, serialization.PublicFormat.Raw)


def y_of(point: bytes) -> tuple[int, bool]:
    """The y of an encoded point, and whether the encoding is canonical."""
    y = int.from_bytes(point, "little") & (2**255 - 1)
    minus_zero = y in (1, P - 1) and bool(point[31] & 0x80)
    return y, y < P and not minus_zero


def check_ed25519_key(key: bytes) -> None:
    """A canonical encoding, and none of the small-order points."""
    y, canonical = y_of(key)
    require(canonical and y not in SMALL_ORDER_Y, "bad-key", "an Ed25519 key that is not taken")


def verify(
    key: bytes, kind: str, body: bytes, signature: bytes, code: str = "bad-signature"
) -> None:
    """Verifies a Sign(key, kind, body) strictly, or refuses with the code."""
    try:
        check_ed25519_key(key)
        require(y_of(signature[:32])[1], code, "R is not canonical")
        below = int.from_bytes(signature[32:], "little") < GROUP_ORDER
        require(below, code, "S is not below the group order")
        Ed25519PublicKey.from_public_bytes(key).verify(signature, signed(kind, body))
    except (InvalidSignature, Refused) as error:
        raise Refused(code, f"signature of a {kind}") from error


@lru_cache
def load_rsa_key(pkcs8: bytes) -> rsa.RSAPrivateKey:
    """An RSA-3072 private key in PKCS #8, which is in the one form that DER has."""
    try:
        key = serialization.load_der_private_key(pkcs8, None)
    except ValueError as error:
        raise Refused("bad-key", str(error)) from error
    require(isinstance(key, rsa.RSAPrivateKey), "bad-key", "not RSA")
    form = serialization.PrivateFormat.PKCS8
    same = key.private_bytes(DER, form, serialization.NoEncryption()) == pkcs8
    require(same and key.key_size == 3072, "bad-key", "not RSA-3072 in DER")
    return key


def spki_of(key: rsa.RSAPrivateKey) -> bytes:
    """The SubjectPublicKeyInfo of a private key."""
    return key.public_key().public_bytes(DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def check_spki(spki: bytes) -> None:
    """An RSA SubjectPublicKeyInfo in DER of exactly 3072 bits and e = 65537."""
    try:
        key = serialization.load_der_public_key(spki)
    except ValueError as error:
        raise Refused("bad-key", "not an SPKI") from error
    require(isinstance(key, rsa.RSAPublicKey), "bad-key", "not RSA")
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    require(key.public_bytes(DER, form) == spki, "bad-key", "an SPKI in another form")
    exact = key.key_size == 3072 and key.public_numbers().e == 65537
    require(exact, "bad-key", "not 3072 bits and e = 65537")


def oaep_open(key: rsa.RSAPrivateKey, label: bytes, ciphertext: bytes) -> bytes:
    """The r of an OAEP(r, label)."""
    sha = hashes.SHA256()
    try:
        return key.decrypt(ciphertext, padding.OAEP(padding.MGF1(sha), sha, label))
    except ValueError as error:
        raise Refused("open-failed", "OAEP") from error


def check_kem_key(key: bytes) -> None:
    """The modulus check of FIPS 203 (7.2): 768 coefficients of 12 bits, each below 3329."""
    bits = int.from_bytes(key[:1152], "little")
    below = all((bits >> 12 * i) & 0xFFF < 3329 for i in range(768))
    require(len(key) == 1184 and below, "bad-key", "an ML-KEM key that fails the modulus check")
