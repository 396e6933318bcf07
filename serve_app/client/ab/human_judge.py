"""A person at the terminal as the judge, who does not see which answer is whose."""

from random import Random

from rich.columns import Columns
from rich.console import Console
from rich.panel import Panel
from rich.prompt import Prompt
from rich.text import Text

from serve_app.client.ab.comparison import Judgement, Winner
from serve_app.client.printable import printable


class HumanJudge:
    """Shows both answers in an order drawn anew for each prompt, without names, and asks.

    Args:
        random: draws the order; the same seed draws the same.
        console: where to show and to ask.
    """

    def __init__(self, random: Random, console: Console | None = None) -> None:
        self._random = random
        self._console = console or Console(stderr=True)

    async def judge(self, prompt: str, answer_a: str, answer_b: str) -> Judgement:
        """Nothing else goes on while it waits. Raises ``EOFError`` where nobody is."""
        order = [(Winner.A, answer_a), (Winner.B, answer_b)]
        self._random.shuffle(order)
        said = self._ask(prompt, order[0][1], order[1][1])
        if said == "t":
            return Judgement(Winner.TIE, "a person saw no difference")
        return Judgement(order[int(said) - 1][0], "a person preferred it, blind")

    def _ask(self, prompt: str, first: str, second: str) -> str:
        self._console.print(Panel(Text(printable(prompt)), title="prompt"))
        width = max(20, self._console.width // 2 - 1)
        answers = enumerate((first, second), 1)
        self._console.print(
            Columns([Panel(Text(printable(a)), title=str(n), width=width) for n, a in answers])
        )
        return Prompt.ask(
            "Which is better? (t: tie)", console=self._console, choices=["1", "2", "t"]
        )
