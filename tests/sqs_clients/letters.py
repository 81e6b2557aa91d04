"""The signatures of what SNS sends, checked by another library than the one that made them."""

import base64
import urllib.request

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

NOTIFIED = ("Message", "MessageId", "Subject", "Timestamp", "TopicArn", "Type")
CONFIRMED = ("Message", "MessageId", "SubscribeURL", "Timestamp", "Token", "TopicArn", "Type")


def check_signature(letter):
    """Raises unless the certificate that the letter names was used to sign it."""
    with urllib.request.urlopen(letter["SigningCertURL"]) as answer:
        certificate = x509.load_pem_x509_certificate(answer.read())
    keys = NOTIFIED if letter["Type"] == "Notification" else CONFIRMED
    text = "".join(f"{key}\n{letter[key]}\n" for key in keys if key in letter).encode()
    algorithm = {"1": hashes.SHA1, "2": hashes.SHA256}[letter["SignatureVersion"]]
    certificate.public_key().verify(base64.b64decode(letter["Signature"]), text, padding.PKCS1v15(), algorithm())
