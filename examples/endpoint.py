"""Where the examples find their server: the only thing in them that is not as for Amazon's own."""

import os

ENDPOINT = os.environ.get("SQS_ENDPOINT", "http://127.0.0.1:9324")

# Without --credentials the server accepts any key; boto3 wants to have one.
os.environ.setdefault("AWS_ACCESS_KEY_ID", "any")
os.environ.setdefault("AWS_SECRET_ACCESS_KEY", "any")
os.environ.setdefault("AWS_DEFAULT_REGION", "us-east-1")
