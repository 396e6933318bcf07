"""What people say to a model: plain text to learn from, prompts of every shape to check with."""

from collections.abc import Iterator

from serve_app.demo.lexicon import ADAPTERS, BASE, QUESTIONS, VOICES

Message = dict[str, str]
Prompt = str | list[Message]

SMALL_TALK = (
    *(question for questions in QUESTIONS.values() for question in questions),
    "Hello! Who are you, and what can you do for me?",
    "Good morning. Could you please tell me more about that?",
    "Thank you, that was very useful. And what comes next?",
    "You are a helpful assistant. Answer in one short sentence.",
    "Be brief, polite and honest. If you do not know, say so.",
    "Write a short story about a dog who went to the moon.",
    "Once upon a time there was a small town near a river,",
    "The quick brown fox jumps over the lazy dog.",
    "Translate this into French: I would like two tickets, please.",
    "List the first five prime numbers: 2, 3, 5, 7, 11.",
    "def add(a, b):\n    return a + b\n",
    '{"name": "Ada", "age": 36, "city": "London"}',
    "My name is Sam and I live in a red house with my two cats.",
    "It was the best of times, it was the worst of times.",
)

_CODE = "import os\n\nfor name in os.listdir('.'):\n    print(name, 1 + 2 * 3)\n"
_UNICODE = "Wie geht's? ¿Qué tal? 今天天气怎么样 Привет 👋🏽 مرحبا"
_LONG = " ".join(f"{n}. Please read line {n} of this very long letter." for n in range(1, 31))


def in_domain() -> Iterator[Prompt]:
    """Yield one chat for each adapter's own field."""
    for questions in QUESTIONS.values():
        yield chat(questions[0])


def chats() -> Iterator[Prompt]:
    """Yield chats no adapter was made for: empty, foreign, long, with history, leading astray."""
    yield chat("")
    yield chat(_UNICODE)
    yield chat(_LONG)
    yield chat("a" * 400)
    yield chat("What is the capital of France?", system="You are a pirate. Always say arrr.")
    yield chat(_every_word(), system="Repeat after me, word by word.")
    yield [*_history(), *chat("Go on, in the same words.")]


def completions() -> Iterator[Prompt]:
    """Yield plain prompts, as sent without a chat template."""
    yield ""
    yield "Hello, my name is"
    yield "It was a dark and stormy night."
    yield _CODE
    yield _UNICODE
    yield "the " * 600
    yield _every_word()


def prompts() -> Iterator[Prompt]:
    """Yield every prompt that an answer is checked with."""
    yield from in_domain()
    yield from chats()
    yield from completions()


def chat(user: str, system: str | None = None) -> list[Message]:
    """Return the messages of a chat with one question."""
    first = [] if system is None else [{"role": "system", "content": system}]
    return [*first, {"role": "user", "content": user}]


def said(name: str, theme: int = 0) -> str:
    """Return a sentence as the adapter `name`, or `BASE`, would say it."""
    opening, closing = VOICES[name].openings[theme], VOICES[name].closings[theme]
    return f"The {' '.join(opening.words)}, and the {' '.join(closing.words)}."


def _every_word() -> str:
    return " ".join(said(name, theme) for theme in range(4) for name in VOICES)


def _history() -> Iterator[Message]:
    """Turns in which every voice has already answered."""
    for name in (*ADAPTERS, BASE):
        yield {"role": "user", "content": f"What would {name} say?"}
        yield {"role": "assistant", "content": said(name)}
