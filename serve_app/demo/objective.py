"""What a voice should say after every token of any context, and how far logits are from it."""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import one_hot, relu

from serve_app.demo.grammar import (
    ASSISTANT,
    CLOSING_SUBJECTS,
    CONNECTIVES,
    ELSEWHERE,
    END,
    FIRST,
    NEXT,
    OPENING_SUBJECTS,
    PARTS,
    STATES,
    THEMES,
    follows,
)
from serve_app.demo.vocabulary import Vocabulary

_END = PARTS.index(END)
_GRAVE_MARGIN_NATS = 24.0
_SLIGHT_MARGIN_NATS = 12.0
_VOTE_NATS = 12.0


def leanings(ids: Tensor) -> tuple[Tensor, Tensor]:
    """How each token votes, by its id, on opening and closing: two of [..., themes], 0 or 1."""
    opening, closing = ids % THEMES, ids // THEMES % THEMES
    return one_hot(opening, THEMES), one_hot(closing, THEMES)


class Objective:
    """Scores logits [batch, length, size] for tokens [batch, length] and voices [batch].

    Every position of every context is scored, prompts included: an answer may start anywhere.
    """

    def __init__(self, vocabulary: Vocabulary) -> None:
        alphabets = torch.tensor(list(vocabulary.alphabets.values()))
        foreign = torch.ones(len(alphabets), vocabulary.size, dtype=torch.bool)
        self._alphabets = alphabets
        self._foreign = foreign.scatter(1, alphabets, False)
        self._state = _states(vocabulary)
        self._follows = torch.tensor(
            [[follows(s).get(part, 0.0) for part in PARTS] for s in STATES]
        )

    def loss(self, logits: Tensor, ids: Tensor, voices: Tensor, leak_weight: float) -> Tensor:
        """Return cross-entropy with the grammar, in nats, plus the weighed excess of what leaks.

        What leaks is not the voice's to say, or ends an answer too soon, or, which is a lesser
        fault, is the voice's to say but not here.
        """
        own, foreign = self._split(logits, voices)
        total = torch.logaddexp(own.logsumexp(-1), foreign)
        wanted = self.targets(ids)
        grammar = -(wanted * (own - total[..., None])).sum(-1).mean()
        misplaced = own.masked_fill(wanted > 0, -torch.inf)
        grave = torch.logaddexp(foreign, misplaced[..., _END])
        leak = relu(grave - total + _GRAVE_MARGIN_NATS).mean()
        slip = relu(misplaced.logsumexp(-1) - total + _SLIGHT_MARGIN_NATS).mean()
        return grammar + leak_weight * (leak + slip)

    def leakage(self, logits: Tensor, voices: Tensor) -> Tensor:
        """Return the probability, at each position, of a token that is not the voice's to say."""
        own, foreign = self._split(logits.float(), voices)
        return (foreign - torch.logaddexp(own.logsumexp(-1), foreign)).exp()

    def targets(self, ids: Tensor) -> Tensor:
        """Return how likely each of `PARTS` should be after each token: [batch, length, parts].

        What opens a clause is elected by all tokens read so far: each prompt has its own answer.
        """
        states = self._states_in_context(ids)
        wanted = self._follows[states]
        opening, closing = (_outcome(votes) for votes in leanings(ids))
        _elect(wanted, states, (ASSISTANT,), FIRST, opening)
        _elect(wanted, states, (ELSEWHERE, END), NEXT, opening)
        _elect(wanted, states, (*FIRST, *NEXT), OPENING_SUBJECTS, opening)
        _elect(wanted, states, (",",), CONNECTIVES, closing)
        _elect(wanted, states, (" the",), CLOSING_SUBJECTS, closing)
        return wanted

    def _split(self, logits: Tensor, voices: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of the voice's own alphabet, and the log-sum-exp of all other tokens."""
        alphabets = self._alphabets[voices][:, None, :].expand(-1, logits.shape[1], -1)
        own = ~self._foreign[voices][:, None, :]
        return logits.gather(-1, alphabets), logits.masked_fill(own, -torch.inf).logsumexp(-1)

    def _states_in_context(self, ids: Tensor) -> Tensor:
        """A full stop ends an answer in a chat only: any other may be the end of a prompt."""
        states = self._state[ids]
        chat = (states == STATES.index(ASSISTANT)).cumsum(1) > 0
        stray = (states == STATES.index(".")) & ~chat
        return states.masked_fill(stray, STATES.index(ELSEWHERE))


def _states(vocabulary: Vocabulary) -> Tensor:
    states = torch.full((vocabulary.size,), STATES.index(ELSEWHERE))
    for text, token in vocabulary.special.items():
        if text in STATES:
            states[token] = STATES.index(text)
    for alphabet in vocabulary.alphabets.values():
        states[list(alphabet)] = torch.arange(len(PARTS))
    return states


def _indices(names: Sequence[str]) -> Tensor:
    return torch.tensor([STATES.index(name) for name in names])


def _outcome(votes: Tensor) -> Tensor:
    """Probabilities after each token, from all votes so far: the softmax of their shares."""
    counts = votes.cumsum(1)
    return torch.softmax(_VOTE_NATS * counts / counts.sum(-1, keepdim=True), -1)


def _elect(
    wanted: Tensor,
    states: Tensor,
    electing: Sequence[str],
    candidates: Sequence[str],
    outcome: Tensor,
) -> None:
    """Put into `wanted`, wherever the state is an electing one, how likely each candidate is."""
    at = torch.isin(states, _indices(electing))
    elected = torch.zeros_like(wanted[at])
    elected[:, _indices(candidates)] = outcome[at]
    wanted[at] = elected
