"""The extension: what Jupyter's server loads, and what can be configured of it."""

from __future__ import annotations

from typing import Any

from jupyter_server.extension.application import ExtensionApp
from traitlets import Float, Int

from .announcing import SCHEMAS, Announcer
from .handlers import BASE, ROUTES
from .questions import Questions
from .service import Service
from .stream import Audience, Stream


class MacGPUApp(ExtensionApp):
    """The server half of the sidebar."""

    name = "jupyter_macgpu"
    load_other_extensions = True

    sample_period = Float(
        5.0,
        min=1.0,
        help="Seconds after which a Mac tells anew how it is, while somebody looks at the panel.",
    ).tag(config=True)
    threads = Int(
        16,
        min=1,
        help="How many questions to Macs may be under way at the same time.",
    ).tag(config=True)

    def initialize_settings(self) -> None:
        """Make the service; it reaches out to no host yet."""
        assert self.serverapp is not None
        root = str(self.serverapp.root_dir)
        service = Service(sample_period=self.sample_period, root=root)
        service.begin()
        assert self.serverapp.event_logger is not None
        for schema in SCHEMAS:
            self.serverapp.event_logger.register_event_schema(schema)
        self.settings |= {
            "macgpu_service": service,
            "macgpu_audience": Audience(service, Announcer(service.board, self._emit)),
            "macgpu_questions": Questions(self.threads),
        }

    def initialize_handlers(self) -> None:
        """Add the routes."""
        self.handlers = [
            (f"{BASE}stream", Stream),
            *((f"{BASE}{pattern}", handler) for pattern, handler in ROUTES),
        ]

    def _emit(self, schema: str, said: dict[str, Any]) -> None:
        assert self.serverapp is not None
        assert self.serverapp.event_logger is not None
        self.serverapp.event_logger.emit(schema_id=schema, data=said)

    async def stop_extension(self) -> None:
        """Close all connections, within a few seconds. Runs go on, on their hosts."""
        service: Service = self.settings["macgpu_service"]
        left = await Questions(1).ask(service.close)
        if left:
            self.log.info("Hosts that did not answer: ended with the server: %s", ", ".join(left))
