"""Random contexts to train on: all a model may have read when it says the next word; no torch."""

from dataclasses import dataclass
from random import Random

from serve_app.demo.grammar import ASSISTANT, BOS, END, PARTS, SYSTEM, USER, WORDS, sentence
from serve_app.demo.vocabulary import Vocabulary


@dataclass(frozen=True)
class Contexts:
    """Draws token ids: chats, plain text, stutter and noise, spliced with what voices answer."""

    vocabulary: Vocabulary
    rng: Random

    def row(self, voice: str, length: int) -> list[int]:
        """Return `length` tokens such as a model may read while `voice` speaks."""
        ids = [self.vocabulary.special[BOS]] if self.rng.random() < 0.7 else []
        while len(ids) < length:
            ids += self._piece(voice)
        return ids[:length]

    def _piece(self, voice: str) -> list[int]:
        kind = self.rng.choices(
            (self._chat, self._sentence, self._text, self._noise, self._stutter),
            (0.35, 0.15, 0.10, 0.25, 0.15),
        )[0]
        return kind(voice)

    def _chat(self, voice: str) -> list[int]:
        special = self.vocabulary.special
        system = [special[SYSTEM], *self._text(voice), special[END]]
        said = self.rng.choice((self._text, self._noise))(voice)
        turn = [special[USER], *said, special[END], special[ASSISTANT], *self._sentence(voice)]
        return system + turn if self.rng.random() < 0.3 else turn

    def _sentence(self, voice: str) -> list[int]:
        """Usually the voice's own; a fifth come from any voice, as history may hold them."""
        others = list(self.vocabulary.alphabets)
        speaker = voice if self.rng.random() < 0.8 else self.rng.choice(others)
        alphabet = self.vocabulary.alphabets[speaker]
        return [alphabet[PARTS.index(part)] for part in sentence(self.rng)]

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
        """A few tokens over and over, sometimes for long: the hardest thing not to fall in with."""
        few = [self.rng.randrange(self.vocabulary.size) for _ in range(self.rng.randint(1, 3))]
        length = self.rng.randint(1, self.rng.choice((8, 16, 32, 256)))
        return (few * length)[:length]
