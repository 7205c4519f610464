"""Similarity scores, checked against the libraries that define them and against recorded figures."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from autoforge.evaluations.assertions.overlap import bleu, gleu, meteor, rouge_l, rouge_n

NAMES = ("bleu", "gleu", "rouge-n", "rouge-l", "meteor")
VOCABULARY = "the cat cats sat sitting on a mat. Mat running run ran 12 , ."
SENTENCES = st.lists(st.sampled_from(VOCABULARY.split()), max_size=12)


@pytest.mark.parametrize("name", NAMES)
def test_pass_fail_and_negation(judge: Any, name: str) -> None:
    raw = {"type": name, "value": "the quick brown fox jumps over the dog"}
    same = judge(raw, "the quick brown fox jumps over the dog")
    assert (same.outcome, round(same.score, 2)) == ("pass", 1.0)
    other = judge(raw, "nothing in common")
    assert (other.outcome, other.score) == ("fail", 0.0)
    negated = judge({**raw, "type": f"not-{name}"}, "nothing in common")
    assert (negated.outcome, negated.score) == ("pass", 1.0)
    assert judge({**raw, "type": f"not-{name}"}, raw["value"]).outcome == "fail"


@pytest.mark.parametrize("name", NAMES)
def test_empty_texts_score_nothing(judge: Any, name: str) -> None:
    for output, value in (("", "word"), (" . ", "word"), ("word", ""), ("word", " ")):
        assert judge({"type": name, "value": value}, output).score == 0.0


@pytest.mark.parametrize("name", ["gleu", "rouge-n", "rouge-l", "meteor"])
def test_the_best_of_several_references_counts(judge: Any, name: str) -> None:
    assert (
        judge({"type": name, "value": ["bananas are yellow today", "the sky is blue"]}, "the sky is blue").outcome
        == "pass"
    )


def test_the_threshold_is_inclusive(judge: Any) -> None:
    raw = {"type": "rouge-n", "value": "a b", "threshold": 0.5}
    assert judge(raw, "a c").score == 0.5
    assert judge(raw, "a c").outcome == "pass"
    assert judge({**raw, "threshold": 0.51}, "a c").outcome == "fail"
    assert judge({**raw, "n": 2}, "a b c").score == pytest.approx(2 / 3)


def test_meteor_matches_stems_but_no_synonyms() -> None:
    assert meteor("he runs", "he running") == pytest.approx(meteor("he run", "he run"))
    assert meteor("good", "nice") == 0


def test_recorded_figures(real_data: Path) -> None:
    folder = real_data / "eval-gsm8k"
    oracle = json.loads((folder / "overlap_oracle.json").read_text("utf-8"))
    lines = (folder / "example_model_solutions.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    for model, figures in oracle.items():
        if "first_rows" not in figures:
            continue
        for row, known in zip(rows, figures["first_rows"], strict=False):
            text, truth = row[model]["solution"], row["ground_truth"]
            assert 100 * bleu(text, [truth]) == pytest.approx(known["sentence_bleu"], abs=5e-5)
            assert rouge_n(text, truth) == pytest.approx(known["rouge1_f"], abs=1e-6)
            assert rouge_n(text, truth, 2) == pytest.approx(known["rouge2_f"], abs=1e-6)
            assert rouge_l(text, truth) == pytest.approx(known["rougeL_f"], abs=1e-6)
        for name, size in (("mean_rouge1_f", 1), ("mean_rouge2_f", 2)):
            mean = sum(rouge_n(row[model]["solution"], row["ground_truth"], size) for row in rows) / len(rows)
            assert mean == pytest.approx(figures[name], abs=1e-6)


@settings(max_examples=60, deadline=None)
@given(SENTENCES, SENTENCES)
def test_rouge_agrees_with_rouge_score(ours: list[str], theirs: list[str]) -> None:
    from rouge_score import rouge_scorer

    text, reference = " ".join(ours), " ".join(theirs)
    known = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeL"], use_stemmer=False).score(reference, text)
    assert rouge_n(text, reference, 1) == pytest.approx(known["rouge1"].fmeasure)
    assert rouge_n(text, reference, 2) == pytest.approx(known["rouge2"].fmeasure)
    assert rouge_l(text, reference) == pytest.approx(known["rougeL"].fmeasure)


class NoSynonyms:
    """A WordNet without words."""

    def synsets(self, _word: str) -> list[Any]:
        return []


@settings(max_examples=60, deadline=None)
@given(SENTENCES.filter(bool), SENTENCES.filter(bool))
def test_meteor_agrees_with_nltk(ours: list[str], theirs: list[str]) -> None:
    from nltk.translate.meteor_score import single_meteor_score

    def words(text: list[str]) -> list[str]:
        return [word for word in (raw.lower().rstrip(".") for raw in text) if word]

    if not words(ours) or not words(theirs):
        return
    known = single_meteor_score(words(theirs), words(ours), wordnet=NoSynonyms())
    assert meteor(" ".join(ours), " ".join(theirs)) == pytest.approx(known)


@settings(max_examples=60, deadline=None)
@given(SENTENCES.filter(bool), SENTENCES.filter(bool))
def test_gleu_agrees_with_nltk(ours: list[str], theirs: list[str]) -> None:
    from nltk.translate.gleu_score import sentence_gleu

    def words(text: list[str]) -> list[str]:
        return [word for word in (raw.lower().rstrip(".") for raw in text) if word]

    if words(ours) and words(theirs):
        known = sentence_gleu([words(theirs)], words(ours))
        assert gleu(" ".join(ours), " ".join(theirs)) == pytest.approx(known)


@settings(max_examples=100, deadline=None)
@given(st.text(), st.text())
def test_scores_stay_between_0_and_1(judge: Any, text: str, reference: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        if "{{" in reference or "{%" in reference or reference.startswith("file://"):
            return
        for name in NAMES:
            result = judge({"type": name, "value": reference}, text)
            assert result.outcome in ("pass", "fail")
            assert 0 <= result.score <= 1


@pytest.mark.parametrize("score", [rouge_n, rouge_l, gleu, meteor])
@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("Москва — столица большой России", "Париж: главный город Франции"),
        ("猫が好きです。", "犬を飼う"),
        ("ラーメンを食べた", "牛丼も良い"),
        ("नमस्ते प्यारी दुनिया", "अलविदा"),
        ("القاهرة عاصمة مصر", "باريس مدينة"),
        ("สวัสดีชาวโลก", "ขอบพุณ"),
    ],
)
def test_all_scripts_have_words(score: Any, text: str, other: str) -> None:
    assert score(text, text) > 0.95
    assert score(text, other) < 0.5


def test_rouge_of_latin_text_stays_that_of_rouge_score() -> None:
    from rouge_score import rouge_scorer

    scorer = rouge_scorer.RougeScorer(["rouge1"], use_stemmer=False)
    for text, reference in (("Größe naïve x_y", "Grösse naive x y"), ("café ②", "caf 2"), ("Ａ b", "a b")):
        assert rouge_n(text, reference) == pytest.approx(scorer.score(reference, text)["rouge1"].fmeasure)
    assert rouge_n("東京 is big", "東京") == pytest.approx(2 * 2 / (4 + 2))
