"""Announcements and labels: the words with which a model presents its answer instead of giving it, in many languages.

'Here is the rewritten query:', 'Sure!', 'Bildunterschrift:', '以下是翻译：'. An announcement is a phrase that is made of
announcing words only, so that it says nothing that a picture could show; before a colon it may also name its topic
('Here is a caption for your article about kites:').
"""

from __future__ import annotations

import re
from functools import lru_cache

_LONGEST = 160

_WORDS = {
    "en": (
        "here heres here's here’s below following sure certainly absolutely alright okay ok understood course",
        "caption* rewrite rewrites rewriting rewritten translation* query queries description* answer* output* result* "
        "response* sentence* option* suggestion* keyword* paraphrase* reformulation* version* title* summary english",
        "a an the my your our this that these those is are it its of for in into to with and or as on by from based i "
        "i've i'd i'll you i’ve i’d we short new final better improved possible suggested simple concise brief detailed "
        "one two three four five several some few different alternative alternate revised edited modified updated "
        "translated original visual natural descriptive search searching searched retrieval image* picture* photo "
        "photos photograph* target requested query's optimized optimised refined enhanced clear accurate direct "
        "corresponding resulting above go asked wanted provided given generated potential appropriate suitable language "
        "user user's would could be think text article modification change changes instruction instructions request "
        "best single complete proposed thing under after using according no problem more readable user’s clip model ai "
        "assistant requirements sentence-long step well literal plain",
    ),
    "de": (
        "hier nachfolgend folgende folgendes natürlich gerne selbstverständlich klar",
        "bildunterschrift* bildbeschreibung* beschreibung* übersetzung* antwort* suchanfrage* anfrage* ergebnis* "
        "ausgabe* umformulierung* bildtext* titel",
        "der die das den dem des ein eine einen einer eines ist sind für ihr ihre ihren ihrer deine deinen auf in ins "
        "im zu zur zum von deutsche deutscher englische englischer englisch englischen kurze kurzen kurzer neue neuen "
        "überarbeitete umformulierte bild* foto* bitte deutsch wie gewünscht lautet heißt wäre ist übersetzt* umgeschrieben* überarbeitet* verbessert* optimiert* kurz* doch ja",
    ),
    "fr": (
        "voici voilà ci-dessous bien-sûr certainement absolument sûr d'accord",
        "légende* traduction* réponse* requête* résultat* phrase* titre*",
        "la le les l un une des de du d est sont pour votre vos ton en anglais anglaise serait devient améliorée optimisée français française courte court "
        "nouvelle nouveau finale réécrite reformulée photo image* images demande demandée bien sûr sûre",
    ),
    "es": (
        "aquí aqui claro seguro supuesto continuación desde-luego ciertamente siguiente entendido",
        "leyenda* descripción* traducción* respuesta* consulta* reformulación* título* subtítulo* resultado* pie frase* "
        "oración",
        "el lo los las una unos es son para su sus tu tus del al inglés sería la mejorada optimizada siguiente inglesa español corta corto nueva nuevo final "
        "reescrita reescrito traducida imagen* foto fotografía por solicitada usuario se presento presenta traducido a "
        "y",
    ),
    "pt": (
        "eis abaixo certo certamente seguir",
        "legenda* descrição tradução resposta* reescrita* título* resultado*",
        "o os as um uma é são seu sua seus sob do da no na seria fica melhorada otimizada a inglês inglesa português curta curto nova reescrita imagem "
        "foto com você pedido está",
    ),
    "it": (
        "ecco certamente certo seguito naturalmente",
        "didascalia* descrizione traduzione risposta* riformulazione* risultato* frase titolo",
        "il lo gli i uno una è per tuo tua suo sua vostro della dell del dell' nel in inglese sarebbe la migliorata ottimizzata italiano breve corta "
        "nuova riscritta immagine* foto tradotta richiesta dell'immagine",
    ),
    "nl": (
        "natuurlijk hieronder zeker uiteraard",
        "bijschrift* beschrijving* vertaling* antwoord* zoekopdracht* omschrijving* resultaat",
        "het een van voor uw je jouw naar engels engelse nederlandse korte herschreven afbeelding foto",
    ),
    "pl": (
        "oto poniżej oczywiście jasne pewnie",
        "podpis* opis* tłumaczeni* odpowied* zapytani* wynik*",
        "to jest dla twój twoje twojego twojej po polsku angielski angielsku krótki krótka nowy przepisane obrazu "
        "zdjęcia na język",
    ),
    "ru": (  # Russian and Ukrainian
        "вот конечно ниже хорошо разумеется безусловно ось звичайно нижче",
        "подпис* описани* перевод* ответ* запрос* результат* вывод* вариант* заголов* опис* переклад* відповід* запит* "
        "підпис*",
        "на и для ваш* будет звучит улучшенн* оптимизированн* это английск* русск* язык* кратк* коротк* нов* переформулирован* переписанн* изображени* фото* "
        "картинк* итогов* поисков* запроса англійськ* зображен* мовою мова переформульован*",
    ),
    "tr": (
        "işte tabii elbette aşağıda tabi",
        "başlık* açıklama* çeviri* çevirisi yanıt* cevap* sorgu* altyazı* sonuç*",
        "bir için bu ve kısa ingilizce türkçe yeni görsel* görüntü* resim* resmin fotoğraf* yeniden yazılmış "
        "istediğiniz arama son ki size senin",
    ),
    "vi": (
        "đây dưới dĩ tất chắc chắn",
        "thích tả dịch lời vấn quả",
        "bản chú câu mô kết truy trả tìm kiếm là cho của bạn bằng tiếng anh việt ngắn gọn hình ảnh bức được viết lại "
        "mới một dưới nhiên rồi sang và cuối cùng",
    ),
    "id": (
        "berikut tentu ini baik",
        "keterangan* deskripsi* terjemahan* jawaban* kueri* hasil* teks",
        "adalah untuk anda dalam bahasa inggris indonesia singkat baru gambar foto yang telah ditulis ulang dari saja "
        "tentu",
    ),
    "ar": (
        "إليك إليكم فيما بالتأكيد بالطبع حسنا حسنًا طبعا هذا هذه هذا_هو",
        "الوصف وصف الترجمة ترجمة الإجابة إجابة تعليق التعليق الاستعلام استعلام التسمية العنوان عنوان النتيجة الجواب",
        "هي هو في إلى من على باللغة الإنجليزية العربية بالإنجليزية للصورة الصورة صورة قصير قصيرة قصيرا لك المطلوب "
        "المطلوبة المعاد صياغته المترجم النص النهائي النهائية يلي",
    ),
    "fa": (
        "حتما البته اینجا بفرمایید",
        "توضیح* ترجمه* پاسخ* عنوان کپشن* جواب",
        "به زبان انگلیسی برای شما کوتاه تصویر عکس است این در فارسی",
    ),
    "hi": (
        "यहाँ यहां ज़रूर जरूर बिल्कुल",
        "कैप्शन* विवरण* अनुवाद* उत्तर* क्वेरी* शीर्षक* वर्णन* परिणाम*",
        "है हैं का की के में लिए आपके आपकी यह अंग्रेज़ी अंग्रेजी हिंदी हिन्दी संक्षिप्त छोटा चित्र छवि तस्वीर एक अनुवादित है। ये रहा रही",
    ),
    "he": (
        "הנה בוודאי להלן כמובן",
        "כיתוב* תיאור* תרגום* תשובה* שאילתה* התרגום התיאור הכיתוב",
        "של באנגלית לתמונה התמונה תמונה קצר קצרה הוא היא בעברית",
    ),
    "others": (  # Swedish, Danish, Norwegian, Finnish, Hungarian, Czech, Romanian
        "här självklart naturligtvis nedan givetvis selvfølgelig herunder tässä toki alla itt természetesen íme zde "
        "samozřejmě níže iată desigur",
        "bildtext* beskrivning* översättning* svar* billedtekst* beskrivelse* oversættelse* oversettelse* bildetekst* "
        "kuvateksti* kuvaus* käännös* vastaus* képaláírás* leírás* fordítás* válasz* popis* překlad* odpověď* popisek* "
        "descriere* traducere* răspuns* legendă",
        "är för din ditt er på engelska svenska kort ny till en ett og engelsk dansk norsk til den det af av kuvan "
        "englanniksi lyhyt on az egy kép angol rövid je pro váš anglický krátký obrázku v angličtině este în engleză "
        "scurtă imaginea a imaginii",
    ),
    "el": (
        "ορίστε φυσικά παρακάτω βεβαίως ιδού",
        "λεζάντα* περιγραφή* μετάφραση* απάντηση*",
        "η το μια για την της του είναι στα αγγλικά σύντομη εικόνα εικόνας σας",
    ),
    "ko": (
        "네 물론* 알겠* 다음은 다음* 아래는 아래* 여기* 좋습니다",
        "캡션* 설명* 번역* 답변* 검색어* 쿼리* 재작성* 결과* 출력* 문장* 제목* 답*",
        "이미지* 사진* 그림* 영어* 영문* 한국어* 에 대한 짧은 입니다 있습니다 다시 작성* 수정* 최종* 간단* 요청* 하신 의 새로운 를 을 이 그 저는 적합한 변경* 해당",
    ),
}
"""By language, as one phrase is of one: what opens an announcement, what names an answer, and what may stand beside
them. A star stands for any ending."""

_SOURCES = """
original* source input question text article instruction* query* ursprünglich* originaltext eingabe frage originale* source* entrada pregunta consulta исходн* оригинал* вопрос*
orijinal* gốc asli الأصلي النص السؤال 원문* 원본* 질문* मूल
""".split()

_RESULTS = """
rewrit* translat* new final improved edited revised english optimized optimised modified updated refined better search
umformuliert* neue* übersetzt* réécrit* traduit* reformulé* reescrit* traducid* nueva nova riscritt* tradott* nuova переформулирован* переписан* нов* yeniden
""".split()

_DENSE_OPENERS = "以下是|以下为|下面是|这是|这里是|如下|好的|当然可以|当然|没问题|明白了|收到|以下是|以下為|這是|好的|當然|沒問題|はい|もちろん(?:です)?|承知(?:いた)?しました|了解(?:です|しました|いたしました)?|かしこまりました|以下(?:は|が|に|の)|こちら(?:が|は|です)?|แน่นอน|ได้เลย|นี่คือ|นี่เป็น|ต่อไปนี้(?:คือ|เป็น)?"
_DENSE_NOUNS = "翻译|译文|翻譯|譯文|改写|改寫|重写|重寫|描述|标题|標題|说明|說明|字幕|查询|查詢|搜索词|检索词|搜索语句|关键词|答案|回答|结果|結果|输出|輸出|版本|句子|英文|英语|キャプション|説明文?|翻訳|英訳|和訳|訳文?|答え|クエリ|書き換え|言い換え|リライト|出力|文章|文|案|คำบรรยาย|คำอธิบาย|คำแปล|คำตอบ|ผลลัพธ์|ข้อความ|คำค้น(?:หา)?|ประโยค|แคปชั่น"
_DENSE_WORDS = "優化|為|請|該|對|於|將|譯|搜尋|檢索|用戶|更適合|適合|請求|圖像|簡短|簡潔|最終|這|給|與|條|張|寫|改|關鍵詞|短语|短句|短い|提案|的|为|是|了|您|你|我|请|根据|一|个|個|条|句|段|张|图片|图像|圖片|图|照片|简短|简洁|最终|后|後|中文|该|该|这|此|对|于|给|以|可|能|并|和|与|用|于|新|修改|原|文|将|其|成|译|为|优化|搜索|检索|用户|更|适合|生成|提供|请求|需要|要求|可以|所|示|英|语|翻|写|改|が|は|の|を|に|で|と|です|ます|でした|した|なります|なり|ご|お|画像|写真|英語|日本語|短い|検索|用|次|新しい|新|最終|的|な|示し|通り|とおり|後|ユーザー|による|ため|する|して|された|さ|れ|た|い|し|ภาพ|รูปภาพ|รูป|ภาษาอังกฤษ|ภาษาไทย|อังกฤษ|ของ|สำหรับ|ที่|เป็น|แบบ|สั้น|ๆ|ใหม่|คุณ|การ|แปล|เขียน|ปรับ|แล้ว|คือ|ครับ|ค่ะ|คะ|นะ|ใน|ถ่าย|เลย"
_DENSE_SOURCES = "原文|原始|原句|原查询|输入|元の|原文|ต้นฉบับ|问题|質問"

_SERVICE = re.compile(
    r"(?:(?:sure|certainly|of course|okay|great|absolutely)[,!.]?\s+)?(?:"
    r"i(?:['’]d|['’]ll|['’]m| would| will| am| can| have|['’]ve)\s+(?:be\s+|certainly\s+|gladly\s+|now\s+|just\s+)*"
    r"(?:happy|glad|pleased|delighted|help|assist|provide|translate[d]?|rewrit(?:e|ten)|rephrase[d]?|created?|written|generated?)\b(?! the [a-z ]+ at\b)"
    r"|let me (?:help|translate|rewrite|rephrase|try|provide|give|create|know)\b|let['’]s (?:translate|rewrite|break)\b"
    r"|thank you for (?:your|the|providing|sharing)\b|thanks for (?:your|the|providing|sharing)\b|happy to help\b|glad to help\b"
    r"|great (?:question|choice|request)\b|good question\b|i hope (?:this|that|it) helps\b"
    r"|ich helfe (?:ihnen|dir)|gerne helfe ich|je (?:serais|suis) (?:ravi|heureux)|con (?:mucho )?gusto\b|com prazer\b|será um prazer"
    r"|с удовольствием|с радостью|我(?:来|很乐意|很高兴|会|将)(?:帮|为|協|协)|很高兴为您|喜んで"
    r")",
    re.IGNORECASE,
)
"""The start of a sentence in which a model speaks of its own service."""
_INTERJECTION = re.compile(
    r"(?:sure(?: thing)?|certainly|absolutely|of course|natürlich|gerne|selbstverständlich|bien sûr|certainement|claro(?: que sí)?|por supuesto"
    r"|com certeza|certamente|certo|ecco|конечно|разумеется|вот|звичайно|elbette|tabii(?: ki)?|oczywiście|natuurlijk|tentu(?: saja)?|tất nhiên|chắc chắn rồi"
    r"|بالتأكيد|بالطبع|ज़रूर|जरूर|물론입니다|네|알겠습니다|好的|当然(?:可以)?|當然|没问题|はい|もちろん(?:です)?|承知(?:いた)?しました|แน่นอน(?:ครับ|ค่ะ)?|självklart)"
    r"\s*[,!.，！。、]+\s*",
    re.IGNORECASE,
)
_GREETING_MARKS = " ¡¿*_#>\"'"
_HEAD = re.compile(r"(?P<head>[^:：\n]{1,160}?)\s*(?P<end>[:：]|[.!?。！？](?=\s|$|[^\x00-\x7f]))[*_\"”]*\s*")
_BETWEEN = re.compile(r"[\s.,;!?…()\[\]{}，。；！？、「」『』“”„\"«»*_`~،؛؟।|/—–#>¡¿]+")
_DENSE = re.compile(r"[\u0e00-\u0e7f\u3040-\u30ff\u3400-\u9fff]")
_READS = re.compile(
    r"(?:says?|saying|reads?|reading|spells?|spelling|labell?ed|written|words?|text|letters|message|slogan|titled|inscribed|inscription"
    r"|sagt|steht|liest|dit|dice|diz|говорит|написано|надпис\w*|写着|書かれた)\s*[:：]$",
    re.IGNORECASE,
)


class _Lexicon:
    """Words, and the beginnings of words, that are written with a star."""

    def __init__(self, words: list[str]) -> None:
        plain = [_folded(word) for word in words]
        self.words = frozenset(word for word in plain if not word.endswith("*"))
        self.beginnings = tuple(word[:-1] for word in plain if word.endswith("*"))

    def __contains__(self, word: str) -> bool:
        return word in self.words or word.startswith(self.beginnings)


def _folded(text: str) -> str:
    return text.casefold().replace("i\u0307", "i")  # of the Turkish İ


def _lexicons(languages: tuple[str, ...]) -> tuple[_Lexicon, ...]:
    """Openers, names and other words of some languages."""
    return tuple(_Lexicon(" ".join(_WORDS[one][kind] for one in languages).split()) for kind in range(3))


_NEAR = (("de", "nl", "others"), ("fr", "es", "pt", "it"))
"""Languages that share small words, so that a phrase may be of either."""
_ALONE = ((one,) for one in _WORDS if not any(one in near for near in _NEAR))
_LANGUAGES = tuple(_lexicons(group) for group in (*_ALONE, *_NEAR))
_SOURCE, _RESULT = _Lexicon(_SOURCES), _Lexicon(_RESULTS)
_DENSE_RUN = re.compile(f"(?:{_DENSE_OPENERS}|{_DENSE_NOUNS}|{_DENSE_WORDS})+")
_DENSE_OPENER, _DENSE_NOUN, _DENSE_SOURCE = map(re.compile, (_DENSE_OPENERS, _DENSE_NOUNS, _DENSE_SOURCES))


def without_lead(line: str) -> str:
    """A line without the label, the announcement or the interjections that it begins with; '' if it is nothing else."""
    head = _HEAD.match(line)
    if head and announces(head["head"], head["end"] in ":："):
        return line[head.end() :]
    if head is None and announces(line, False):
        return ""
    return _INTERJECTION.sub("", line, count=1) if _INTERJECTION.match(line) else line


def is_heading(line: str) -> bool:
    """Whether a line by itself is a heading over an answer: 'Caption', '## Rewritten Query', '改写'."""
    return len(line) <= 60 and announces(line, True)


def label(line: str) -> str | None:
    """The label before a line's colon, where it has one that announces."""
    head = _HEAD.match(line)
    return head["head"] if head and head["end"] in ":：" and announces(head["head"], True) else None


def any_label(line: str) -> str:
    """What stands before a line's first colon; '' where there is none."""
    head = _HEAD.match(line)
    return head["head"] if head and head["end"] in ":：" else ""


def is_source(head: str) -> bool:
    """Whether a label says that what follows is what the model was given ('Original query')."""
    words = _split(head)
    if any(word in _RESULT for word in words):
        return False
    return any(word in _SOURCE for word in words) or _DENSE_SOURCE.search(head) is not None


def quotes_next_line(line: str) -> bool:
    """Whether a line goes on in the next one, as 'a sign that says:' does."""
    return _READS.search(line) is not None


@lru_cache(maxsize=4096)
def announces(phrase: str, colon: bool) -> bool:
    """Whether a phrase announces an answer and says nothing else; before a `colon`, labels do as well."""
    if not phrase or len(phrase) > _LONGEST:
        return False
    phrase = phrase.strip(_GREETING_MARKS)
    if _SERVICE.match(phrase):
        return True
    words = _split(phrase)
    if not words:
        return False
    if words == ["ok"]:
        return colon  # 'OK!' is a magazine
    if any(_DENSE.search(word) for word in words):
        return _announces_densely(words, colon)
    short = colon and len(words) <= 3
    for opening, naming, joining in _LANGUAGES:
        names = any(word in naming or word in _SOURCE for word in words)
        if not names and not any(word in opening for word in words[:3]):
            continue
        if all(
            word in opening or word in naming or word in joining or word in _SOURCE or word.isdecimal()
            for word in words
        ):
            return colon or any(word in opening for word in words[:3])
        if colon and names and words[0] in opening:
            return True
    return short and words[-1] in ("image", "photo", "picture")


def _announces_densely(words: list[str], colon: bool) -> bool:
    """The same for the scripts without spaces, in which a word here is a run of letters."""
    opens = _DENSE_OPENER.match(words[0]) is not None
    names = any(_DENSE_NOUN.search(word) or _DENSE_SOURCE.search(word) for word in words)
    if all(_DENSE_RUN.fullmatch(word) or word.isascii() for word in words):
        return opens or (colon and names)
    return colon and names and opens


def _split(phrase: str) -> list[str]:
    return [word for word in _BETWEEN.split(_folded(phrase)) if word]
