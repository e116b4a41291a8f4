"""Checks one message as a customer's Python receiver would, with the public standardwebhooks library.

Reads {"secret", "headers", "body"} as JSON from stdin, the body in base64. Prints "valid" and exits with 0, or the
reason why the message is refused and exits with 1.
"""

import base64
import json
import sys

from standardwebhooks.webhooks import Webhook


def main() -> int:
    message = json.load(sys.stdin)
    try:
        body = base64.b64decode(message["body"], validate=True)
        Webhook(message["secret"]).verify(body, message["headers"])
    except Exception as error:
        print(f"{type(error).__name__}: {error}")
        return 1
    print("valid")
    return 0


if __name__ == "__main__":
    sys.exit(main())
