"""Which of two labels an answer gives: the sentiment of a review, as a metric beside the judge's score."""

import re
import unicodedata

POSITIVE, NEGATIVE = "positive", "negative"
#: words that stand for a label; a benchmark's own labels are read with them as well
WORDS = {
    POSITIVE: (
        *(
            "正面",
            "正向",
            "積極",
            "积极",
            "肯定",
            "positive",
            "olumlu",
            "pozitif",
            "positif",
            "positiv",
            "positivo",
            "positiva",
        ),
        *("positief", "pozytywn", "позитивн", "положительн", "सकारात्मक", "إيجابي", "مثبت", "θετικ", "tích cực", "긍정"),
        *("ポジティブ", "เชิงบวก", "חיובי"),
    ),
    NEGATIVE: (
        *(
            "負面",
            "负面",
            "負向",
            "负向",
            "消極",
            "消极",
            "否定",
            "negative",
            "olumsuz",
            "negatif",
            "négatif",
            "negativ",
        ),
        *(
            "negativo",
            "negativa",
            "negatief",
            "negatywn",
            "негативн",
            "отрицательн",
            "नकारात्मक",
            "سلبي",
            "منفی",
            "αρνητικ",
        ),
        *("tiêu cực", "부정", "ネガティブ", "เชิงลบ", "שלילי"),
    ),
}
LABEL = re.compile("|".join(f"(?P<{label}_>{'|'.join(words)})" for label, words in WORDS.items()))
#: directly before a label it turns it round: 不是正面, not positive, 非正面
NOT_AFTER = re.compile(r"\s*(?:değil|नहीं है)")
NOT = re.compile(r"(?:不是|並非|并非|不算|不|非|\bnot(?: a| very| really)?|\bisn't)\s*[「『\"']?\s*$")
#: where an answer comes to its point
POINT = re.compile(
    r"(?:答案|結論|结论|判斷|判断|因此|所以|總之|总之|總的來說|总的来说|整體|整体|綜上|综上"
    r"|\b(?:answer|therefore|overall|conclusion|sentiment|sonuç|cevap|yanıt)\b)"
)
#: a question or an instruction that is merely repeated names both: 正面還是負面, "正面"或"負面"
_OR = r"還是|还是|或者?是?|/|、|\bor\b|\b(?:mi |mı )?(?:yoksa|veya|ya da)\b|\bया\b|\bou?\b|\boder\b|\bили\b"
EITHER = re.compile(
    r"[「『\"'(]*(?:{words})[」』\"')]*\s*(?:{or})\s*[「『\"'(]*(?:{words})".replace(
        "{words}", "|".join(WORDS[POSITIVE] + WORDS[NEGATIVE])
    ).replace("{or}", _OR)
)


def label(answer: str) -> str | None:
    """`positive`, `negative`, or None for an answer that names neither, or both without coming to a point.

    The first words decide when they are a label; then a text with one label only; then the first label after the
    last word that announces a conclusion (答案, 因此, overall, ...).
    """
    text = EITHER.sub(" ", unicodedata.normalize("NFKC", answer).lower()).strip()
    named = list(labels(text))
    if not named:
        return None
    if len({found for found, _ in named}) == 1 or named[0][1] <= 2:  # a quotation mark or two may stand before it
        return named[0][0]
    points = [point.end() for point in POINT.finditer(text)]
    after = [found for found, place in named if points and place >= points[-1]]
    return after[0] if after else None


def labels(text: str) -> list[tuple[str, int]]:
    """Every label that a text names, and where; a negation turns it round."""
    found = []
    for match in LABEL.finditer(text):
        name = POSITIVE if match.lastgroup == f"{POSITIVE}_" else NEGATIVE
        if NOT.search(text[: match.start()]) or NOT_AFTER.match(text, match.end()):
            name = NEGATIVE if name == POSITIVE else POSITIVE
        found.append((name, match.start()))
    return found


def score(answer: str, golds: list[str]) -> dict[str, float]:
    """`accuracy`: 1 if the answer gives an accepted label, else 0; `read`: 1 if it gives one."""
    found = label(answer)
    return {"accuracy": float(found in golds), "read": float(found is not None)}
