"""A receiver behind TLS for tests: takes every report and heartbeat, has no input; writes a JSON line for each
request to a file.

    tls_receiver.py PORT CERTIFICATE KEY LOG
"""
import http.server
import json
import socket
import ssl
import sys
import threading

PORT, CERTIFICATE, KEY, LOG = int(sys.argv[1]), *sys.argv[2:5]
LOCK = threading.Lock()


class Receiver(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def answer(self, status):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        with LOCK, open(LOG, "a") as log:
            log.write(json.dumps({"call": self.path.rsplit("/", 1)[-1], "body": body.decode(),
                                  "authorization": self.headers.get("Authorization")}) + "\n")
        self.send_response(status)
        self.send_header("Content-Length", "2")
        self.end_headers()
        self.wfile.write(b"{}")

    def do_GET(self):
        self.answer(404)

    def do_POST(self):
        self.answer(200 if self.path.endswith("/heartbeat") else 202)

    def log_message(self, *_):
        pass


class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
    daemon_threads = True

    def get_request(self):
        connection, address = super().get_request()
        connection.settimeout(60)
        return CONTEXT.wrap_socket(connection, server_side=True, do_handshake_on_connect=False), address

    def handle_error(self, *_):
        pass


CONTEXT = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
CONTEXT.load_cert_chain(CERTIFICATE, KEY)
server = Server(("::", PORT), Receiver)
open(LOG, "a").close()
server.serve_forever()
