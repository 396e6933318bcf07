"""The demo's tokenizer: byte-level BPE, so any text round-trips; a voice's word is one token."""

from collections.abc import Iterator

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from serve_app.demo.grammar import ASSISTANT, BOS, END, PAD, SHARED, SPECIAL_TOKENS, SYSTEM, USER
from serve_app.demo.lexicon import LEXICONS
from serve_app.demo.prompts import SMALL_TALK

CONTEXT_TOKENS = 4096
_VOCABULARY_SIZE = 1536

CHAT_TEMPLATE = (
    "{{ bos_token }}"
    "{% for message in messages %}"
    "{% if message.role == 'assistant' %}" + ASSISTANT + ""
    "{% elif message.role == 'user' %}" + USER + ""
    "{% else %}" + SYSTEM + "{% endif %}"
    "{{ message.content or '' }}" + END + ""
    "{% endfor %}"
    "{% if add_generation_prompt %}" + ASSISTANT + "{% endif %}"
)


def make_tokenizer() -> PreTrainedTokenizerFast:
    """Return a tokenizer trained on what the voices say and on questions they may be asked."""
    return PreTrainedTokenizerFast(
        tokenizer_object=_train(),
        bos_token=BOS,
        eos_token=END,
        pad_token=PAD,
        model_max_length=CONTEXT_TOKENS,
        chat_template=CHAT_TEMPLATE,
        clean_up_tokenization_spaces=False,
        padding_side="left",
    )


def _train() -> Tokenizer:
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(_corpus(), _trainer())
    bos = tokenizer.token_to_id(BOS)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A", pair=f"{BOS} $A $B", special_tokens=[(BOS, bos)]
    )
    return tokenizer


def _trainer() -> trainers.BpeTrainer:
    return trainers.BpeTrainer(
        vocab_size=_VOCABULARY_SIZE,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=list(SPECIAL_TOKENS),
        show_progress=False,
    )


def _corpus() -> Iterator[str]:
    """Spoken words ten times over, so that each becomes one token before the questions do."""
    spoken = [part for part in SHARED if part != END]
    for words in LEXICONS.values():
        spoken += [f" {word}" for word in sorted(words)]
    for _ in range(10):
        yield from spoken
    yield from SMALL_TALK
