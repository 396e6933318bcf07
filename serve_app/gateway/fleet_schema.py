"""What ``GET /admin/v1/fleet`` says, for those who write it and those who read it."""

from pydantic import BaseModel, ConfigDict
from pydantic.config import JsonDict

from serve_app.routing.view import Costs

_EXAMPLE: JsonDict = {
    "gateway": "3f2a9c01d4e7",
    "at": 1764030000.25,
    "outstanding": 7,
    "replicas": [
        {
            "replica": "k3x9q2ab",
            "alive": True,
            "adapters": ["acme-finance-lora@5533a83906f4"],
            "loading": [],
            "active": ["acme-finance-lora@5533a83906f4"],
            "slots_used": 1,
            "max_loras": 4,
            "in_flight": 3,
            "capacity": 16,
            "waiting": 0,
            "waiting_tokens": 120,
            "kv_usage": 0.12,
            "utilisation": 0.1875,
            "requests": {"acme-finance-lora@5533a83906f4": 3},
            "load_s": 0.31,
            "costs": {
                "stage_s": 0.2,
                "disk_s": 0.11,
                "swap_s": 0.02,
                "prompt_token_s": 0.0002,
                "hold_s": 0.5,
                "seat_s": 2.4,
            },
            "engine_lists": 1,
        }
    ],
    "adapters": [
        {
            "adapter": "acme-finance-lora@5533a83906f4",
            "homes": ["k3x9q2ab", "p7w1m0cd"],
            "holders": ["k3x9q2ab"],
            "held_by": 1,
            "loading": [],
            "requests": 3,
            "placements": [
                {
                    "at": 1764029998.5,
                    "request_id": "2b1f0c9e",
                    "replica": "k3x9q2ab",
                    "reason": "home",
                    "expected": {
                        "wait_s": 0.83,
                        "load_s": 0.82,
                        "slot_s": 0.0,
                        "queue_s": 0.01,
                        "busy_s": 0.02,
                        "total_s": 0.85,
                    },
                    "streamed": True,
                    "first_byte_s": 0.41,
                    "cold_load_s": 0.31,
                    "duration_s": 1.2,
                    "outcome": "ok",
                }
            ],
        }
    ],
    "left_out": 0,
}


class ReplicaState(BaseModel):
    """A replica, as it told last.

    Attributes:
        adapters: those it holds or loads; ``active`` ones are used by requests.
        slots_used: LoRA slots that active adapters fill, of ``max_loras``.
        utilisation: the larger of its shares of seats and of KV cache in use.
        load_s: seconds a cold load took of late, 0 if there was none.
        costs: what else things take there, in seconds, as measured there or else as is typical.
    """

    replica: str
    alive: bool
    adapters: list[str]
    loading: list[str]
    active: list[str]
    slots_used: int
    max_loras: int
    in_flight: int
    capacity: int
    waiting: int
    waiting_tokens: int
    kv_usage: float
    utilisation: float
    requests: dict[str, int]
    load_s: float
    costs: Costs
    engine_lists: int


class Expected(BaseModel):
    """What a request was expected to wait where it was placed, in seconds, by cause.

    Attributes:
        wait_s: for the load of its adapter, a slot and the queue: what ``first_byte_s`` tests.
        total_s: with the price of sharing the engine: what placements are compared by.
    """

    wait_s: float
    load_s: float
    slot_s: float
    queue_s: float
    busy_s: float
    total_s: float


class PlacementRecord(BaseModel):
    """Where one request went, why, and what came of it.

    Attributes:
        at: wall clock in seconds when it came, from which the other times are counted.
        streamed: its first byte is its first token; otherwise it is the whole answer's.
        cold_load_s: seconds it waited for its adapter to be loaded, None if it was resident.
        outcome: ``ok``, ``client_gone``, or the code of the error.
    """

    at: float
    request_id: str
    replica: str
    reason: str
    expected: Expected
    streamed: bool
    first_byte_s: float | None
    cold_load_s: float | None
    duration_s: float
    outcome: str


class AdapterState(BaseModel):
    """One version of an adapter, or the base.

    Attributes:
        homes: the replicas it belongs to, first one first.
        holders: replicas that hold it and do not load it still; a few of ``held_by``.
        requests: in flight, on all replicas.
        placements: the last ones, newest first.
    """

    adapter: str
    homes: list[str]
    holders: list[str]
    held_by: int
    loading: list[str]
    requests: int
    placements: list[PlacementRecord]


class FleetPage(BaseModel):
    """The fleet as one gateway knows it.

    Attributes:
        at: wall clock in seconds.
        outstanding: requests of this gateway that are placed and not over, on all replicas.
        left_out: adapters for which there was no room on the page.
    """

    model_config = ConfigDict(json_schema_extra={"example": _EXAMPLE})

    gateway: str
    at: float
    outstanding: int
    replicas: list[ReplicaState]
    adapters: list[AdapterState]
    left_out: int
