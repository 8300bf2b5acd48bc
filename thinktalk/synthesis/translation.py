"""Sentences that mean the same in English, Spanish and Chinese, out of a small grammar of all three.

Only what is said alike everywhere is in it: no word order, gender or measure word is left to a dictionary.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from thinktalk.synthesis.shown import Split, split_of

Tongue = Literal["English", "Spanish", "Chinese"]
ABROAD: tuple[Tongue, ...] = ("Spanish", "Chinese")


@dataclass(frozen=True)
class Said:
    """A sentence as it is written, and as a voice is told to say it: Chinese in pinyin, a number for each tone."""

    written: str
    aloud: str


@dataclass(frozen=True)
class Translation:
    """What is said, in which language, and what it is in the other; one of the two is English."""

    source: Tongue
    target: Tongue
    said: Said
    meant: str


@dataclass(frozen=True)
class Thing:
    """A noun: Spanish with its gender, Chinese with the word that counts it, as "sign|pinyin"."""

    english: str
    spanish: str
    feminine: bool
    chinese: str
    measure: str


def _rows(table: str) -> list[list[str]]:
    return [row.split() for row in table.split(", ")]


_THINGS = [
    Thing(english, spanish, gender == "f", chinese, measure)
    for english, spanish, gender, chinese, measure in _rows(
        "dog perro m 狗|gou3 只|zhi1, cat gato m 猫|mao1 只|zhi1, horse caballo m 马|ma3 匹|pi1, bird pájaro m "
        "鸟|niao3 只|zhi1, cow vaca f 牛|niu2 头|tou2, house casa f 房子|fang2_zi5 座|zuo4, table mesa f "
        "桌子|zhuo1_zi5 张|zhang1, chair silla f 椅子|yi3_zi5 把|ba3, book libro m 书|shu1 本|ben3, car coche m "
        "汽车|qi4_che1 辆|liang4, flower flor f 花|hua1 朵|duo3, tree árbol m 树|shu4 棵|ke1, door puerta f "
        "门|men2 扇|shan4, apple manzana f 苹果|ping2_guo3 个|ge4, shirt camisa f 衬衫|chen4_shan1 件|jian4, bed "
        "cama f 床|chuang2 张|zhang1, boat barco m 船|chuan2 条|tiao2, train tren m 火车|huo3_che1 列|lie4, cup "
        "taza f 杯子|bei1_zi5 个|ge4, lemon limón m 柠檬|ning2_meng2 个|ge4"
    )
]
_COLOURS = _rows(
    "red rojo roja 红色|hong2_se4, blue azul azul 蓝色|lan2_se4, green verde verde 绿色|lv4_se4, black "
    "negro negra 黑色|hei1_se4, white blanco blanca 白色|bai2_se4, yellow amarillo amarilla "
    "黄色|huang2_se4"
)
_SIZES = _rows(
    "big grande grande 很大|hen3_da4, small pequeño pequeña 很小|hen3_xiao3, "
    "beautiful hermoso hermosa 很漂亮|hen3_piao4_liang5"
)
_NUMBERS = _rows(
    "two dos 两|liang3, three tres 三|san1, four cuatro 四|si4, five cinco 五|wu3, six seis 六|liu4, "
    "seven siete 七|qi1, eight ocho 八|ba1, nine nueve 九|jiu3, ten diez 十|shi2"
)
_DAYS = _rows(
    "Monday lunes 一|yi1, Tuesday martes 二|er4, Wednesday miércoles 三|san1, Thursday jueves 四|si4, "
    "Friday viernes 五|wu3, Saturday sábado 六|liu4, Sunday domingo 日|ri4"
)
_NAMES = _rows(
    "Anna Ana 安娜|an1_na4, Maria María 玛丽亚|ma3_li4_ya4, David David 大卫|da4_wei4, Peter Pedro 彼得|bi3_de2"
)
_PLACES = [
    ("in the garden", "en el jardín", "花园里|hua1_yuan2_li3"),
    ("in the kitchen", "en la cocina", "厨房里|chu2_fang2_li3"),
    ("in the street", "en la calle", "街上|jie1_shang4"),
    ("in the park", "en el parque", "公园里|gong1_yuan2_li3"),
    ("in the city", "en la ciudad", "城市里|cheng2_shi4_li3"),
]


def translations(split: Split, seed: int) -> Iterator[Translation]:
    """Translations without end, into English and out of it, of one side of the split."""
    rng = random.Random(f"translations {split} {seed}")
    while True:
        said = meaning(rng)
        if split_of("translation", said["English"].written) == split:
            there: Tongue = rng.choice(ABROAD)
            ways: list[tuple[Tongue, Tongue]] = [(there, "English"), ("English", there)]
            source, target = rng.choice(ways)
            yield Translation(source, target, said[source], said[target].written)


def meaning(rng: random.Random) -> dict[Tongue, Said]:
    """One sentence in all languages."""
    thing, place = rng.choice(_THINGS), rng.choice(_PLACES)
    number, day, name = rng.choice(_NUMBERS), rng.choice(_DAYS), rng.choice(_NAMES)
    colour, size = rng.choice(_COLOURS), rng.choice(_SIZES)
    noun, red, big = thing.spanish, colour[1 + thing.feminine], size[1 + thing.feminine]
    counted = f"{number[2]} {thing.measure}"
    english, spanish, chinese = rng.choice(
        [
            (
                f"This {thing.english} is {size[0]}.",
                f"{'Esta' if thing.feminine else 'Este'} {noun} es {big}.",
                f"这|zhe4 {thing.measure} {thing.chinese} {size[3]}",
            ),
            (
                f"This {thing.english} is {colour[0]}.",
                f"{'Esta' if thing.feminine else 'Este'} {noun} es {red}.",
                f"这|zhe4 {thing.measure} {thing.chinese} 是|shi4 {colour[3]} 的|de5",
            ),
            (
                f"There are {number[0]} {thing.english}s {place[0]}.",
                f"Hay {number[1]} {plural(noun)} {place[1]}.",
                f"{place[2]} 有|you3 {counted} {thing.chinese}",
            ),
            (
                f"There are {number[0]} {colour[0]} {thing.english}s {place[0]}.",
                f"Hay {number[1]} {plural(noun)} {plural(red)} {place[1]}.",
                f"{place[2]} 有|you3 {counted} {colour[3]} 的|de5 {thing.chinese}",
            ),
            (
                f"My {thing.english} is {place[0]}.",
                f"Mi {noun} está {place[1]}.",
                f"我的|wo3_de5 {thing.chinese} 在|zai4 {place[2]}",
            ),
            (
                f"{name[0]} has {number[0]} {thing.english}s.",
                f"{name[1]} tiene {number[1]} {plural(noun)}.",
                f"{name[2]} 有|you3 {counted} {thing.chinese}",
            ),
            (
                f"I want a {colour[0]} {thing.english}.",
                f"Quiero {'una' if thing.feminine else 'un'} {noun} {red}.",
                f"我想要|wo3_xiang3_yao4 一|yi1 {thing.measure} {colour[3]} 的|de5 {thing.chinese}",
            ),
            (f"Today is {day[0]}.", f"Hoy es {day[1]}.", f"今天是|jin1_tian1_shi4 星期|xing1_qi1 {day[2]}"),
        ]
    )
    signs, sounds = zip(*(word.split("|") for word in chinese.split()), strict=True)
    written = f"{''.join(signs)}。"
    return {
        "English": Said(english, english),
        "Spanish": Said(spanish, spanish),
        "Chinese": Said(written, " ".join(sounds).replace("_", " ")),
    }


def plural(spanish: str) -> str:
    """Of a Spanish noun or adjective; an accent on the last syllable goes when one is added (limón, limones)."""
    if spanish[-1] in "aeiou":
        return f"{spanish}s"
    return f"{spanish.replace('ón', 'on')}es"
