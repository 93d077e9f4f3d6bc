"""Receives webhooks on $PORT and prints each event once. $WEBHOOK_SECRETS has one or more `whsec_…`, by spaces."""

import os
from http.server import BaseHTTPRequestHandler, HTTPServer

from numberdesk import WebhookInvalid, verify_webhook

SECRETS = os.environ["WEBHOOK_SECRETS"].split()
seen: set[str] = set()  # in production: a database table


class Receiver(BaseHTTPRequestHandler):
    """Verifies on the bytes of the body, before anything reads them."""

    def do_POST(self) -> None:
        """Answers 204 for a valid webhook, 401 for any other request."""
        body = self.rfile.read(int(self.headers.get("content-length", 0)))
        try:
            event = verify_webhook(body, dict(self.headers), SECRETS)
        except WebhookInvalid as error:
            self.send_error(401, str(error))
            return
        self.send_response(204)
        self.end_headers()
        if event.id not in seen:
            seen.add(event.id)
            print(event.type_, event.data, flush=True)


HTTPServer(("127.0.0.1", int(os.environ["PORT"])), Receiver).serve_forever()
