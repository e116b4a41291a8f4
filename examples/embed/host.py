"""A host that shows its signed-in customer the portal inside a page of its own.

It holds the API key, asks for a session whenever the page is opened, and hands the browser nothing but the link.
Needs Python 3.8 or later, and a running server. See docs/portal.md.
"""

import html
import json
import os
import pathlib
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

API = os.environ.get("FANFARE_URL", "http://localhost:8686")
KEY = os.environ["FANFARE_KEY"]
# Who is signed in is what your own sessions know; here it is always this organization.
ORGANIZATION = os.environ.get("ORGANIZATION", "acme")
PORT = int(os.environ.get("PORT", "8080"))
PAGE = pathlib.Path(__file__).with_name("page.html")


def portal_link():
    request = urllib.request.Request(
        f"{API}/v1/organizations/{ORGANIZATION}/portal-sessions",
        data=json.dumps({"expires_in": 3600}).encode(),
        headers={"Authorization": f"Bearer {KEY}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return json.load(answer)["url"]


class Host(BaseHTTPRequestHandler):
    def do_GET(self):
        if self.path != "/":
            self.send_error(404)
            return
        try:
            page = PAGE.read_text("utf-8").replace("{link}", html.escape(portal_link()))
        except OSError as error:
            self.send_error(502, "The webhooks cannot be shown now", str(error))
            return
        self.send_response(200)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        # A link works once, so the page that holds it must not be kept.
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(page.encode())


if __name__ == "__main__":
    server = ThreadingHTTPServer(("localhost", PORT), Host)
    print(f"open http://localhost:{server.server_port}/", flush=True)
    server.serve_forever()
