"""A console over two simulators, asked in process, and a place where messages to people arrive."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from web_console import Plant
from world import World

from tillbridge.engine.jobs import Jobs
from tillbridge.store.access import Access
from tillbridge.store.service import open_service, service_url
from tillbridge.views.books import Library
from tillbridge.web.app import create_app
from tillbridge.web.console import Console


class Hook:
    """Where Slack would listen."""

    def __init__(self):
        self.status, self.bodies = 200, []
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self):
                hook.bodies.append(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(hook.status)
                self.end_headers()
                self.wfile.write(b"ok" if hook.status == 200 else b"invalid_token")

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}/services/T0"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Shop(Plant):
    """A console over two simulators, with somebody in each."""

    def __init__(self, folder, stack):
        self.world = world = World(folder, toml="[console]\nown_network = true")
        stack.callback(world.close)
        world.install()
        self.ada = world.customer("Ada", "Vermeulen", email="ada@mail.example", phone="+31201234567")
        world.person("Ada", "Vermeulen", email="ada@mail.example")
        self.bo = world.customer("Bo", "Lind", email="bo@mail.example")
        world.backfill()
        self.folder, self.clock = folder, world.clock
        self.service = open_service(service_url(folder, None))
        jobs = Jobs(self.service)
        self.access = Access(self.service)
        self.library = Library(folder, self.service, jobs, world.clock, {})
        self.console = Console(
            folder=folder,
            service=self.service,
            jobs=jobs,
            clock=world.clock,
            env={},
            access=self.access,
            library=self.library,
            healthy=lambda: None,
            ready=lambda: None,
            metrics=lambda: ("text/plain", b""),
        )
        self.app = create_app(self.console)
        self._hash = None
        for close in (
            self.service.close,
            lambda: jobs.stop(0),
            self.library.close,
            self.console.actions.close,
        ):
            stack.callback(close)
