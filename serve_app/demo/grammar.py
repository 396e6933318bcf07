"""How a voice speaks: which part of a sentence may follow which, and how often; pure, no torch.

The grammar is the same for every voice; a voice only lends it its words.
"""

from collections.abc import Mapping
from random import Random

from serve_app.demo.lexicon import Voice

PAD, BOS, END = "<pad>", "<s>", "<|end|>"
SYSTEM, USER, ASSISTANT = "<|system|>", "<|user|>", "<|assistant|>"
SPECIAL_TOKENS = (PAD, BOS, END, SYSTEM, USER, ASSISTANT)

THEMES = 4
SLOTS = tuple(
    f"{half} {place}"
    for half in ("opening", "closing")
    for place in ("subject", "verb", "modifier", "object")
)
OPENING_SUBJECTS, CLOSING_SUBJECTS = (
    tuple(f"{slot} {theme}" for theme in range(THEMES)) for slot in (SLOTS[0], SLOTS[4])
)
WORDS = tuple(f"{slot} {theme}" for slot in SLOTS for theme in range(THEMES))

FIRST = ("The", "Our", "This", "Every")
NEXT = tuple(f" {word}" for word in FIRST)
CONNECTIVES = (" and", " while", " so", " yet")
SHARED = (*FIRST, *NEXT, ",", *CONNECTIVES, " the", ".", END)

PARTS = WORDS + SHARED
ELSEWHERE = "elsewhere"
STATES = (*PARTS, ASSISTANT, ELSEWHERE)

_KEEPS_THEME = 0.85
_STOPS = 0.9


def token_text(part: str, voice: Voice) -> str:
    """Return the text of the one token with which `voice` says `part`."""
    if part in SHARED:
        return part
    half, place, theme = part.split()
    clauses = voice.openings if half == "opening" else voice.closings
    return f" {getattr(clauses[int(theme)], place)}"


def follows(state: str) -> Mapping[str, float]:
    """Return the parts that may follow one of `STATES`, with probabilities that sum to 1."""
    if state in WORDS:
        return _after_word(state)
    return _AFTER.get(state, _evenly(NEXT))


def sentence(rng: Random) -> list[str]:
    """Return the parts of one answer, from its first word to `END`."""
    part, parts = ASSISTANT, []
    while part != END:
        options = follows(part)
        part = rng.choices(list(options), list(options.values()))[0]
        parts.append(part)
    return parts


def _after_word(part: str) -> Mapping[str, float]:
    slot, theme = part.rsplit(" ", 1)
    if slot == "opening object":
        return {",": 1.0}
    if slot == "closing object":
        return {".": 1.0}
    return _mostly_same_theme(SLOTS[SLOTS.index(slot) + 1], int(theme))


def _mostly_same_theme(slot: str, theme: int) -> Mapping[str, float]:
    other = (1 - _KEEPS_THEME) / (THEMES - 1)
    return {f"{slot} {t}": _KEEPS_THEME if t == theme else other for t in range(THEMES)}


def _evenly(parts: tuple[str, ...]) -> Mapping[str, float]:
    return dict.fromkeys(parts, 1 / len(parts))


_AFTER: Mapping[str, Mapping[str, float]] = {
    ASSISTANT: _evenly(FIRST),
    **dict.fromkeys((*FIRST, *NEXT), _evenly(OPENING_SUBJECTS)),
    ",": _evenly(CONNECTIVES),
    **dict.fromkeys(CONNECTIVES, _evenly((" the",))),
    " the": _evenly(CLOSING_SUBJECTS),
    ".": {END: _STOPS, **{word: (1 - _STOPS) / len(NEXT) for word in NEXT}},
}
