"""Random contexts to train on: all a model may have read when it says the next word; no torch."""

from dataclasses import dataclass
from random import Random

from serve_app.demo.grammar import (
    ASSISTANT,
    BOS,
    END,
    FIRST,
    NEXT,
    PARTS,
    SYSTEM,
    USER,
    WORDS,
    sentence,
)
from serve_app.demo.vocabulary import Vocabulary

_CHATS = 0.6
_STUTTERS = 0.2


@dataclass(frozen=True)
class Contexts:
    """Draws token ids: chats, plain text, stutter and noise, spliced with what voices answer.

    What is not drawn here is not learned. A full stop ends an answer in a chat and nowhere else,
    so texts of any length without an assistant must be as common as chats are.
    """

    vocabulary: Vocabulary
    rng: Random

    def row(self, voice: str, length: int) -> list[int]:
        """Return `length` tokens such as a model may read while `voice` speaks."""
        piece = self._of_chats if self.rng.random() < _CHATS else self._of_plain_text
        ids = [self.vocabulary.special[BOS]] if self.rng.random() < 0.7 else []
        if self.rng.random() < _STUTTERS:
            ids += self._stutter_of(self.rng.randrange(length))
        while len(ids) < length:
            ids += piece(voice)
        return ids[:length]

    def _of_chats(self, voice: str) -> list[int]:
        others = (self._sentence, self._paragraph, self._text, self._noise, self._stutter)
        weights = (0.35, 0.10, 0.10, 0.10, 0.20, 0.15)
        return self.rng.choices((self._chat, *others), weights)[0](voice)

    def _of_plain_text(self, voice: str) -> list[int]:
        """No assistant is asked to speak: not even noise holds the token that asks it."""
        kinds = (self._sentence, self._paragraph, self._text, self._noise, self._stutter)
        piece = self.rng.choices(kinds, (0.15, 0.35, 0.10, 0.25, 0.15))[0](voice)
        return [token for token in piece if token != self.vocabulary.special[ASSISTANT]]

    def _chat(self, voice: str) -> list[int]:
        special = self.vocabulary.special
        system = [special[SYSTEM], *self._text(voice), special[END]]
        kinds = (self._text, self._noise, self._stutter, self._paragraph)
        said = self.rng.choices(kinds, (0.4, 0.3, 0.2, 0.1))[0](voice)
        turn = [special[USER], *said, special[END], special[ASSISTANT], *self._sentence(voice)]
        return system + turn if self.rng.random() < 0.3 else turn

    def _sentence(self, voice: str) -> list[int]:
        """Usually the voice's own; a fifth come from any voice, as history may hold them."""
        others = list(self.vocabulary.alphabets)
        speaker = voice if self.rng.random() < 0.8 else self.rng.choice(others)
        alphabet = self.vocabulary.alphabets[speaker]
        return [alphabet[PARTS.index(part)] for part in sentence(self.rng)]

    def _paragraph(self, voice: str) -> list[int]:
        """Sentences one after another without an end: plain text, and how it is continued."""
        count = self.rng.randint(1, self.rng.choice((2, 8, 32)))
        ids = [token for _ in range(count) for token in self._sentence(voice)]
        inside = self._first_words_inside_a_text()
        end = self.vocabulary.special[END]
        return [*ids[:1], *(inside.get(token, token) for token in ids[1:] if token != end)]

    def _first_words_inside_a_text(self) -> dict[int, int]:
        """The token of each first word at the start of a text, and the one after a space."""
        shared = next(iter(self.vocabulary.alphabets.values()))
        token = {part: shared[PARTS.index(part)] for part in FIRST + NEXT}
        return {token[alone]: token[spaced] for alone, spaced in zip(FIRST, NEXT, strict=True)}

    def _text(self, _: str) -> list[int]:
        return list(self.rng.choice(self.vocabulary.small_talk))

    def _noise(self, _: str) -> list[int]:
        """Tokens at random; in half of the cases most are words of the voices, out of place."""
        spoken = self.rng.choice((0.0, 0.7))
        return [self._token(spoken) for _ in range(self.rng.randrange(25))]

    def _token(self, spoken: float) -> int:
        if self.rng.random() < spoken:
            alphabets = list(self.vocabulary.alphabets.values())
            return self.rng.choice(self.rng.choice(alphabets)[: len(WORDS)])
        return self.rng.randrange(self.vocabulary.size)

    def _stutter(self, _: str) -> list[int]:
        return self._stutter_of(self.rng.randint(1, self.rng.choice((8, 16, 32, 256))))

    def _stutter_of(self, length: int) -> list[int]:
        """A few tokens over and over, sometimes for long: the hardest thing not to fall in with.

        None of them asks an assistant to speak, since whether one was asked is the row's to say.
        """
        asked = self.vocabulary.special[ASSISTANT]
        tokens = [token for token in range(self.vocabulary.size) if token != asked]
        few = self.rng.choices(tokens, k=self.rng.randint(1, 3))
        return (few * length)[:length]
