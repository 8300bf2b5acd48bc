"""A sentence means the same in all languages, and the grammar of each is kept."""

import random
import re
from itertools import islice

import pytest

from thinktalk.synthesis.translation import ABROAD, Translation, meaning, plural, translations
from thinktalk.synthesis.voices import abroad

SOME = [{tongue: said.written for tongue, said in meaning(random.Random(i)).items()} for i in range(600)]


@pytest.mark.parametrize(
    "seed, said",
    [
        (5, ("This lemon is big.", "Este limón es grande.", "这个柠檬很大。")),
        (7, ("This flower is red.", "Esta flor es roja.", "这朵花是红色的。")),
        (
            13,
            (
                "There are four yellow books in the street.",
                "Hay cuatro libros amarillos en la calle.",
                "街上有四本黄色的书。",
            ),
        ),
        (14, ("My bird is in the city.", "Mi pájaro está en la ciudad.", "我的鸟在城市里。")),
        (21, ("Today is Saturday.", "Hoy es sábado.", "今天是星期六。")),
        (29, ("David has seven trains.", "David tiene siete trenes.", "大卫有七列火车。")),
        (30, ("I want a green train.", "Quiero un tren verde.", "我想要一列绿色的火车。")),
        (36, ("There are two flowers in the garden.", "Hay dos flores en el jardín.", "花园里有两朵花。")),
    ],
)
def test_sentences_that_a_person_translated(seed: int, said: tuple[str, str, str]):
    assert tuple(one.written for one in meaning(random.Random(seed)).values()) == said


def test_spanish_agrees_and_chinese_counts():
    for one in SOME:
        assert not re.search(r"\b(Esta|una|Mi|Este|un) \w+s\b", one["Spanish"])
        assert not re.search(r"(?<!一|二|三|四|五|六|七|八|九|十|两|这)(只|匹|辆|棵|朵|座)", one["Chinese"])
        assert not re.search(r"[a-z]", one["Chinese"]) and one["Chinese"].endswith("。")
        assert one["English"].endswith(".") and one["Spanish"].endswith(".")
    assert [plural(word) for word in ("casa", "árbol", "azul", "limón")] == [
        "casas",
        "árboles",
        "azules",
        "limones",
    ]


def test_chinese_is_said_in_pinyin_a_syllable_a_sign():
    for one in (meaning(random.Random(i))["Chinese"] for i in range(600)):
        assert re.fullmatch(r"([a-z]+[1-5] ?)+", one.aloud)
        assert len(one.aloud.split()) == len(one.written) - 1
    monday = next(
        one["Chinese"].aloud
        for one in (meaning(random.Random(i)) for i in range(2000))
        if one["English"].written == "Today is Monday."
    )
    assert monday == "jin1 tian1 shi4 xing1 qi1 yi1"


def test_both_ways_and_both_languages_and_no_leak():
    sides = {split: list(islice(translations(split, 0), 400)) for split in ("train", "test")}
    assert (
        sides["train"]
        == list(islice(translations("train", 0), 400))
        != list(islice(translations("train", 1), 400))
    )
    ways = {(one.source, one.target) for one in sides["train"]}
    assert ways == {way for there in ABROAD for way in ((there, "English"), ("English", there))}

    def english(one: Translation) -> str:
        return one.said.written if one.source == "English" else one.meant

    assert not {english(one) for one in sides["train"]} & {english(one) for one in sides["test"]}


@pytest.mark.parametrize("tongue", ABROAD)
def test_voices_abroad_are_held_out_too(tongue):
    train, test = ({voice.name for voice in abroad(tongue, split)} for split in ("train", "test"))
    assert len(train) > 40 and len(test) == 5 and not train & test
