"""Asks a running application for its fleet's page."""

from collections.abc import Mapping

import httpx
from pydantic import ValidationError

from serve_app.cli.address import NoAnswer, checked_url, connected
from serve_app.cli.exits import AWAY, CONFIG_REFUSED, DENIED, UNKNOWN_ANSWER
from serve_app.gateway.fleet_schema import FleetPage

_PATH = "/admin/v1/fleet"
_REFUSALS: Mapping[int, str] = {
    401: "nobody holds this key",
    403: "this key is not an admin's",
}


class NoPage(NoAnswer):
    """There is no page to show."""


class Source:
    """One application. A proxy of the environment is used for other machines only.

    Raises:
        NoPage: ``url`` is none.
    """

    def __init__(
        self,
        url: str,
        api_key: str,
        adapter: str | None = None,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        try:
            base = checked_url(url)
            self._http = connected(base, api_key, transport)
        except NoAnswer as error:
            raise NoPage(str(error), error.exit_code) from None
        self._url = base.copy_with(path=base.path.rstrip("/") + _PATH)
        self._params = {} if adapter is None else {"adapter": adapter}

    def page(self) -> FleetPage:
        """The fleet now.

        Raises:
            NoPage: nobody answers, the key is refused, or something else answers.
        """
        try:
            answer = self._http.get(self._url, params=self._params)
        except httpx.HTTPError as error:
            said = str(error) or type(error).__name__
            raise NoPage(
                f"nothing answers at {self._where} ({said}): start it with `serve-app up CONFIG`, "
                "or name another with --url",
                AWAY,
            ) from None
        return self._read(answer)

    @property
    def _where(self) -> str:
        return str(self._url).removesuffix(_PATH)

    def _read(self, answer: httpx.Response) -> FleetPage:
        status = answer.status_code
        if status in _REFUSALS:
            message = f"{self._where} refused the key ({status}): {_REFUSALS[status]}"
            raise NoPage(f"{message}; give an admin's with --api-key", DENIED)
        if status >= 500:
            raise NoPage(f"{self._where} cannot answer now ({status}); try again", AWAY)
        if status == 400:
            raise NoPage(f"{self._where} refused --adapter ({status})", CONFIG_REFUSED)
        try:
            return FleetPage.model_validate_json(answer.content)
        except ValidationError:
            raise NoPage(
                f"what answers at {self._where} ({status}) is no fleet of a serve_app of this "
                "version: is the URL right?",
                UNKNOWN_ANSWER,
            ) from None
