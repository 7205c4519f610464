"""Similarity of words between an output and reference texts: BLEU, GLEU, ROUGE, METEOR. All are 0..1.

- `bleu`: sentence BLEU by sacrebleu (13a tokens, exponential smoothing, effective order), divided by 100. Settings:
  `lowercase`, `tokenize` (a sacrebleu tokenizer name). Default threshold 0.5. promptfoo splits at white space and
  lowercases instead.
  13a splits at white space and punctuation; Chinese, Japanese and Thai want `tokenize: zh` or `char`.
- `gleu`: Google-BLEU (Wu et al. 2016): n-grams of 1 to 4 lowercase words, the smaller of precision and recall.
  Threshold 0.5.
- `rouge-n`, `rouge-l`: F1 of n-grams (setting `n`, default 1) or of the longest common subsequence, tokens as in
  Google's rouge-score without stemming: runs of a-z and 0-9. It drops all else; here, words of other scripts than the
  Latin one are tokens as well. Threshold 0.75.
- `meteor` (Banerjee and Lavie 2005, parameters of Lavie and Agarwal 2007): exact matches, then Porter stems.
  WordNet synonyms are not matched, because the word lists are not shipped. Settings `alpha` 0.9, `beta` 3, `gamma`
  0.5. Threshold 0.5.

Characters of scripts that put no spaces between words (Chinese, Japanese, Thai, Lao, Khmer, Burmese) are words one by
one for all but BLEU. With several references the best one counts; for BLEU they are one set, as its definition says.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import lru_cache, partial
from itertools import pairwise
from typing import Any

from autoforge.errors import BadInput
from autoforge.evaluations.assertions.kinds import (
    Kind,
    Limit,
    Settings,
    Subject,
    Verdict,
    graded,
    number_of,
    wrong_value,
)

_NOT_ROUGE = re.compile(r"[^a-z0-9]+")
_WITHOUT_SPACES = r"\p{Han}\p{Hiragana}\p{Katakana}\u30fc\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}"
TOKENIZERS = ("13a", "char", "intl", "none", "zh")


def _references(value: Any, _settings: Settings) -> list[str]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list | tuple) or not texts or not all(isinstance(text, str) for text in texts):
        raise wrong_value("the value must be a reference text or a list of them")
    return list(texts)


# ---- BLEU ----


def _bleu_wanted(value: Any, settings: Settings) -> tuple[list[str], str, bool]:
    tokenizer = settings.get("tokenize", "13a")
    if tokenizer not in TOKENIZERS:
        raise BadInput.at("/tokenize", f"tokenize must be one of {', '.join(TOKENIZERS)}")
    return [text for text in _references(value, settings) if text.strip()], tokenizer, settings.get("lowercase") is True


@lru_cache(maxsize=16)
def _sacrebleu(tokenizer: str, lowercase: bool) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, lowercase=lowercase, effective_order=True)


def bleu(text: str, references: list[str], tokenizer: str = "13a", lowercase: bool = False) -> float:
    """Sentence BLEU as 0..1; 0 without a reference."""
    if not references:
        return 0.0
    return float(_sacrebleu(tokenizer, lowercase).sentence_score(text, references).score) / 100


def _bleu(wanted: tuple[list[str], str, bool], subject: Subject, threshold: float | None) -> Verdict:
    return graded("BLEU", bleu(subject.text, *wanted), 0.5 if threshold is None else threshold)


# ---- GLEU ----


@lru_cache(maxsize=1)
def _single() -> Any:
    """One character of a script that puts no spaces between words."""
    import regex

    return regex.compile(f"[{_WITHOUT_SPACES}]")


def _words(text: str) -> list[str]:
    """Lowercase words without closing periods; what is only periods is dropped."""
    if not text.isascii():
        text = _single().sub(r" \g<0> ", text)
    return [word for word in (raw.rstrip(".") for raw in text.lower().split()) if word]


def _ngrams(tokens: list[str], size: int) -> Counter[tuple[str, ...]]:
    return Counter(zip(*(tokens[start:] for start in range(size)), strict=False))


def _upto_four(tokens: list[str]) -> Counter[tuple[str, ...]]:
    grams: Counter[tuple[str, ...]] = Counter()
    for size in range(1, 5):
        grams.update(_ngrams(tokens, size))
    return grams


def gleu(text: str, reference: str) -> float:
    """Matching n-grams over those of the longer text."""
    ours, theirs = _upto_four(_words(text)), _upto_four(_words(reference))
    longer = max(ours.total(), theirs.total())
    return (ours & theirs).total() / longer if ours and theirs else 0.0


# ---- ROUGE ----


@lru_cache(maxsize=1)
def _rouge_token() -> Any:
    """A token of rouge-score, a character of a script without spaces, or a word of any other script but the Latin."""
    import regex

    word = rf"[[\p{{L}}\p{{M}}\p{{Nd}}]--[\p{{Latin}}\p{{Common}}\p{{Inherited}}0-9]--[{_WITHOUT_SPACES}]]+"
    return regex.compile(rf"[a-z0-9]+|[{_WITHOUT_SPACES}]|{word}|\p{{Nd}}+", regex.VERSION1)


def _rouge_tokens(text: str) -> list[str]:
    if text.isascii():
        return _NOT_ROUGE.sub(" ", text.lower()).split()
    return list(_rouge_token().findall(text.lower()))


def _f1(common: int, ours: int, theirs: int) -> float:
    return 2 * common / (ours + theirs) if common else 0.0


def rouge_n(text: str, reference: str, size: int = 1) -> float:
    ours, theirs = _ngrams(_rouge_tokens(text), size), _ngrams(_rouge_tokens(reference), size)
    return _f1((ours & theirs).total(), ours.total(), theirs.total())


def rouge_l(text: str, reference: str) -> float:
    from rapidfuzz.distance import LCSseq

    ours, theirs = _rouge_tokens(text), _rouge_tokens(reference)
    return _f1(LCSseq.similarity(ours, theirs), len(ours), len(theirs))


def _rouge_wanted(value: Any, settings: Settings) -> tuple[list[str], int]:
    size = number_of(settings.get("n", 1))
    if size is None or not size.is_integer() or not 1 <= size <= 9:
        raise BadInput.at("/n", "n must be a whole number from 1 to 9")
    return _references(value, settings), int(size)


def _rouge_n(wanted: tuple[list[str], int], subject: Subject, threshold: float | None) -> Verdict:
    references, size = wanted
    score = max(rouge_n(subject.text, reference, size) for reference in references)
    return graded(f"ROUGE-{size}", score, 0.75 if threshold is None else threshold)


# ---- METEOR ----


@dataclass(frozen=True, slots=True)
class MeteorWeights:
    """alpha balances precision and recall, beta and gamma shape the penalty for scattered matches."""

    alpha: float = 0.9
    beta: float = 3.0
    gamma: float = 0.5


@lru_cache(maxsize=1)
def _stemmer() -> Callable[[str], str]:
    from nltk.stem.porter import PorterStemmer

    return lru_cache(maxsize=65536)(PorterStemmer().stem)


def meteor(text: str, reference: str, weights: MeteorWeights = MeteorWeights()) -> float:
    """METEOR of words split at white space, closing periods removed, case ignored."""
    ours, theirs = _words(text), _words(reference)
    pairs, ours_left, theirs_left = _matches(list(enumerate(ours)), list(enumerate(theirs)))
    if ours_left and theirs_left:
        stem = _stemmer()
        stemmed, _, _ = _matches([(i, stem(w)) for i, w in ours_left], [(i, stem(w)) for i, w in theirs_left])
        pairs += stemmed
    if not pairs:
        return 0.0
    precision, recall = len(pairs) / len(ours), len(pairs) / len(theirs)
    mean = precision * recall / (weights.alpha * precision + (1 - weights.alpha) * recall)
    scattered = _chunks(sorted(pairs)) / len(pairs)
    return float((1 - weights.gamma * scattered**weights.beta) * mean)


Numbered = list[tuple[int, str]]


def _matches(ours: Numbered, theirs: Numbered) -> tuple[list[tuple[int, int]], Numbered, Numbered]:
    """Pairs equal words from the end backwards, and returns what is left of both."""
    places: defaultdict[str, list[int]] = defaultdict(list)
    for index, word in theirs:
        places[word].append(index)
    pairs: list[tuple[int, int]] = []
    left: Numbered = []
    for index, word in reversed(ours):
        if places.get(word):
            pairs.append((index, places[word].pop()))
        else:
            left.append((index, word))
    taken = {theirs_index for _, theirs_index in pairs}
    return pairs, left[::-1], [item for item in theirs if item[0] not in taken]


def _chunks(pairs: list[tuple[int, int]]) -> int:
    """How many runs of neighbouring words the matches form."""
    steps = pairwise(pairs)
    return 1 + sum(second != (first[0] + 1, first[1] + 1) for first, second in steps)


def _meteor_wanted(value: Any, settings: Settings) -> tuple[list[str], MeteorWeights]:
    weights: dict[str, float] = {}
    for name in ("alpha", "beta", "gamma"):
        if name in settings:
            number = number_of(settings[name])
            if number is None or number < 0 or (name != "beta" and number > 1):
                raise BadInput.at(f"/{name}", f"{name} is out of range")
            weights[name] = number
    return _references(value, settings), MeteorWeights(**weights)


def _meteor(wanted: tuple[list[str], MeteorWeights], subject: Subject, threshold: float | None) -> Verdict:
    references, weights = wanted
    score = max(meteor(subject.text, reference, weights) for reference in references)
    return graded("METEOR (without synonyms)", score, 0.5 if threshold is None else threshold)


Similarity = Callable[[str, str], float]


def _best(
    name: str, default: float, similarity: Similarity, wanted: Iterable[str], subject: Subject, limit: float | None
) -> Verdict:
    score = max(similarity(subject.text, reference) for reference in wanted)
    return graded(name, score, default if limit is None else limit)


_BLEU = frozenset(("lowercase", "tokenize"))
_METEOR = frozenset(("alpha", "beta", "gamma"))

KINDS = (
    Kind("bleu", _bleu, _bleu_wanted, Limit.SCORE, settings=_BLEU, wants_text=True),
    Kind("gleu", partial(_best, "GLEU", 0.5, gleu), _references, Limit.SCORE, wants_text=True),
    Kind("rouge-n", _rouge_n, _rouge_wanted, Limit.SCORE, settings=frozenset("n"), wants_text=True),
    Kind("rouge-l", partial(_best, "ROUGE-L", 0.75, rouge_l), _references, Limit.SCORE, wants_text=True),
    Kind("meteor", _meteor, _meteor_wanted, Limit.SCORE, settings=_METEOR, wants_text=True),
)
