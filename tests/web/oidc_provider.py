"""An identity provider on loopback: as strict as a real one, and as wrong as a test wants it.

https://openid.net/specs/openid-connect-core-1_0.html (code flow),
https://datatracker.ietf.org/doc/html/rfc7636 (PKCE)
"""

import base64
import hashlib
import json
import secrets
import threading
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, parse_qsl, unquote, urlencode, urlsplit

import jwt
from cryptography.hazmat.primitives.asymmetric import ec, rsa

CLIENT, SECRET = "tillbridge", "a secret & more"


@cache
def rsa_key(name):
    return rsa.generate_private_key(public_exponent=65_537, key_size=2_048)


@cache
def ec_key(name):
    return ec.generate_private_key(ec.SECP256R1())


def shown(key, kid, method):
    """A public key as it stands in a key set."""
    algorithm = jwt.get_algorithm_by_name(method)
    return {**json.loads(algorithm.to_jwk(key.public_key())), "kid": kid, "use": "sig", "alg": method}


class Provider:
    """One issuer, one client, and whoever is signed in there."""

    def __init__(self, now):
        self.now = now
        self.user = {"sub": "u-1", "name": "Ana Silva", "email": "ana@shop.example", "email_verified": True}
        self.groups = ["office"]
        self.method, self.kid = "RS256", "first"
        self.keys = {"first": ("RS256", rsa_key("first")), "second": ("ES256", ec_key("second"))}
        self.describes = {}  # laid over its description
        self.answers = {}  # laid over what it sends a browser back with
        self.claims = lambda claims: claims  # what it makes of an ID token's claims
        self.signs = None  # how it signs, if otherwise
        self.asked = []
        self.codes = {}
        self.down = False
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.serve(self, b"")

            def do_POST(self):
                provider.serve(self, self.rfile.read(int(self.headers["Content-Length"])))

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.issuer = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()

    # --- HTTP ------------------------------------------------------------------------------------

    def serve(self, handler, body):
        parts = urlsplit(handler.path)
        self.asked.append(parts.path)
        if self.down:
            return self.send(handler, 500, {})
        match parts.path:
            case "/.well-known/openid-configuration":
                return self.send(handler, 200, self.description())
            case "/keys":
                keys = [shown(key, kid, method) for kid, (method, key) in self.keys.items()]
                return self.send(handler, 200, {"keys": [*keys, {"kty": "oct", "k": "AAAA"}]})
            case "/authorize":
                handler.send_response(302)
                handler.send_header("Location", self.visit(f"{self.issuer}{handler.path}"))
                handler.send_header("Content-Length", "0")
                return handler.end_headers()
            case "/token":
                return self.send(handler, *self.token(handler.headers, dict(parse_qsl(body.decode()))))
        return self.send(handler, 404, {})

    def send(self, handler, status, document):
        body = json.dumps(document).encode()
        handler.send_response(status)
        handler.send_header("Content-Type", "application/json")
        handler.send_header("Content-Length", str(len(body)))
        handler.end_headers()
        handler.wfile.write(body)

    def description(self):
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/keys",
            "authorization_response_iss_parameter_supported": True,
            **self.describes,
        }

    # --- the flow --------------------------------------------------------------------------------

    def visit(self, address):
        """Somebody follows the console's way here, is signed in already, and is sent back."""
        parts = urlsplit(address)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        assert f"{self.issuer}/authorize" == f"{parts.scheme}://{parts.netloc}{parts.path}"
        assert ("code", CLIENT, "S256") == (
            asked["response_type"],
            asked["client_id"],
            asked["code_challenge_method"],
        )
        assert "openid" in asked["scope"].split()
        code = secrets.token_urlsafe(8)
        self.codes[code] = asked
        answer = {"code": code, "state": asked["state"], "iss": self.issuer, **self.answers}
        sent = {name: value for name, value in answer.items() if value is not None}
        return f"{asked['redirect_uri']}?{urlencode(sent)}"

    def token(self, headers, form):
        scheme, _, pair = headers.get("Authorization", "").partition(" ")
        name, _, secret = (
            base64.b64decode(pair).decode().partition(":") if scheme == "Basic" else ("", "", "")
        )
        if (CLIENT, SECRET) not in {
            (unquote(name), unquote(secret)),
            (form.get("client_id"), form.get("client_secret")),
        }:
            return 401, {"error": "invalid_client"}
        asked = self.codes.pop(form.get("code"), None)
        digest = hashlib.sha256(form.get("code_verifier", "").encode()).digest()
        challenge = base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
        if (
            asked is None
            or asked["redirect_uri"] != form.get("redirect_uri")
            or asked["code_challenge"] != challenge
        ):
            return 400, {"error": "invalid_grant"}
        return 200, {"access_token": "a", "token_type": "Bearer", "id_token": self.id_token(asked["nonce"])}

    def id_token(self, nonce):
        now = int(self.now())
        claims = {
            "iss": self.issuer,
            "aud": CLIENT,
            "iat": now,
            "exp": now + 300,
            "nonce": nonce,
            "groups": self.groups,
            **self.user,
        }
        claims = self.claims(claims)
        if self.signs is not None:
            return self.signs(claims)
        return jwt.encode(claims, self.keys[self.kid][1], self.method, headers={"kid": self.kid})
