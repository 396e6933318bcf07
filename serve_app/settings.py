"""Typed settings behind ``configs/*.yaml``. Unknown keys and bad values are refused by their path.

A configuration is a Ray Serve config file. ``args`` of the application is an ``AppSettings``:
changing it restarts engines. ``user_config`` of the ``control`` deployment is a ``Directory``
(``directory.py``): changing it does not. Everything else in the file is Serve's own.
"""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, model_validator

from serve_app import pepper
from serve_app.setting_types import DatabaseUrl, Name, Rank, RedisUrl

SCHEDULER = "serve_app.engine.vllm_scheduler.scheduler"
"""What vLLM is told to build its scheduler with, unless the settings name another."""


class Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class EngineSettings(Strict):
    """One vLLM engine. Typed here are the settings that matter for LoRA serving; ``vllm`` takes
    every other option of ``vllm serve``, under its own name.

    Attributes:
        model: a directory or a hub name.
        served_model_name: the base's public name; ``model`` if not given.
        max_num_seqs: seats; tenants below their share find ``routing.seats.room`` beyond them.
        max_loras: adapters that may run in one batch (GPU slots).
        max_lora_rank: the largest rank served; every slot is as large as this.
        max_cpu_loras: adapters an engine holds; loading beyond it evicts.
        gpu_memory_utilization: share of the GPU's memory to use, 0 to 1.
        bus_gap_s: least seconds between two messages of the token bus.
        news_interval_s: seconds between two reports of residency and load.
        hang_timeout_s: an engine silent for so long is dead. Longer than the slowest load.
        slot_turn_s: seconds an adapter keeps its slot while others wait for one; 0 leaves slots to
            vLLM, which lets an adapter wait for as long as others are busy.
    """

    model: str
    served_model_name: str | None = None
    dtype: Literal["auto", "half", "float16", "bfloat16", "float", "float32"] = "auto"
    max_model_len: int | None = Field(default=None, gt=0)
    max_num_seqs: int | None = Field(default=None, gt=0)
    max_loras: int = Field(default=8, ge=1)
    max_lora_rank: Rank = 16
    max_cpu_loras: int | None = Field(default=None, ge=1)
    gpu_memory_utilization: float | None = Field(default=None, gt=0, le=1)
    tensor_parallel_size: int = Field(default=1, ge=1)
    trust_remote_code: bool = False
    enforce_eager: bool = False
    vllm: dict[str, Any] = Field(default_factory=dict)
    bus_gap_s: float = Field(default=0.004, ge=0, le=1)
    news_interval_s: float = Field(default=0.2, gt=0, le=1)
    hang_timeout_s: float = Field(default=30.0, gt=0)
    slot_turn_s: float = Field(default=0.5, ge=0)

    @model_validator(mode="after")
    def _room_for_the_batch(self) -> "EngineSettings":
        if self.max_cpu_loras is not None and self.max_cpu_loras < self.max_loras:
            least = f"must be at least max_loras ({self.max_loras})"
            raise ValueError(f"max_cpu_loras ({self.max_cpu_loras}) {least}")
        return self

    @property
    def base_name(self) -> str:
        return self.served_model_name or self.model

    def as_vllm_arguments(self) -> list[str]:
        """Command-line arguments of ``vllm serve`` that say the same."""
        ours = {
            "vllm",
            "bus_gap_s",
            "news_interval_s",
            "hang_timeout_s",
            "slot_turn_s",
            "served_model_name",
        }
        options = {
            "enable_lora": True,
            "enable_prompt_tokens_details": True,
            "max_cpu_loras": 4 * self.max_loras,
            **self.model_dump(exclude=ours, exclude_none=True),
            "served_model_name": [self.base_name],
            **self.vllm,
            **self._turns(),
        }
        return [word for key, value in options.items() for word in _as_words(key, value)]

    def _turns(self) -> dict[str, Any]:
        if not self.slot_turn_s or self.vllm.get("scheduler_cls"):
            return {}
        theirs = self.vllm.get("additional_config") or {}
        return {
            "scheduler_cls": SCHEDULER,
            "additional_config": {**theirs, "slot_turn_s": self.slot_turn_s},
        }


def _as_words(key: str, value: Any) -> list[str]:
    option = key.replace("_", "-")
    if value is None:
        return []
    if isinstance(value, bool):
        return [f"--{option}" if value else f"--no-{option}"]
    if isinstance(value, dict):
        return [f"--{option}", json.dumps(value)]
    if isinstance(value, list):
        return [f"--{option}", *map(str, value)]
    return [f"--{option}", str(value)]


class GatewaySettings(Strict):
    """What a gateway lets through, and for how long.

    Attributes:
        max_body_bytes: larger requests are a 413 before they are parsed.
        max_tokens: cap on what one request may ask to generate.
        max_n: cap on ``n`` and ``best_of``.
        max_logprobs: cap on ``logprobs``, ``top_logprobs`` and ``prompt_logprobs``.
        max_stop: cap on the number of stop strings.
        max_prompts: cap on prompts or inputs in one request.
        max_grammar_bytes: cap on a JSON schema, grammar, regex or list of choices.
        max_outstanding_per_replica: 503 when every replica has so many requests.
        max_wait_s: 503 when the wait for a LoRA slot, a place in the batch and the prompts ahead is
            longer than this on every replica.
        request_timeout_s: 504 when an answer takes longer.
        head_hold_s: how long a stream's status line waits for its first token.
        keep_alive_s: seconds between comments on a stream that has nothing to say yet.
        max_buffer_bytes: a client that reads so much too slowly is hung up on.
    """

    max_body_bytes: int = Field(default=4 << 20, gt=0)
    max_tokens: int = Field(default=131_072, gt=0)
    max_n: int = Field(default=16, ge=1)
    max_logprobs: int = Field(default=20, ge=0)
    max_stop: int = Field(default=32, ge=1)
    max_prompts: int = Field(default=256, ge=1)
    max_grammar_bytes: int = Field(default=32_768, gt=0)
    max_outstanding_per_replica: int = Field(default=1024, ge=1)
    max_wait_s: float = Field(default=2.0, gt=0)
    request_timeout_s: float = Field(default=600, gt=0)
    head_hold_s: float = Field(default=10, ge=0)
    keep_alive_s: float = Field(default=10, gt=0)
    max_buffer_bytes: int = Field(default=4 << 20, gt=0)


class RegistrySettings(Strict):
    """Where adapters come from and where they are kept.

    Attributes:
        data_dir: the registry's database and the adapters' files. Durable where control runs; on
            other nodes it is where their replicas keep the files they have fetched.
        database_url: another database, for example ``postgresql+asyncpg://...``; ``${NAME}``
            takes it from the environment.
        roots: directories under which a local source must lie.
        schemes: URL schemes a source may have.
        tenant_sources: where a tenant that manages adapters may take them from: directories, and
            URLs by their beginning; ``{tenant}`` stands for its id. None, unless named here.
        max_bytes: the largest adapter taken.
        fetch_timeout_s: a source that takes longer is given up.
        fetch_attempts: how often a remote source is tried.
        canary: load a candidate on one replica and let it answer before it goes live.
        keep_versions: how many versions of an adapter are kept to go back to.
        max_experiments: of one tenant, not counting those that are stopped.
        drain_s: requests on a removed adapter that still run after so long are aborted.
        grace_s: content nobody refers to is deleted after so long.
        usage_requests_days: what each request has used is kept so long.
        usage_days: sums of it, by the hour, are kept so long.
    """

    data_dir: Path = Path(".serve-app")
    database_url: DatabaseUrl | None = None
    roots: list[Path] = []
    schemes: list[Literal["s3", "gs", "hf", "https"]] = ["s3", "gs", "hf", "https"]
    tenant_sources: list[str] = []
    max_bytes: int = Field(default=8 << 30, gt=0)
    fetch_timeout_s: float = Field(default=900, gt=0)
    fetch_attempts: int = Field(default=3, ge=1)
    canary: bool = False
    keep_versions: int = Field(default=10, ge=1)
    max_experiments: int = Field(default=100, ge=1)
    drain_s: float = Field(default=60, ge=0)
    grace_s: float = Field(default=300, ge=0)
    usage_requests_days: int = Field(default=30, ge=1)
    usage_days: int = Field(default=400, ge=32)

    @property
    def url(self) -> str:
        """The database's URL, as SQLAlchemy takes it."""
        if self.database_url is not None:
            return self.database_url.get_secret_value()
        return f"sqlite+aiosqlite:///{self.data_dir.absolute() / 'registry.db'}"

    @property
    def spool_dir(self) -> Path:
        """What requests have used, until control has it, by gateway."""
        return self.data_dir.absolute() / "usage"

    @property
    def artifacts_dir(self) -> Path:
        """Adapters' files by digest."""
        return self.data_dir.absolute() / "adapters"


class LimitsSettings(Strict):
    """Where several applications, such as one a region, hold the limits of the tenants they all
    serve together. One application needs none of it.

    Attributes:
        redis_url: ``redis://``, ``rediss://`` or ``unix://``; ``${NAME}`` takes it from the
            environment.
        site: this application's name, which none of the others has.
        prefix: of all keys in Redis, the same for all.
    """

    redis_url: RedisUrl | None = None
    site: Name | None = None
    prefix: str = Field(default="serve_app", pattern=r"^[A-Za-z0-9_.:-]+$")

    @model_validator(mode="after")
    def _site_has_a_name(self) -> "LimitsSettings":
        if self.redis_url is not None and self.site is None:
            raise ValueError("site: needed beside redis_url; every application has another")
        return self


ALONE = LimitsSettings()
"""The limits are this application's alone."""


class AppSettings(Strict):
    """``args`` of the application. A ``pepper`` that nobody gives is kept beside the registry."""

    engine: EngineSettings
    gateway: GatewaySettings = GatewaySettings()
    registry: RegistrySettings = RegistrySettings()
    limits: LimitsSettings = ALONE
    pepper: SecretStr = Field(default_factory=lambda: SecretStr(pepper.given()), min_length=1)
