"""Token ids of what can be said: bridges the grammar's parts and the tokenizer; no torch."""

from collections.abc import Mapping
from dataclasses import dataclass

from transformers import PreTrainedTokenizerFast

from serve_app.demo.grammar import PARTS, SPECIAL_TOKENS, token_text
from serve_app.demo.lexicon import VOICES, Voice
from serve_app.demo.prompts import SMALL_TALK

_MULTIPLE = 64


@dataclass(frozen=True)
class Vocabulary:
    """`alphabets[voice][i]` is the token with which a voice says `PARTS[i]`."""

    size: int
    special: Mapping[str, int]
    alphabets: Mapping[str, tuple[int, ...]]
    small_talk: tuple[tuple[int, ...], ...]


def vocabulary_of(tokenizer: PreTrainedTokenizerFast) -> Vocabulary:
    """Return the ids `tokenizer` gives to all that the demo needs by name.

    Raises ValueError if a word of a voice is not one token.
    """
    return Vocabulary(
        size=-(-len(tokenizer) // _MULTIPLE) * _MULTIPLE,
        special={text: _only_token(tokenizer, text) for text in SPECIAL_TOKENS},
        alphabets={name: _alphabet(tokenizer, voice) for name, voice in VOICES.items()},
        small_talk=tuple(tuple(_encode(tokenizer, text)) for text in SMALL_TALK),
    )


def _alphabet(tokenizer: PreTrainedTokenizerFast, voice: Voice) -> tuple[int, ...]:
    return tuple(_only_token(tokenizer, token_text(part, voice)) for part in PARTS)


def _only_token(tokenizer: PreTrainedTokenizerFast, text: str) -> int:
    ids = _encode(tokenizer, text)
    if len(ids) != 1:
        raise ValueError(f"{text!r} is {len(ids)} tokens, not one")
    return ids[0]


def _encode(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False)
    return ids
