"""The last stretch of a request's way: from a call under way to the client's response."""

from starlette.responses import Response

from serve_app.errors import ApiError
from serve_app.gateway.answers import StreamedAnswer, error_code, with_metadata
from serve_app.gateway.asked import Asked, headers_of
from serve_app.gateway.exchange import Exchange
from serve_app.routing.messages import Reply
from serve_app.routing.placements import Placements
from serve_app.settings import GatewaySettings
from serve_app.telemetry.gateway_metrics import GatewayMetrics
from serve_app.tenancy.snapshot import Target


class Delivery:
    """Answers clients, and writes down where their calls went and what they cost."""

    def __init__(
        self, settings: GatewaySettings, metrics: GatewayMetrics, placements: Placements
    ) -> None:
        self._settings = settings
        self._metrics = metrics
        self._placements = placements

    async def respond(
        self, asked: Asked, target: Target, exchange: Exchange, *, stream: bool
    ) -> Response:
        """Send the call and answer with what comes.

        Raises:
            ApiError: nothing comes.
        """
        exchange.open()
        asked.held.callback(exchange.close)
        try:
            if stream:
                return await self._stream(asked, target, exchange)
            reply = await exchange.whole()
            exchange.close()
        except ApiError:
            self._note(asked, exchange)
            raise
        return self._whole(asked, target, exchange, reply)

    async def _stream(self, asked: Asked, target: Target, exchange: Exchange) -> Response:
        """The status line waits for the first output, so that errors can still be statuses."""
        asked.access.streamed = True
        first = await exchange.next(self._settings.head_hold_s)
        if first is None and exchange.reply is not None and not exchange.reply.streamed:
            exchange.close()
            return self._whole(asked, target, exchange, exchange.reply)

        def ended(cut: str | None) -> None:
            asked.access.error = cut
            self._note(asked, exchange)

        return StreamedAnswer(
            exchange,
            first or b"",
            headers_of(asked, target, exchange.call),
            self._settings.keep_alive_s,
            lambda: asked.metadata(target),
            ended,
        )

    def _whole(self, asked: Asked, target: Target, exchange: Exchange, reply: Reply) -> Response:
        self._note(asked, exchange)
        headers = {**headers_of(asked, target, exchange.call), **reply.headers}
        body = reply.body
        if reply.status == 200:
            body = with_metadata(body, asked.metadata(target))
        else:
            asked.access.error = error_code(reply)
        return Response(body, reply.status, headers, "application/json")

    def _note(self, asked: Asked, exchange: Exchange) -> None:
        """Write down where the call went and what it cost."""
        access, call = asked.access, exchange.call
        access.used(exchange.usage)
        if call.choice is not None:
            access.replica, access.placement = call.choice.replica, call.choice.reason.value
            self._metrics.placed(call.choice.reason.value)
            self._metrics.expected(call.choice.delay, access.first_byte_s)
            self._placements.note(access.adapter, call.choice, exchange.reply, access)
