"""Checks one message as a customer's Python receiver would, with the public library of a well-known sender.

The argument names the sender. Reads {"secret", "headers", "body"} as JSON from stdin, the body in base64. Prints "valid" and
exits with 0, or the reason why the message is refused and exits with 1.
"""

import base64
import json
import sys


def stripe(message: dict, body: bytes) -> None:
    from stripe import WebhookSignature

    WebhookSignature.verify_header(body.decode(), message["headers"]["stripe-signature"], message["secret"], 300)


def slack(message: dict, body: bytes) -> None:
    from slack_sdk.signature import SignatureVerifier

    if not SignatureVerifier(message["secret"]).is_valid_request(body, message["headers"]):
        raise ValueError("the signature is not valid")


def cloudevents(message: dict, body: bytes) -> None:
    from cloudevents.core.bindings.http import HTTPMessage, from_http_event

    event = from_http_event(HTTPMessage(headers=message["headers"], body=body))
    got = [event.get_type(), event.get_source(), event.get_subject(), event.get_data()]
    if got[0] != "job.created" or not got[1].startswith("/organizations/") or event.get_time() is None:
        raise ValueError(f"not what was sent: {got}")
    if got[2] != "Flow/Euro € 😀" or got[3] != {"title": "Füße & Hände ✓"}:
        raise ValueError(f"not what was sent: {got}")


CHECKS = {"stripe": stripe, "slack": slack, "cloudevents": cloudevents}


def main() -> int:
    message = json.load(sys.stdin)
    try:
        CHECKS[sys.argv[1]](message, base64.b64decode(message["body"], validate=True))
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    print("valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
