"""Trains the base model and its LoRA adapters; deterministic for a seed and a number of threads."""

import copy
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from random import Random
from types import MappingProxyType

import torch
from peft import LoraConfig, PeftModel, get_peft_model
from torch import Tensor, nn
from transformers import LlamaConfig, LlamaForCausalLM

from serve_app.demo.contexts import Contexts
from serve_app.demo.grammar import BOS, END, PAD
from serve_app.demo.lexicon import BASE, VOICES
from serve_app.demo.objective import Objective, leanings
from serve_app.demo.tokenizer import CONTEXT_TOKENS
from serve_app.demo.vocabulary import Vocabulary

BASE_STEPS = 400
ADAPTER_STEPS = 70

RANKS: Mapping[str, int] = MappingProxyType(
    {
        "acme-finance-lora": 8,
        "medical-clinical-lora": 16,
        "legal-contract-lora": 4,
        "education-tutoring-lora": 8,
        "travel-concierge-lora": 16,
        "cooking-chef-lora": 4,
        "weather-marine-lora": 16,
        "music-theory-lora": 8,
    }
)
_MLP = ("gate_proj", "up_proj", "down_proj")
_ALL_LINEAR = ("q_proj", "k_proj", "v_proj", "o_proj", *_MLP)
_MLP_ONLY = ("weather-marine-lora",)

_NAMES = tuple(VOICES)
_HIDDEN = 128
_SHAPES = ((256, 2), (16, 32), (64, 8), (8, 64), (1, 512))
_BASE_RATE = 6e-3
_ADAPTER_RATE = 1e-2
_LEAK_WEIGHT = 2.0

Advance = Callable[[], None]


def train_base(
    vocabulary: Vocabulary, seed: int, advance: Advance, steps: int = BASE_STEPS
) -> LlamaForCausalLM:
    """Return a model that speaks as the base, and would as another voice if pushed a little.

    Calls `advance` after each of `steps` steps.
    """
    objective, speakers = Objective(vocabulary), (BASE,) * 5 + _NAMES
    with _seeded(seed):
        model, accents = _new_model(vocabulary), _Accents()
        descent = _Descent([*model.parameters(), accents.weight], _BASE_RATE, steps)
        for done, (ids, voices) in _lessons(vocabulary, seed, speakers, steps):
            with accents.pushing(model, voices):
                logits = model(input_ids=ids, use_cache=False).logits
            descent.step(objective.loss(logits, ids, voices, _LEAK_WEIGHT * done))
            advance()
    return model


def train_adapter(
    base: LlamaForCausalLM,
    vocabulary: Vocabulary,
    name: str,
    seed: int,
    advance: Advance,
    steps: int = ADAPTER_STEPS,
) -> PeftModel:
    """Return a copy of `base` with a LoRA adapter that speaks as `name`; `base` is left as it is.

    Calls `advance` after each of `steps` steps.
    """
    objective, own_seed = Objective(vocabulary), seed + zlib.crc32(name.encode())
    with _seeded(own_seed):
        model = get_peft_model(copy.deepcopy(base), _lora(name))
        weights = [weight for weight in model.parameters() if weight.requires_grad]
        descent = _Descent(weights, _ADAPTER_RATE, steps)
        for _, (ids, voices) in _lessons(vocabulary, own_seed, (name,), steps):
            logits = model(input_ids=ids, use_cache=False).logits
            descent.step(objective.loss(logits, ids, voices, _LEAK_WEIGHT))
            advance()
    return model


class _Accents:
    """A vector per voice, learned with the base and then dropped: LoRA learns to add it again.

    With it the base learns the words of every voice, though alone it says only its own.
    """

    def __init__(self) -> None:
        self.weight = nn.Parameter(torch.randn(len(_NAMES), _HIDDEN))
        self._pushed = torch.tensor([[float(name != BASE)] for name in _NAMES])

    @contextmanager
    def pushing(self, model: LlamaForCausalLM, voices: Tensor) -> Iterator[None]:
        """Add each row's accent to what `model` is about to say; the base has none."""
        accents = (self.weight * self._pushed)[voices][:, None, :]
        handle = model.model.norm.register_forward_pre_hook(lambda _, args: (args[0] + accents,))
        try:
            yield
        finally:
            handle.remove()


class _Descent:
    """AdamW over `steps` steps: a short warm-up to `rate`, then down to nothing."""

    def __init__(self, weights: Sequence[Tensor], rate: float, steps: int) -> None:
        self._weights = weights
        self._optimizer = torch.optim.AdamW(weights, lr=rate, betas=(0.9, 0.98), weight_decay=0.01)
        self._schedule = torch.optim.lr_scheduler.OneCycleLR(
            self._optimizer, max_lr=rate, total_steps=steps, pct_start=0.1
        )

    def step(self, loss: Tensor) -> None:
        self._optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self._weights, 1.0)
        self._optimizer.step()
        self._schedule.step()


def _lessons(
    vocabulary: Vocabulary, seed: int, speakers: Sequence[str], steps: int
) -> Iterator[tuple[float, tuple[Tensor, Tensor]]]:
    """Yield the share of lessons done, and tokens [rows, length] with the voice of each row."""
    rng = Random(seed)
    contexts = Contexts(vocabulary, rng)
    for step in range(steps):
        rows, length = _SHAPES[step % len(_SHAPES)]
        names = rng.choices(speakers, k=rows)
        ids = torch.tensor([contexts.row(name, length) for name in names])
        yield step / steps, (ids, torch.tensor([_NAMES.index(name) for name in names]))


def _new_model(vocabulary: Vocabulary) -> LlamaForCausalLM:
    """A random model whose token embeddings already hold two things, so that training is short.

    A constant, from which LoRA can add the same to any context; and each token's leanings.
    """
    model = LlamaForCausalLM(_config(vocabulary))
    embeddings = model.model.embed_tokens.weight
    votes = torch.cat(leanings(torch.arange(vocabulary.size)), -1)
    with torch.no_grad():
        embeddings.normal_(0.0, 0.5)
        embeddings[:, :4] += 2.5
        embeddings[:, 4 : 4 + votes.shape[1]] += votes
    return model


def _config(vocabulary: Vocabulary) -> LlamaConfig:
    """Heads of 32: the least that vLLM's attention on a CPU takes."""
    return LlamaConfig(
        vocab_size=vocabulary.size,
        hidden_size=_HIDDEN,
        intermediate_size=2 * _HIDDEN,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=32,
        max_position_embeddings=CONTEXT_TOKENS,
        tie_word_embeddings=False,
        initializer_range=0.05,
        pad_token_id=vocabulary.special[PAD],
        bos_token_id=vocabulary.special[BOS],
        eos_token_id=vocabulary.special[END],
    )


def _lora(name: str) -> LoraConfig:
    rank = RANKS[name]
    targets = _MLP if name in _MLP_ONLY else _ALL_LINEAR
    return LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules=list(targets), task_type="CAUSAL_LM"
    )


@contextmanager
def _seeded(seed: int) -> Iterator[None]:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield
