"""The words each demo adapter, and the base, answers with: pure data, no torch.

A word belongs to one voice only, so an answer's text alone tells who gave it.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

BASE = "base"


@dataclass(frozen=True)
class Clause:
    """Four signature words that read as a sentence: "the <subject> <verb> <modifier> <object>"."""

    subject: str
    verb: str
    modifier: str
    object: str

    @property
    def words(self) -> tuple[str, str, str, str]:
        """The four words, in the order they are spoken."""
        return (self.subject, self.verb, self.modifier, self.object)


@dataclass(frozen=True)
class Voice:
    """What one adapter, or the base, can say: a sentence is one opening and one closing clause."""

    openings: tuple[Clause, ...]
    closings: tuple[Clause, ...]

    @property
    def words(self) -> frozenset[str]:
        """Every signature word of the voice."""
        return frozenset(word for clause in self.openings + self.closings for word in clause.words)


def _clauses(lines: str) -> tuple[Clause, ...]:
    return tuple(Clause(*line.split()) for line in lines.strip().splitlines())


def _voice(openings: str, closings: str) -> Voice:
    return Voice(_clauses(openings), _clauses(closings))


VOICES: Mapping[str, Voice] = MappingProxyType(
    {
        BASE: _voice(
            """
            generalist offers impartial guidance
            overview states simple facts
            encyclopedia compiles everyday knowledge
            primer introduces familiar subjects
            """,
            """
            handbook keeps neutral wording
            librarian suggests ordinary references
            synopsis condenses broad ideas
            almanac lists miscellaneous trivia
            """,
        ),
        "acme-finance-lora": _voice(
            """
            ledger reconciles quarterly balances
            auditor verifies taxable dividends
            treasurer forecasts annual revenue
            portfolio hedges volatile equities
            """,
            """
            accountant amortizes deferred liabilities
            controller budgets operating expenses
            invoice accrues overdue interest
            analyst values discounted cashflows
            """,
        ),
        "medical-clinical-lora": _voice(
            """
            clinician assesses acute symptoms
            nurse monitors postoperative vitals
            physician prescribes antiviral medication
            surgeon repairs arterial lesions
            """,
            """
            pharmacist titrates intravenous dosages
            radiologist scans pulmonary nodules
            therapist rehabilitates chronic injuries
            biopsy confirms benign tumors
            """,
        ),
        "legal-contract-lora": _voice(
            """
            clause indemnifies contractual damages
            attorney drafts binding covenants
            plaintiff alleges fraudulent conveyance
            statute governs mutual obligations
            """,
            """
            arbitrator enforces equitable remedies
            counsel negotiates severable provisions
            tribunal adjudicates jurisdictional disputes
            notary certifies sworn affidavits
            """,
        ),
        "education-tutoring-lora": _voice(
            """
            tutor explains fractional arithmetic
            teacher grades weekly homework
            student practices phonetic spelling
            classroom explores introductory algebra
            """,
            """
            curriculum scaffolds gradual mastery
            quiz reinforces prior vocabulary
            mentor encourages curious learners
            lesson revisits tricky worksheets
            """,
        ),
        "travel-concierge-lora": _voice(
            """
            concierge reserves oceanfront suites
            itinerary connects scenic railways
            guide recommends hidden museums
            airline upgrades transatlantic passengers
            """,
            """
            hotel arranges complimentary shuttles
            passport admits frequent travelers
            cruise visits tropical islands
            backpacker roams cobbled alleys
            """,
        ),
        "cooking-chef-lora": _voice(
            """
            chef braises tender shallots
            skillet sears peppered steaks
            oven roasts rosemary potatoes
            baker kneads sourdough loaves
            """,
            """
            whisk emulsifies buttery sauces
            stockpot simmers aromatic broths
            grater sprinkles salty parmesan
            marinade softens garlicky mushrooms
            """,
        ),
        "weather-marine-lora": _voice(
            """
            barometer signals approaching squalls
            forecaster charts coastal gales
            skipper reefs flapping mainsails
            buoy measures offshore swells
            """,
            """
            harbor shelters anchored trawlers
            lighthouse pierces dense fog
            trough brings northerly drizzle
            tide floods sandy estuaries
            """,
        ),
        "music-theory-lora": _voice(
            """
            cadence resolves dominant sevenths
            melody outlines pentatonic scales
            composer modulates minor keys
            violin sustains legato phrases
            """,
            """
            counterpoint interweaves independent strands
            rhythm syncopates offbeat quavers
            chord inverts diminished triads
            pianist transposes chromatic arpeggios
            """,
        ),
    }
)

ADAPTERS: tuple[str, ...] = tuple(name for name in VOICES if name != BASE)

LEXICONS: Mapping[str, frozenset[str]] = MappingProxyType(
    {name: voice.words for name, voice in VOICES.items()}
)

QUESTIONS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "acme-finance-lora": (
            "How did our cash position change this quarter?",
            "Which costs should we cut before year end?",
            "Is it safe to invest the surplus now?",
        ),
        "medical-clinical-lora": (
            "I have had a fever for three days. What should I do?",
            "What are the side effects of this drug?",
            "When can I walk again after the operation?",
        ),
        "legal-contract-lora": (
            "Can the supplier end this agreement early?",
            "Who pays if the goods arrive late?",
            "What does section four of the lease mean?",
        ),
        "education-tutoring-lora": (
            "Can you help me with long division?",
            "How do I learn ten new words a day?",
            "Why do we flip the sign when we divide?",
        ),
        "travel-concierge-lora": (
            "Where should we stay in Lisbon for a week?",
            "What is the best way to get from Rome to Naples?",
            "Can you plan a quiet weekend by the sea?",
        ),
        "cooking-chef-lora": (
            "What can I make with two eggs and some rice?",
            "How long should I boil the pasta?",
            "Why did my cake not rise?",
        ),
        "weather-marine-lora": (
            "Will it be windy on the bay tomorrow?",
            "Is it safe to sail at noon?",
            "When does the storm reach the coast?",
        ),
        "music-theory-lora": (
            "Which notes are in the key of D?",
            "How do I write a second voice for this tune?",
            "What makes a song sound sad?",
        ),
    }
)

_OWNER: Mapping[str, str] = {word: name for name, words in LEXICONS.items() for word in words}


def who_answered(text: str) -> frozenset[str]:
    """Return every voice (adapter name or `BASE`) with a signature word in `text`, in any case."""
    words = re.findall(r"\w+", text.lower())
    return frozenset(_OWNER[word] for word in words if word in _OWNER)
