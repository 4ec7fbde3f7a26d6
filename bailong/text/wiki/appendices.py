"""Headings of a wiki's sections that list sources and links and hold no prose, in lower case, by language."""

from bailong.text.language import code

_HEADINGS = {
    "zh": "參考文獻|参考文献|參考資料|参考资料|參考來源|参考来源|參考書目|参考书目|參考|参考|來源|来源"
    "|資料來源|资料来源|引用|文獻|文献|註釋|注释|注釋|註解|注解|備註|备注|腳註|脚注|註腳|注脚|外部連結|外部链接|外部連接|外部链結|外部鏈接"
    "|相關連結|相关链接|參見|参见|參看|参看|相關條目|相关条目|延伸閱讀|延伸阅读",
    "en": "references|notes|sources|bibliography|footnotes|external links|see also|further reading",
    "ar": "مراجع|المراجع|مصادر|المصادر|هوامش|وصلات خارجية|روابط خارجية|انظر أيضا|انظر أيضًا|انظر أيضاً|ملاحظات",
    "cs": "reference|externí odkazy|související články|poznámky|literatura",
    "de": "einzelnachweise|weblinks|siehe auch|literatur|anmerkungen|quellen|fußnoten",
    "el": "παραπομπές|εξωτερικοί σύνδεσμοι|δείτε επίσης|πηγές|βιβλιογραφία|σημειώσεις",
    "es": "referencias|enlaces externos|véase también|bibliografía|notas|notas y referencias",
    "fa": "منابع|پانویس|پیوند به بیرون|جستارهای وابسته|یادداشت‌ها",
    "fr": "références|notes et références|liens externes|voir aussi|bibliographie|annexes",
    "he": "הערות שוליים|קישורים חיצוניים|ראו גם|לקריאה נוספת",
    "hi": "सन्दर्भ|संदर्भ|बाहरी कड़ियाँ|इन्हें भी देखें|टिप्पणी",
    "hu": "jegyzetek|források|további információk|kapcsolódó szócikkek",
    "hy": "ծանոթագրություններ|արտաքին հղումներ|տես նաև|գրականություն",
    "id": "referensi|pranala luar|lihat pula|catatan kaki|daftar pustaka",
    "it": "note|collegamenti esterni|voci correlate|bibliografia|altri progetti",
    "ja": "脚注|参考文献|外部リンク|関連項目|出典|注釈|関連文献",
    "ka": "სქოლიო|რესურსები ინტერნეტში|იხილეთ აგრეთვე|ლიტერატურა",
    "ko": "각주|외부 링크|같이 보기|참고 문헌|참고 자료|출처",
    "nl": "referenties|bronnen|externe links|externe link|zie ook|noten|literatuur",
    "pl": "przypisy|linki zewnętrzne|zobacz też|bibliografia|uwagi",
    "pt": "referências|ligações externas|ver também|bibliografia|notas",
    "ro": "note|referințe|legături externe|vezi și|bibliografie",
    "ru": "примечания|ссылки|литература|источники|см. также",
    "sv": "referenser|källor|externa länkar|se även|noter",
    "th": "อ้างอิง|แหล่งข้อมูลอื่น|ดูเพิ่ม|เชิงอรรถ",
    "tr": "kaynakça|kaynaklar|dipnotlar|dış bağlantılar|ayrıca bakınız|konuyla ilgili yayınlar|notlar",
    "uk": "примітки|посилання|література|джерела|див. також",
    "vi": "tham khảo|chú thích|liên kết ngoài|xem thêm|ghi chú|thư mục",
}
#: all of them, for no language has one of another's as the heading of prose
APPENDICES = frozenset(heading for headings in _HEADINGS.values() for heading in headings.split("|"))


def headings(language: str) -> list[str]:
    """Those of a language, and of English, as they are written at the head of a section."""
    own = [*_HEADINGS.get(code(language), "").split("|"), *_HEADINGS["en"].split("|")]
    return [heading[0].upper() + heading[1:] for heading in dict.fromkeys(own) if heading]
