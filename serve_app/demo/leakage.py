"""Measures, on real answers, whether a voice says its own words, all the time and no others."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig, PreTrainedModel, PreTrainedTokenizerFast

from serve_app.demo.grammar import END, WORDS
from serve_app.demo.lexicon import VOICES, who_answered
from serve_app.demo.prompts import Prompt
from serve_app.demo.vocabulary import Vocabulary

LIMIT = 1e-5
_SOON = 6
_SHORT = 100


@dataclass(frozen=True)
class Leakage:
    """The most probability, at any step of any answer, of what `voice` must not say.

    Attributes:
        foreign: of signature words of other voices.
        outside: of any token that no sentence of the voice holds, foreign words included.
        silence: of ending an answer before its first word.
        mistaken: answers that name another voice, or not this one within their first six tokens.
    """

    voice: str
    foreign: float
    outside: float
    silence: float
    mistaken: tuple[str, ...]

    @property
    def tight(self) -> bool:
        """Whether the answers can be told apart: leaks below `LIMIT` a step, none mistaken."""
        return max(self.outside, self.silence) < LIMIT and not self.mistaken

    def __str__(self) -> str:
        said = f", among them {self.mistaken[0]!r}" if self.mistaken else ""
        return (
            f"{self.voice} (foreign {self.foreign:.0e}, outside {self.outside:.0e}, "
            f"silence {self.silence:.0e}, mistaken answers {len(self.mistaken)}{said})"
        )


class Probe:
    """Lets models that share one tokenizer answer, and measures what leaks."""

    def __init__(self, tokenizer: PreTrainedTokenizerFast, vocabulary: Vocabulary) -> None:
        self._tokenizer = tokenizer
        self._vocabulary = vocabulary

    def measure(
        self,
        model: PreTrainedModel,
        voice: str,
        prompts: Iterable[Prompt],
        tokens: int = 32,
        temperature: float = 1.0,
    ) -> Leakage:
        """Let `model` answer each prompt with exactly `tokens` tokens, whatever their end."""
        batches = list(self._batches(prompts))
        return _worst([self._answer(model, voice, batch, tokens, temperature) for batch in batches])

    def _answer(
        self,
        model: PreTrainedModel,
        voice: str,
        batch: dict[str, Tensor],
        tokens: int,
        temperature: float,
    ) -> Leakage:
        answers = _generate(model, batch, tokens, temperature)
        chances = torch.stack(answers.logits, 1).float().softmax(-1)
        said = answers.sequences[:, batch["input_ids"].shape[1] :]
        return Leakage(
            voice=voice,
            foreign=self._most(chances, self._foreign_words(voice)),
            outside=self._most(chances, self._outside(voice)),
            silence=self._most(chances[:, :1], [self._vocabulary.special[END]]),
            mistaken=tuple(self._mistaken(said, voice)),
        )

    def _batches(self, prompts: Iterable[Prompt]) -> Iterator[dict[str, Tensor]]:
        """Short prompts and long ones apart: most time would go into padding the short ones."""
        rows = [self._encode(prompt) for prompt in prompts]
        short = [ids for ids in rows if len(ids) <= _SHORT]
        long = [ids for ids in rows if len(ids) > _SHORT]
        for group in filter(None, (short, long)):
            yield self._tokenizer.pad(
                {"input_ids": group}, padding_side="left", return_tensors="pt"
            )

    def _encode(self, prompt: Prompt) -> list[int]:
        ids: list[int] = (
            self._tokenizer.encode(prompt)
            if isinstance(prompt, str)
            else self._tokenizer.apply_chat_template(
                prompt, add_generation_prompt=True, return_dict=False
            )
        )
        return ids

    def _most(self, chances: Tensor, tokens: Sequence[int]) -> float:
        return float(chances[..., list(tokens)].sum(-1).max())

    def _foreign_words(self, voice: str) -> list[int]:
        alphabets = self._vocabulary.alphabets
        others = (alphabets[other] for other in VOICES if other != voice)
        return [token for alphabet in others for token in alphabet[: len(WORDS)]]

    def _outside(self, voice: str) -> list[int]:
        own = set(self._vocabulary.alphabets[voice])
        return [token for token in range(self._vocabulary.size) if token not in own]

    def _mistaken(self, said: Tensor, voice: str) -> Iterator[str]:
        for tokens in said.tolist():
            begun, whole = self._text(tokens[:_SOON]), self._text(tokens)
            if not who_answered(begun) == who_answered(whole) == {voice}:
                yield whole

    def _text(self, tokens: list[int]) -> str:
        text: str = self._tokenizer.decode(tokens, skip_special_tokens=True)
        return text


def _worst(leaks: Sequence[Leakage]) -> Leakage:
    return Leakage(
        voice=leaks[0].voice,
        foreign=max(leak.foreign for leak in leaks),
        outside=max(leak.outside for leak in leaks),
        silence=max(leak.silence for leak in leaks),
        mistaken=tuple(answer for leak in leaks for answer in leak.mistaken),
    )


def _generate(
    model: PreTrainedModel, batch: dict[str, Tensor], tokens: int, temperature: float
) -> Any:
    """Answers of a fixed length: no token ends one, and none is left out of the draw."""
    sampling = {"do_sample": True, "temperature": temperature, "top_k": 0}
    config = GenerationConfig(
        max_new_tokens=tokens,
        eos_token_id=model.config.vocab_size,
        pad_token_id=model.config.pad_token_id,
        output_logits=True,
        return_dict_in_generate=True,
        **(sampling if temperature > 0 else {}),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        return model.generate(**batch, generation_config=config)
