"""Languages in Latin letters, told by the words that hold their sentences together, with or without diacritics.

The words are few, common and ours to list; what a list lacks, an ending may tell (Turkish, Indonesian). A language that
is listed nowhere here stays unknown.
"""

import re
import unicodedata
from collections.abc import Sequence

#: small words of English
ENGLISH = re.compile(
    r"the|of|to|and|a|in|is|it|that|for|you|was|on|are|as|with|his|they|at|be|this|have|from|or|had|by|not|but|what|all|"
    r"were|we|when|your|can|there|an|which|their|if|will|how|about|then|them|would|so|these|her|him|has|more|could|no|"
    r"than|been|who|its|my|i|he|she|do|did|does|me|our|us|very|just|should|here's|it's|don't|i'm|yes"
)
LATIN = r"[A-Za-z\u00c0-\u024f\u1e00-\u1eff]"
#: fewer hits, or a smaller share of the words, are no language yet
_FEWEST, _SHARE = 2, 0.15
#: of words that are syllables of pinyin, and of its small words among them
_SYLLABLES, _PARTICLES = 0.85, 0.2
#: letters of a word of pinyin: longer ones could be cut into syllables in too many ways
_LONGEST = 18


def _set(words: str) -> frozenset[str]:
    return frozenset(words.split())


# folded: no diacritics, ı as i
_WORDS = {
    "Indonesian": "yang dan di ke dari untuk dengan pada adalah ini itu tidak akan juga saya kami kita anda dia mereka"
    " ada atau dalam oleh sebagai bisa dapat sudah telah lebih karena seperti tetapi hanya saat setelah bahwa secara"
    " para sangat kota orang banyak apa bagaimana ibu negara tahun merupakan antara serta jika maka harus belum bukan"
    " terima kasih selamat mohon maaf tentu saja cara hari jadi lalu kamu aku mau perlu baik baru lagi masih pernah"
    " semua setiap sering lama besar kecil dua satu nama bahasa punya tersebut yaitu sekali sejak sampai hingga tetap"
    " begitu sebuah seorang beberapa berbagai namun sehingga tentang terhadap kemudian sedang ketika silakan tolong"
    " benar salah harga barang mahal anak suka makan minum tidur rumah jalan air hujan musim malam pagi siang pulau"
    " sebelah selatan utara timur barat pertama bernama menjadi membuat seluruh dunia desa kantor cepat turun sekolah"
    " buku guru uang suhu pemerintah penduduk jawaban contoh ialah boleh awak bola hubungi"
    " melalui ibukota kabar",
    "Turkish": "on ve bir bu da de ile icin en cok ama gibi daha olarak olan ne var yok mi mu ki ben sen biz siz onlar"
    " sonra once kadar her ya veya ise degil oldu olur eder etti icinde uzerinde tarafindan arasinda ancak cunku bana"
    " sana onun benim su dir nasil neden evet hayir ilk iki yeni buyuk bugun lutfen tesekkur ederim merhaba hem hic"
    " birlikte gore yapmak olmak icerir listele goster tamam gun zaman iyi guzel hava ozellikle bircok insan yil ulke"
    " sehir baskenti turkiye kendi hangi nerede kim uzere itibaren ragmen fakat sadece bazi butun tum bile artik simdi"
    " boyle oyle dosya dosyayi komut bilgi fazla belirtilmis goruntule guncelle baslat durdur birak kullan kullanici"
    " kullanarak calisan mevcut yerel sistem budur bizi bunu suan herkes birkac hosca kal sizi seni beni dunya"
    " gunes etrafinda",
    "Vietnamese": "thu la cua va cac cho khong duoc co trong mot nhung nay voi nguoi den khi ve nhu tai ra vao"
    " tu se da o"
    " rat toi ban anh chung nam thi lam cung hay thanh pho viet nuoc dong",
    "Tagalog": "ang ng sa na mga ay at ito si ko mo ako ikaw siya kami tayo sila hindi para kung may isang nasa mula po"
    " pero dahil ni kay din rin lang naman",
    "Swahili": "ya wa na kwa ni katika za la kuwa hii huo hiyo watu yake kama lakini au cha vya si mimi wewe yeye sisi"
    " nchi mji mkuu sana",
    "Spanish": "a no me he el la los las de del en un una que es por para con se lo su al como mas pero sus le ya este"
    " esta entre cuando muy sin sobre tambien hasta hay donde quien desde todo nos son fue ser yo tiene gracias ciudad"
    " pregunta respuesta",
    "Portuguese": "a me resposta pergunta de do da dos das em um uma que nao com para por se os as ao mais como mas foi"
    " ele ela sua seu ou quando muito nos ja eu tambem so pelo pela isso entre sem voce sao obrigado cidade na no",
    "French": "a on le la les de des du et un une est que qui dans en pour pas sur au aux par plus avec ce"
    " cette il elle"
    " nous vous je ne se son sa ses mais ou sont ont comme tout fait etre aussi leur bien tres ville etait avait parce"
    " pendant apres avant quand chez",
    "Italian": "a in i il lo la gli le di del della dei che non un una per con sono si come da piu ma anche nel nella"
    " alla al ha questo questa essere io mi ci se ed dal citta molto",
    "German": "in an man so will der die das und ist nicht ein eine einer einen den dem des zu mit von auf fur fuer im"
    " sich auch es ich wir sie er als bei nach wie aus wird sind war hat oder aber noch nur wenn uber ueber zum zur"
    " kann werden",
    "Dutch": "in is was de het een en van ik je dat niet op te zijn met voor er maar om dan zij bij ook als nog naar"
    " heeft wordt deze wat uit aan door hij wij kan geen worden stad hoofdstad",
    "Swedish": "i och att det som en pa ar av for med den till inte har de ett om var men jag sig fran vi kan"
    " nar han hon"
    " eller ocksa mycket huvudstad",
    "Danish": "i og at det er en den til af pa for med der ikke som de et har jeg kan vi var men om fra eller"
    " ogsa meget"
    " hovedstad",
    "Norwegian": "i og at det er en den til av pa for med som ikke de et har jeg kan vi var men om fra eller ogsa mye"
    " hovedstaden",
    "Finnish": "on me he paakaupunki ja ei se etta oli han mutta kun myos joka ovat tai kuin olla ole niin mina sina te"
    " jos nyt hyvin kaupunki suomen",
    "Polish": "a i na w jest nie sie do to ze jak ale od po co dla za czy tak przez przy jego jej oraz byl ktory ktora"
    " bardzo jestem miasto stolica tym juz",
    "Czech": "a i je se na ze to si jsem jsou ale jako pro byl tak ktery ktera od za po by nebo do ma neni"
    " mesto hlavni",
    "Hungarian": "a az es hogy nem is egy ez volt csak meg van mint de ha kell sem vagy nagyon fovarosa varos",
    "Romanian": "a si in la de pe cu nu ca este un mai din o sunt pentru sau care fost dar prin ce orasul foarte sa ai"
    " lui",
    "Somali": "waa oo iyo ka ku ee in la uu ay waxaa aan ah ayaa",
    "Hausa": "da na ne ba ta ya ce kuma wannan su yana cikin don",
    "Uzbek": "va bu bir bilan uchun ham emas yoki lekin deb hamda boldi bor eng juda",
    "Azerbaijani": "ve bir bu ile ucun en cox amma kimi daha olan deyil var ne men sen biz siz",
    "Japanese": "wa wo desu masu ga ni no de mo watashi anata kore sore arigatou gozaimasu kara made deshita shimasu"
    " imasu",
    "Korean": "neun eun reul eul imnida ipnida hamnida yo eseo annyeonghaseyo hangug jeoneun ieyo",
    "Hindi": "hai hain ka ki ke mein main aur se ko nahi nahin yah yeh ek kya tha thi kar bahut aap hum mera ho",
    "Latin": "et est non ad cum quod sed sunt ut qui quae per ab ex esse enim autem",
}
_OF_NAMES = _set("de la le les el du da dos das do di del della van von der den y e et al bin")
_SMALL = _OF_NAMES | _set("of the and in on a an to for with at by from or nor but as vs is")
#: language -> its words, turned round
_LANGUAGES: dict[str, tuple[str, ...]] = {}
for _language, _of in _WORDS.items():
    for _word in _of.split():
        _LANGUAGES[_word] = (*_LANGUAGES.get(_word, ()), _language)
# last three letters of words of five and more, folded, of which each is at least 25 times as frequent in Turkish as in
# English: they end 50 % of the long words of UD-PUD's Turkish, 0.2 % of those of its English
_TURKISH = _set(
    "ini nin nda eri rin rak igi tir nde dir yor lik esi aki rdi eki mak ldi len unu mis ada rdu lir yuk sti mek"
    " yla nun nra ugu ndi edi eye imi ili siz iye kle kte lde tti niz ayi kin luk kli zla eti ici usu yon cek min"
    " ydi rda mli rde sik tur rli rek rsi lya izi nca cuk tim miz eyi kti nla zde nci kca cok sil ede tli rim egi"
    " yen ndu liz yet lli kla mus vas maz iri lda gru rla iyi umu muz dim aci cak yin"
)
_CASE = re.compile(r"\w{2,}'(?:n?[iu]n|[dt][ae]n?|n[dt][ae]n?|y?[aeiu]|[dt][iu]r|y?l[ae])")
_SUFFIXED = re.compile(
    r"\w{2,}(?:[iu]yor\w*|[ae]c[ae][gk]\w*|[dt]il[ae]r\w*|m[ae]d[iu](?:m|k|l[ae]r)?|l[ae]r[iu](?!t)\w*|[mnryz]l[ae]r)"
)
_AFFIXED = re.compile(
    r"(?:meng|meny|memper)\w{3,}|mem[bp][aiou]\w{2,}|men[cdj][aeiou]\w{3,}|(?:ber|ter)[bdgjklpt][aeiou]\w{3,}"
    r"|(?:mem|men|ber|ter|per|di|ke|pe)\w{3,}(?:kan|nya)|\w{3,}nya|(?:ke|pe[mnr]|per)\w{3,}an"
)
_INITIAL = r"(?:[zcs]h?|[bpmfdtnlgkhjqxrwy])?"
_FINAL = (
    r"(?:iang|iong|uang|ang|eng|ing|ong|iao|ian|uai|uan|ai|ei|ao|ou|an|en|in|un|ia|ie|iu|ua|uo|ui|ue|er|a|o|e|i|u|v)"
)
_PINYIN = re.compile(rf"(?:{_INITIAL}{_FINAL}r?'?)+")
_PARTICLE = _set(
    "shi de wo ni ta hao le zai you bu zhe na yi ge men women nimen tamen ma ye dou hen he shenme zenme xiexie"
    " qing hui neng yao xiang zhongguo hanyu xihuan jintian mingtian pengyou laoshi xuesheng"
)
_ENGLISH_TOO = _set("he me men you can a an the i is are was she her long sun fan pan guru once gore main kimi hala")

#: small words of English that are words of other languages too, beside those of _LANGUAGES
_SHARED = _set("are or has had all be my we but not can than more us am if it's")
#: of other languages' small words those that are words of English as well
_HOMOGRAPHS = _set(
    "man hat war die den son plus pour come fur rat sin con air hay per van era men ten main once fan pan sun rest"
    " dare car made pot top bar met let late dog till"
)
#: common words of English, and those that end like no English word but are
_COMMON = _set(
    "am here go get got make made know think take see come want look use find give tell work call try ask need feel"
    " become leave put mean keep let begin help show hear play run move live believe bring happen write sit stand lose"
    " pay meet set learn lead stop like good new first last long great little own other old right big high small large"
    " next early young few bad same able best better sure thanks thank please sorry okay ok hello hi hey bye time year"
    " day way man woman men women child life world house home hand part place case week point number group fact water"
    " room mother father area money story month lot book eye job word side kind head friend power hour game line end"
    " city name idea body back face door night air people school car dog cat food boy girl two three four five six ten"
    " one now well also too never always often again away down up out over off only even still much many any some each"
    " into onto after before because while why where since under between those data photo video radio pizza banana"
    " panda sofa camera media drama piano zero taxi menu extra agenda formula opera visa via era yoga pasta soda sugar"
    " yacht waltz plateau quiz jazz fizz easy hard nice love hate said went came made rain snow sun red blue green"
)
#: words of English that keep a diacritic, folded
_BORROWED = _set(
    "cafe cafes naive naively resume resumes cliche cliches fiance fiancee facade decor entree deja vu creme brulee"
    " souffle protege touche pinata jalapeno jalapenos uber risque saute sauteed pate role elite matinee melee senor"
    " senorita coup cooperate zoe doppelganger smorgasbord voila blase passe puree tete expose expo latte rose soiree"
)
_ENGLISH_SHAPE = re.compile(
    r"th|wh|gh|ck|sh|\w{2}(?:ing|ly|tion|ness|ment|ful|ous|[bgtd]le)\Z|\w{2}[^aeiou]y\Z|\w{3}\w(?<!ust)ed\Z|(?:ow|ew)\Z"
    r"|'(?:s|t|ll|ve|re|m|d)\Z"
)
#: pairs of small words that are no English, and begin sentences elsewhere
_NO_PAIRS = {("no", "me"), ("no", "he"), ("me", "he")}
_OTHER_SHAPE = re.compile(r"cht|eht|iyor|cch|[cs]z|rz|kk|yy|aa|uu|lh[aeo]|gli[ae]|ij(?!a)")


def titled(words: Sequence[str], most: int = 12) -> bool:
    """Whether words are a name or a title: capitals, and between them nothing but small words."""
    return (
        0 < len(words) <= most
        and not words[0].islower()
        and all(not word.islower() or word in _SMALL for word in words)
    )


def foreign_name(words: Sequence[str]) -> str:
    """The name of the language, other than English, that words in Latin letters are in; empty where none is told.

    Two different signs of it at least that are no English, a share of the words, and more than there are small words of
    English alone; one sign of Turkish or Indonesian where no word is English. A capital within the text makes a name,
    not a sign, unless all are in capitals.

    Args:
        words: as they are written, in order.
    """
    if titled(words, len(words)):
        return ""
    folded = [_folded(word) for word in words]
    english = [word for word in folded if ENGLISH.fullmatch(word)]
    if _is_pinyin(words, folded, len(english)):
        return "pinyin"
    loud = all(word.isupper() for word in words)
    hits: dict[str, list[str]] = {}
    in_name = False
    for place in reversed(range(len(words))):
        word, common = folded[place], loud or not place or words[place].islower()
        in_name = not loud and (not words[place].islower() or (in_name and word in _OF_NAMES))
        if in_name and place and word in _OF_NAMES:
            continue
        for language in _languages(word, common):
            hits.setdefault(language, []).append(word)
    best = max(hits, key=lambda language: len(hits[language]), default="")
    found = hits.get(best, [])
    apart = sum(best not in _LANGUAGES.get(word, ()) for word in english)
    own = len({*found} - {*english} - (_HOMOGRAPHS if english else set())) >= _FEWEST
    if not own and not english and best in ("Turkish", "Indonesian"):
        # their sentences need few small words: in a short one a longer sign is enough
        own = any(len(word) >= 4 and word not in _ENGLISH_TOO for word in found)
    return best if own and len(found) >= _SHARE * len(words) and len(found) > apart else ""


def speaks_english(words: Sequence[str]) -> bool:
    """Whether the other words agree where small words of English are seen: `a`, `do`, `me` or `on` are words of many.

    Small words that only English has, common words and shapes of English speak for it; diacritics, small words and
    shapes of other languages against it. Where nothing does either, words that end in a, i, o or u speak against it.
    Names (capitals within the text) say nothing.

    Args:
        words: as they are written, in order.
    """
    loud = all(word.isupper() for word in words)
    agree, against, vague, plain = set[str](), set[str](), set[str](), set[str]()
    in_name = False
    for place, word in enumerate(words):
        folded = _folded(word)
        if ENGLISH.fullmatch(folded) and word.isascii():
            in_name = False
            if folded not in _LANGUAGES and folded not in _SHARED:
                agree.add(folded)
            if place == 1 and (words[0].lower(), folded) in _NO_PAIRS:
                against.add(folded)
            continue
        if in_name and folded in _OF_NAMES:
            continue
        in_name = not loud and not word.islower()
        if in_name and (place or not words[1:2] or not words[1].islower()):
            continue
        marked = not word.isascii() and folded not in _BORROWED
        if not marked and ((folded in _COMMON and folded not in _LANGUAGES) or _ENGLISH_SHAPE.search(folded)):
            agree.add(folded)
        elif marked or (folded in _LANGUAGES and folded not in _HOMOGRAPHS) or _OTHER_SHAPE.search(folded):
            against.add(folded)
        elif not in_name:
            (vague if folded[-1] in "aiou" and folded not in _BORROWED else plain).add(folded)
    if agree or against:
        return len(agree) >= len(against)
    return not vague or len(vague) < len(plain)


def _languages(word: str, common: bool) -> tuple[str, ...]:
    """Languages that a folded word is a sign of; of a name only its Turkish case is."""
    if not common:
        return ("Turkish",) if "'" in word and _CASE.fullmatch(word) else ()
    found = _LANGUAGES.get(word, ())
    if len(word) < 5:
        return found
    if "Turkish" not in found and (word[-3:] in _TURKISH or _CASE.fullmatch(word) or _SUFFIXED.fullmatch(word)):
        found = (*found, "Turkish")
    if "Indonesian" not in found and _AFFIXED.fullmatch(word):
        found = (*found, "Indonesian")
    return found


def in_pinyin(words: Sequence[str]) -> bool:
    """Whether words are syllables of pinyin nearly throughout, with or without tones."""
    spelt = sum(len(word) <= _LONGEST and _PINYIN.fullmatch(_folded(word)) is not None for word in words)
    return spelt >= _SYLLABLES * len(words)


def _is_pinyin(words: Sequence[str], folded: Sequence[str], english: int) -> bool:
    """Pinyin with small words of Chinese, and no mere row of names."""
    particles = sum(word in _PARTICLE for word in folded)
    few = 1 if english == 0 and len(words) > 3 else _FEWEST
    return (
        particles >= max(few, _PARTICLES * len(words))
        and 2 * sum(word.islower() for word in words) >= len(words)
        and 2 * sum(word not in _ENGLISH_TOO for word in folded) > len(words)
        and in_pinyin(words)
    )


def _folded(word: str) -> str:
    plain = unicodedata.normalize("NFD", word.lower().replace("ı", "i").replace("đ", "d"))
    return "".join(sign for sign in plain if not unicodedata.combining(sign))
