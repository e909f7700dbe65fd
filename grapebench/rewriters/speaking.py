"""Sentences in which a model speaks to the asker instead of answering: it refuses, asks back, or thinks aloud.

Each is told by how it begins, and by what follows: 'Sorry, I cannot' is a refusal, "Sorry, we're closed sign in a shop
window" is a caption.
"""

from __future__ import annotations

import re

_NOTHING_TO_SEE = r"(?:image|images|picture|photo|photograph|attachment|file|link|url|text|query|article|context|caption|description)s?\b"
_VERBS = (
    r"(?:assist|provide|comply|fulfil+|translate|create|generate|describe|view|access|display|identify|recogni[sz]e|process|analy[sz]e"
    r"|interpret|determine|complete|continue|rewrite|rephrase|write|answer|offer|discuss|engage|produce|caption|perform|respond|support"
    r"|be able|directly|actually|physically|currently|help (?:you|with|by|provid|$)|do (?:that|this|so)|see (?:the|any|an?|your|images?|pictures?|photos?|what)\b"
    r"|give (?:you|a)|make (?:a|up|sense of)|tell (?:you|what)|find (?:the|any)|open (?:the|links|files|attachments)|have (?:the|access|enough|any|personal)|understand (?:the|your|what)|share)"
)
_APOLOGY = (
    r"(?:(?:i|we)(?:['’]m| am|['’]re| are)?\s+(?:very |so |really |truly |terribly )?sorry(?=[,.;:!—-]|\s+(?:but|that|for (?:the|any)|to)\b|\s*$)"
    r"|sorry|my apologies|apologies|i apologi[sz]e|unfortunately|regrettably|i regret|oops)"
)
_AFTER_APOLOGY = (
    rf"(?:i\b|as an\b|it (?:seems|looks|appears)|there (?:is|was|are|['’]s) no\b|(?:the|this|that|your|no) (?:\w+ )?{_NOTHING_TO_SEE}|you (?:have|did|need)"
    r"|we (?:cannot|can['’]t|are unable)|(?:this|that|your) (?:request|question|content)|without\b|my (?:role|training|purpose)|for the|no more\b|no\b[.!]?$)"
)
_REFUSALS = (
    # English
    rf"{_APOLOGY}[\s,.;:!—-]*(?:but[\s,]+|however[\s,]+)*(?:{_AFTER_APOLOGY})",
    r"(?:i['’]m|i am) sorry(?:\s*[,.!]*\s*$|, but\b)",
    r"i apologi[sz]e\b",
    r"as an? (?:(?:text|language)[- ]based )?(?:ai|artificial intelligence|a\.i\.|llm|(?:large )?language model|text-only|text-based|chatbot|assistant)\b[^.]{0,40}?(?:,|\bi\b|model)",
    rf"(?:i|we)(?:['’]m| am|['’]re| are)?\s+(?:currently |afraid (?:that )?i |really |simply |just |still |also )*"
    rf"(?:not able to|unable to|cannot|can not|can['’]t|could not|couldn['’]t|do not|don['’]t|won['’]t|will not|am not allowed to|not (?:allowed|permitted|designed|capable|programmed|equipped)(?: to| of)?|(?:decline|refuse) to)\s+{_VERBS}",
    r"i(?:['’]m| am) (?:unable|not able|not capable)\b",
    r"i must (?:decline|refuse)\b|i have to decline\b|i will not\b|i(?:['’]d| would) (?:rather|prefer) not\b",
    r"(?:i(?:['’]m| am)|i['’]m just) (?:just |only )?an? (?:ai|language model|large language model|text-based|virtual assistant)\b",
    rf"(?:it(?:['’]s| is)? (?:not possible|impossible)) (?:for me )?to (?:{_VERBS}|see)",
    r"(?:this|that|your|the) (?:request|question|query|prompt|content) (?:violates|goes against|is (?:inappropriate|not appropriate|against)|cannot be (?:fulfilled|processed|answered)|appears to (?:violate|be inappropriate)|contains (?:inappropriate|harmful|explicit))",
    # What it says of itself, in the middle of a sentence
    r".{0,30}\b(?:i(?:['’]m| am) (?:just |only )?an?|ich bin (?:nur )?eine?|ik ben een|je suis une?|soy una?|sou uma?|sono una?|jestem|я (?:всего лишь |лишь )?|як) (?:\S+ ){0,2}(?:ai\b|ki\b|ia\b|language model|sprachmodell|taalmodel|mod[eè]l\w* (?:linguistic|de l)|modelem|языковая модель|искусственн\w* интеллект|мовна модель)",
    r".{0,40}(?:yapay zeka|dil) (?:model|asistan)\w*(?:yim|yım|im|ım)\b|.{0,12}我(?:只)?是(?:一[个個])?.{0,8}(?:语言模型|人工智能|ai)|.{0,12}(?:言語モデル|ai)(?:です|なので)|.{0,12}(?:언어 모델|인공지능)(?:이므로|입니다|로서)",
    # Germanic
    r"(?:es tut mir (?:leid|sehr leid)|tut mir leid|entschuldigung|leider)[\s,.:–-]*(?:aber |dass )?(?:ich|das|die|kann|es|als|ohne|wurde|habe|bin|enthält)\b",
    r"(?:ich kann|ich bin nicht in der lage|als ki\b|als (?:ein )?sprachmodell|ich darf|(?:das|dies|dabei|hier) (?:kann|darf) ich)[^.]{0,80}\b(?:nicht|keine?n?|nicht in der lage|ki|sprachmodell)\b",
    r"(?:het spijt me|sorry|helaas)[\s,.]*(?:maar )?(?:ik|kan)\b|als ai\b|ik kan (?:geen|niet|u niet|je niet|helaas)",
    r"(?:jag är ledsen|tyvärr|beklager|desværre|dessverre|undskyld)[\s,.]*(?:men )?(?:jag|jeg|kan)\b|jag kan (?:inte|tyvärr)|jeg kan (?:ikke|desværre)",
    # Romance
    r"(?:je suis (?:vraiment )?désolée?|désolée?|je m['’]excuse|malheureusement)[\s,.:]*(?:mais )?(?:je|de|pour|que|en tant|aucune|il|la|l['’]image)\b",
    r"(?:je ne (?:peux|suis|dispose|vois|parviens)|en tant qu['’](?:ia|intelligence|assistant|un)|en tant que (?:modèle|assistant|ia)|il (?:m['’]est|est) impossible)\b",
    r"(?:lo siento|lo lamento|disculp[ae]|perdón|lamentablemente|desafortunadamente|me temo)[\s,.:]*(?:mucho[\s,]*)?(?:pero |que )*(?:no|como|soy|parece|la imagen|sin)\b",
    r"(?:no puedo|no me es posible|no soy capaz|no tengo (?:acceso|la capacidad)|como (?:modelo de lenguaje|una? (?:ia|inteligencia|asistente|modelo)))\b",
    r"(?:desculp[ae]|sinto muito|lamento|infelizmente|peço desculpas?)[\s,.:]*(?:mas |que )*(?:não|como|eu|a imagem|parece)\b|não (?:posso|consigo|sou capaz|tenho acesso|é possível)\b|como (?:um|uma) (?:ia|modelo|assistente|inteligência)",
    r"(?:mi dispiace|mi scuso|scusa|purtroppo|spiacente)[\s,.:]*(?:ma |che )*(?:non|come|sono|l['’]immagine|sembra)\b|non (?:posso|sono in grado|ho accesso|riesco)\b|in quanto (?:ia|modello|intelligenza)|come (?:modello linguistico|intelligenza artificiale|ia\b)",
    r"(?:îmi pare rău|din păcate)[\s,.]*(?:dar |nu\b)|nu pot (?:să|oferi|vedea|traduce)",
    # Slavic and others
    r"(?:извините|простите|к сожалению|прошу прощения|мне жаль|сожалею)[\s,.:—-]*(?:но )?(?:я|не|как|это|у меня|изображени\w*|без|на)\b|я не (?:могу|вижу|имею|способ\w*|в состоянии)|как (?:ии\b|искусственн\w*|языковая модель|ai\b)|я (?:всего лишь |лишь )?(?:языковая модель|искусственн\w*|ии\b)",
    r"(?:вибачте|на жаль|перепрошую)[\s,.:—-]*(?:але )?(?:я|не|як)\b|я не (?:можу|бачу|маю)|як (?:ші|штучн\w*|мовна модель)",
    r"(?:przepraszam|niestety|przykro mi)[\s,.:]*(?:ale |że )?(?:nie|jako|ja|obraz)\b|nie (?:mogę|jestem w stanie|mam dostępu)|jako (?:model|sztuczna|ai\b)",
    r"(?:omlouvám se|bohužel|je mi líto)[\s,.]*(?:ale )?(?:ne|jako|já)\w*|nemohu\b|sajnálom[\s,.]*(?:de )?|sajnos nem\b|valitettavasti (?:en|minä)\b|olen pahoillani|λυπάμαι|δυστυχώς[\s,]*δεν|δεν μπορώ",
    r"(?:üzgünüm|özür dilerim|maalesef|ne yazık ki)[\s,.]*(?:ama |ancak )?(?:bu|ben|bir|görsel\w*|yardım\w*|görüntü\w*|resim\w*|resmi|isteğ\w*|size|$)|bir (?:yapay zeka|dil modeli)\b|yapay zeka (?:modeli|olarak|dil)",
    r"(?:xin lỗi|rất tiếc|tôi xin lỗi|tôi rất tiếc)[\s,.]*(?:nhưng )?(?:tôi|mình|là|không|hình)\b|tôi không (?:thể|có khả năng|nhìn thấy|thấy)|là một (?:mô hình|trí tuệ|ai\b|trợ lý)",
    r"(?:maaf|mohon maaf|sayangnya|saya minta maaf)[\s,.]*(?:tetapi |tapi |namun )?(?:saya|aku|kami|sebagai|tidak|gambar)\b|saya tidak (?:dapat|bisa|mampu)|sebagai (?:model|ai\b|asisten|kecerdasan)",
    r"(?:عذر[ًا]*|آسف|أنا آسف|أعتذر|للأسف|نأسف|المعذرة)[\s،,.]*(?:و?لكن[ني]*|لا|لم|لست|فأنا|أنا|على|عن)|لا (?:أستطيع|يمكنني|أقدر)|لا أملك|لست قادر|بصفتي|كنموذج|أنا نموذج",
    r"(?:متاسفم|متأسفم|ببخشید|متاسفانه|متأسفانه|عذرخواهی)[\s،,.]*|من (?:نمی‌?توانم|قادر نیستم)|به عنوان یک (?:مدل|هوش)",
    r"(?:माफ़ कीजिए|माफ कीजिए|क्षमा करें|क्षमा कीजिए|मुझे खेद है|खेद है|मैं क्षमा)[\s,।]*|मैं (?:\S+ ){0,8}(?:नहीं कर सकता|नहीं कर सकती|नहीं देख सकता|असमर्थ|सक्षम नहीं)|एक (?:एआई|ai|भाषा मॉडल)",
    r"(?:מצטער|אני מצטער|סליחה|לצערי)[\s,.]*(?:אבל |אך )?(?:אני|אין|לא)|אני לא (?:יכול|מסוגל|רואה)|כמודל שפה|אינני יכול",
    r"(?:非常|很|十分)?(?:抱歉|对不起|對不起|不好意思)[，,。！!\s]*(?:但|但是|不过|可是)?[，,\s]*(?:我|作为|作為|您|你|无法|無法|不能|这|該|该|由于|目前|图|請|请|$)|(?:很遗憾|遗憾的是)|我(?:目前|暂时|现在|是一?个?(?:ai|人工智能|语言模型))?(?:无法|無法|不能|没有办法|没办法|不可以|不具备|看不到|无权|不支持|是一[个個])(?:直接|查看|看到|帮|提供|满足|访问|处理|回答|生成|翻译|识别|为|协助|完成|显示|继续|描述|語言|语言|人工|改写|文本|ai|能力)|(?:作为|作為)(?:一个|一個|一款|一名)?(?:ai|人工智能|语言模型|語言模型|文本)|无法(?:回答|提供|生成|识别|查看|处理)",
    r"(?:大変)?(?:申し訳(?:ありません|ございません|ない)|すみません|ごめんなさい|恐れ入りますが|残念ながら)[、。,が\s]*|(?:私は)?(?:ai|人工知能|言語モデル)(?:です|として|なので|アシスタント)|(?:(?:私|現在|今)(?:は|の)?[、\s]*)?(?:画像|写真|ご要望|ご質問|その)\S{0,20}(?:できません|見ることができ|確認できません|お答えできません|対応できません)",
    r"(?:정말 )?(?:죄송(?:합니다|하지만|해요|스럽지만)|미안(?:합니다|하지만)|유감(?:스럽게도|입니다)|안타깝게도)[\s,.]*|저는 (?:ai|인공지능|언어 모델|텍스트)|(?:(?:저는|제가|현재|직접) ){0,3}(?:이미지|사진|요청)\S{0,4} ?(?:를|을|은|는)? ?(?:볼|확인할|직접 볼|처리할|도와드릴) 수 (?:없|가 없)|ai 언어 모델",
    r"(?:ขออภัย|ขอโทษ|ต้องขออภัย|เสียใจ)(?:ครับ|ค่ะ|ด้วย|จริงๆ)*[\s,]*(?:แต่)?\s*(?:ฉัน|ผม|ดิฉัน|เรา|ไม่|ใน|$)|(?:ฉัน|ผม|ดิฉัน)(?:ไม่สามารถ|ไม่อาจ|ยังไม่สามารถ|เป็น(?:โมเดล|ai|ปัญญา))|ในฐานะ(?:ที่เป็น)?(?:โมเดล|ai|ปัญญา)",
)

_GIVE = r"(?:provide|share|upload|attach|supply|specify|clarify|paste|submit|describe|send|give|tell|confirm|elaborate|explain|rephrase|include|enter|input)"
_REQUESTS = (
    rf"(?:please|kindly),? (?:{_GIVE} (?:me |us )?(?:with |on |which |what |whether |if |in )?(?:the|an?|your|more|some|any|additional|further|both|details?|context|all|it|its|image|text|what|which|whether|this)\b"
    r"|let me know\b|note that i\b|clarify\b|share\b (?:the|your)|ask me\b|try again\b)",
    rf"(?:could|can|would|will) you (?:please |kindly |also |perhaps )?(?:{_GIVE}|share|let me know|be more specific)\b",
    rf"(?:once|if|when|after) you (?:can |could |would |have |['’]d like |want |wish |need |{_GIVE}|upload|let me know)",
    r"(?:would you like|do you (?:want|mean|need|have any|have a|have the)|did you mean|are you (?:looking for|asking|referring)|is there (?:anything|something) (?:else|specific)|shall i|should i)\b.*\?",
    r"(?:what|which|how|where|who)\b.{0,80}\b(?:are|do|did|would|were|should|may|could) (?:you|i)\b.{0,60}\?$",
    r"(?:what|which|how)\b.{0,60}\b(?:you(?:['’]d)? (?:like|want|mean|need|prefer|have)|can i (?:help|assist)|may i (?:help|assist)|do you)\b.*\?",
    r"(?:hello|hi|hey)\b[!,.]?\s*(?:there)?[!,.]*\s*(?:how|what|i(?:['’]m| am)|it (?:looks|seems))\b",
    r"how (?:can|may) i (?:help|assist)\b",
    r"i(?:['’]d| would)? (?:need|require) (?:more|the|additional|further|some|an?|to (?:see|know)) ?(?:\w+ ){0,4}(?:information|context|details?|image|picture|photo|text|clarification|article|query|what|which|content)\b",
    rf"i (?:don['’]t|do not|can['’]t|cannot|didn['’]t|did not) (?:see|have|find|receive|get) (?:an?|any|the|enough|your) (?!ability|means|capab)(?:\w+ ){{0,3}}{_NOTHING_TO_SEE}",
    r"(?:it (?:seems|looks|appears)|it['’]s likely)(?: like| as if| as though| that)* (?:you(?:['’]ve|['’]re|['’]d|r)?\b|there (?:is no|was no|might be|may be|seems|['’]s no|are no)\b|(?:the|your|this) (?:\w+ ){0,3}(?:is|was|got|did|does|has|were|you|isn['’]t|wasn['’]t|didn['’]t|hasn['’]t|may|might)\b ?(?:missing|empty|incomplete|not|cut|n['’]t|provided|incorrectly|been|load|attached|be)?)",
    rf"you (?:haven['’]t|have not|didn['’]t|did not|forgot to|need to|only|['’]ve not)\b.{{0,30}}\b(?:{_GIVE}d?|provided|attached|uploaded|shared|included)",
    rf"(?:there (?:is|was|are|were|seems to be|appears to be) )?no {_NOTHING_TO_SEE}(?: \w+){{0,3}} (?:in (?:your|the|this) (?:message|request|prompt|query|chat|conversation)|provided|attached|uploaded|given|shared|included|visible|available)\b",
    r"(?:the|your|this) (?:image|picture|photo|photograph|file|link|attachment|query|text|article)(?: you \w+)? (?:was not|is not|isn['’]t|wasn['’]t|has not|hasn['’]t|could not|couldn['’]t|cannot|can['’]t|did not|didn['’]t|failed to|does not|doesn['’]t) (?:be |been )?(?:provided|attached|uploaded|loaded|visible|available|displayed|accessible|included|shared|come through|load|appear to|opened|seen|clear|specif\w+|show up|contain)\b",
    r"(?:the|your|this) (?:message|query|request|input|text|question|prompt|sentence|article) (?:you (?:sent|gave|provided) )?(?:seems|appears|looks|is)(?: to be| to have been)? (?:incomplete|empty|cut off|unclear|missing|truncated|garbled|ambiguous|too (?:short|vague))\b",
    r"(?:i(?:['’]m| am) (?:ready|here to|waiting)|i understand(?: that you|[.!,]|$)|i(?:['’]ll| will) (?:wait|need)|let me know (?:if|what|which|how|when)|feel free to|just let me know|to (?:help|assist|rewrite|translate|answer|give|provide|create|write) [^.?!]{0,80}\b(?:i(?:['’]d| would)? need|please))\b",
    r"without (?:being able to |direct )?(?:seeing|see|viewing|access to|more (?:context|information|details)|additional (?:context|information)|further (?:context|information)|any (?:context|additional|more)|the (?:actual|full|original) (?:image|text|article))\b",
    # Other languages: please give, could you, what do you want, no picture is there
    r"bitte (?:geben|laden|stellen|teilen|senden|gib|lade|schicken|beschreiben|nennen|präzisieren|fügen|lassen) (?:sie|mir|den|das|ein|die)\b|(?:können|könnten|kannst|könntest) (?:sie|du) (?:mir |bitte |das )",
    r"es (?:scheint|sieht so aus)[^.]{0,20}(?:kein|dass (?:sie|du|das|kein))|ich (?:sehe|habe|benötige|brauche|finde) (?:leider )?(?:kein\w*|weitere|mehr)\b|(?:welches|welche|was|wie) (?:\w+ ){0,3}(?:möchten|meinen|kann ich)\b.*\?",
    r"(?:veuillez|merci de|pourriez-vous|pouvez-vous|peux-tu|pourrais-tu)\b|(?:il semble (?:que|qu['’])|je ne vois (?:pas|aucune))|que (?:souhaitez|voulez)-vous\b|quelle (?:image|photo|requête) ",
    r"por favor,? (?:proporcion\w+|compart\w+|sub[ae]|adjunt\w+|indi[cq]\w+|envi\w+|env[íi]\w+|especifi\w+|facilit\w+|d[ea]me|aclar\w+|forne[cç]\w+|compartilh\w+|anex\w+|esclare\w+|inform\w+)|¿(?:podrías?|puedes?|podría usted|puede|qué (?:te|le|quieres|desea|imagen)|en qué|cuál (?:es la imagen|imagen))\b|parece que (?:no|falta|has|la imagen|você|o)\b|necesito (?:más|que|la imagen|ver)\b|no veo (?:ninguna|la)\b",
    r"(?:você )?(?:poderia|pode) (?:me |por favor |fornecer|compartilhar|enviar|esclarecer)|preciso (?:de mais|da imagem|que)|não vejo (?:nenhuma|a imagem)|como posso (?:ajud|te ajud)",
    r"(?:per favore|ti prego|si prega),? (?:di )?(?:forni\w+|condivid\w+|caric\w+|invi\w+|specific\w+|allega\w*|indic\w+)|(?:potresti|puoi|potrebbe|può) (?:per favore |gentilmente )?(?:fornir|condivider|caricar|specificar|inviar|chiarir)\w*|sembra che (?:non|tu|l['’]immagine|manchi)|non vedo (?:alcuna|nessuna|l['’]immagine)|ho bisogno (?:di più|dell['’]|di (?:maggiori|ulteriori|vedere))|come posso aiutar",
    r"(?:geef|deel|upload|stuur|verstrek) (?:alstublieft|a\.?u\.?b|alsjeblieft|mij|de afbeelding)|(?:kunt u|kun je|zou je|zou u) (?:mij|me|de|het|alstublieft|meer)\b|ik zie geen afbeelding|welke afbeelding ",
    r"(?:proszę|prosimy)(?: o)? (?:podaj|podać|podanie|przesła\w+|udostępni\w+|przesłanie|prześlij|dostarcz\w*|o przesłanie|załącz\w*)|czy (?:możesz|mógłbyś|mogłabyś|może pan)|nie widzę (?:żadnego )?(?:obrazu|zdjęcia)|wygląda na to,? że nie",
    r"пожалуйста,? (?:предостав\w+|загруз\w+|пришл\w+|уточн\w+|отправ\w+|укаж\w+|прикреп\w+|опиш\w+|напиш\w+|дайте)|(?:не могли бы вы|вы не могли бы|можете ли вы|могли бы вы|какое изображение|что (?:именно )?вы хотите)|похоже,? (?:что )?(?:вы|изображение|вы не)\b|я не вижу (?:изображени\w+|картин\w+|фото\w*)|мне нуж(?:но|на|ны) (?:больше|дополнительн\w+|изображени\w+)|(?:уточните|предоставьте|пришлите|загрузите)(?:,? пожалуйста)?\b|чем (?:я )?могу помочь",
    r"будь ласка,? (?:надай\w+|завантаж\w+|уточн\w+|надішл\w+)|(?:надайте|уточніть|завантажте)\b|чи (?:не )?могли б ви",
    r"lütfen (?:\S+ ){0,4}(?:sağla\w*|paylaş\w*|yükle\w*|belirt\w*|ver\w*|gönder\w*|ekle\w*|açıkla\w*)|(?:\S+ ){0,6}(?:paylaşabilir|sağlayabilir|yükleyebilir|gönderebilir|belirtebilir|verebilir) (?:misin|misiniz|mısınız)|size nasıl yardımcı|görünüşe göre",
    r"(?:vui lòng|xin vui lòng|hãy|xin hãy|làm ơn) (?:cung cấp|tải|chia sẻ|gửi|cho (?:tôi|mình|biết)|mô tả (?:hình|chi)|nhập|nêu rõ|làm rõ)|bạn (?:có thể|vui lòng|muốn)\b.{0,80}(?:không|cung cấp|gì|nào)\b|có vẻ như (?:bạn|không)|tôi (?:cần|không thấy) (?:thêm|hình|ảnh|bạn)",
    r"(?:silakan|tolong|mohon|harap) (?:berikan|unggah|bagikan|kirim\w*|sertakan|jelaskan|sediakan|masukkan)|(?:bisakah|dapatkah|apakah) (?:anda|kamu)\b|sepertinya (?:anda|kamu|tidak|gambar)|saya (?:memerlukan|membutuhkan|tidak melihat)",
    r"(?:يرجى|الرجاء|من فضلك|يُرجى|رجاءً?)[،,]? (?:تقديم|توفير|إرسال|تحميل|رفع|مشاركة|تزويدي|تحديد|إرفاق|توضيح|إدخال|كتابة|أرسل|قدم|حدد|ارفع|شارك|زودني|أخبرني)|هل (?:يمكنك|تستطيع|بإمكانك|تريد|تقصد|ترغب)|(?:يبدو (?:أنك|أن|أنه)) (?:لم|نسيت|لا|الصورة)|لا (?:أرى|توجد|يوجد) (?:أي )?(?:صورة|صور)|أحتاج (?:إلى )?(?:مزيد|المزيد|الصورة)|كيف يمكنني مساعد",
    r"لطفا(?:ً)? (?:\S+ ){0,4}(?:ارائه|ارسال|بارگذاری|مشخص|بفرست|آپلود)|آیا می‌?توانید",
    r"(?:कृपया) (?:\S+ ){0,7}(?:प्रदान|साझा|अपलोड|भेज|दें|बताए|बताएं|स्पष्ट)|क्या आप (?:\S+ ){0,8}(?:सकते|चाहते|चाहेंगे)|मुझे (?:\S+ ){0,4}(?:ज़रूरत|जरूरत|आवश्यकता|चाहिए)|ऐसा लगता है",
    r"(?:אנא|בבקשה) (?:ספק|שתף|העלה|שלח|ציין|הבהר|צרף)|האם (?:תוכל|אתה)",
    r"请(?:您|你|再|先)?(?:提供|上传|分享|发送|给出|说明|告诉我|补充|输入|描述一下|明确|确认|把|将|附上|告知)|請(?:您|你)?(?:提供|上傳|分享|給|說明|告訴|補充|輸入)|(?:您|你)(?:能|可以|能否|可否|是否可以|想|需要|希望|是想|好像没有|似乎没有|还没有|没有)(?:再)?(?:提供|上传|告诉|分享|说明|我|要|把|描述|补充|翻译|改写|什么|哪)|(?:我)?没有(?:看到|收到|找到)\S{0,4}(?:图片|图像|照片|文章|内容)|似乎(?:您|你|没有|缺少)|看起来(?:您|你|没有)|(?:我)?需要更多(?:信息|上下文|细节|背景)|(?:有什么|怎么|请问)\S{0,6}(?:可以帮|帮助您|帮您|需要)|没有图片",
    r"(?:画像|写真|文章|記事|テキスト|詳細|詳しい\S{0,4}|もう少し\S{0,8}|クエリ|内容|原文)(?:を|が|の)\S{0,16}(?:提供|アップロード|共有|送って|教えて|添付|お知らせ|入力|ご提示|貼り付け)\S{0,10}(?:ください|下さい|いただけ|もらえ|ますか|お願い)|どの(?:画像|写真|ような)\S{0,30}(?:か[？?。]?|ください)$|(?:画像|写真)が(?:見当たり|添付されて|提供されて|ありません|確認でき)|お手伝いできることは|何をお手伝い",
    r"(?:\S+ ){0,6}(?:이미지|사진|텍스트|문서|기사|내용|정보|세부\s?정보|쿼리|질문)(?:를|을|가|이)? ?(?:\S+ ){0,3}(?:제공|업로드|공유|보내|첨부|알려|입력)\S*(?: \S+)? ?(?:주세요|주시|주십시오|바랍니다|수 있나요|수 있으신가요|주실)|(?:이미지|사진)(?:가|이) (?:없|제공되지|첨부되지|보이지)|어떤 (?:이미지|사진)\S* .*(?:까요|나요|신가요)\??$|무엇을 도와|도움이 필요하",
    r"(?:กรุณา|โปรด|รบกวน|ช่วย)(?:ให้|ส่ง|อัปโหลด|อัพโหลด|แชร์|ระบุ|แนบ|บอก|ใส่|อธิบายเพิ่มเติม|แบ่งปัน)|คุณ(?:ช่วย|สามารถ|ต้องการ)\S*(?:ไหม|หรือไม่|อะไร|มั้ย)|ไม่(?:มี|พบ|เห็น)(?:รูป)?ภาพ|ต้องการข้อมูลเพิ่มเติม",
)

_ALOUD = (
    r"(?:okay|ok|alright|hmm+|wait|well)[,.…]+\s*(?:so|let['’]?s|let me|the user|i need|i have|we|first|this)\b",
    r"(?:so|first|now)?,?\s*(?:the user (?:wants|is asking|asks|has (?:given|provided|asked)|wrote|says|gave|provided|needs|said|query|seems)|the (?:question|task|prompt|instruction) (?:is|asks|says|wants))\b",
    r"(?:so|first|now|okay|well),? (?:the|this) (?:original |given )?(?:query|text|caption|article|instruction|image|question|change|sentence)\b.{0,40}\b(?:is|says|describes|means|mentions|asks)\b",
    r"we(?:['’]re| are) (?:given|asked|told)\b",
    r"we (?:need|have|are asked|must|should|want) (?:to (?:produce|write|output|answer|translate|rewrite|generate|give|create|provide|describe|find|parse|craft|come up|respond)|a (?:short|caption|query)|given)\b",
    r"(?:first|so|now),? (?:i|we|let me|let['’]s)(?:['’]ll|['’]ve)? (?:need|should|have|must|will|want|look|see|think|break|understand|start)\b",
    r"i (?:need|should|have|must|want) to (?:translate|rewrite|write|produce|create|generate|figure|think|come up|describe|consider|answer|understand|find|output|make sure|provide|give)\b",
    r"let['’]?s (?:see|think|analy[sz]e|parse|break (?:this|it)|start|look|craft)\b|let me (?:think|see|analy[sz]e|start|break|parse|look|consider)\b",
    r"(?:thinking process|thought process|chain of thought|step-by-step reasoning|reasoning|thinking|analysis|my thinking|thoughts?)\s*:",
    r"(?:好的?|嗯|首先|那么)[，,]?\s*(?:我(?:现在|需要|得|要|应该)|用户|让我|这个问题|我们)|用户(?:让我|要求|想|需要|给|希望|提供|的(?:问题|查询|要求)是|发来|现在)|我(?:现在|首先)?需要(?:先|把|将|根据|理解|考虑|分析|翻译|处理|仔细)|让我(?:想|看看|分析|来|思考)|嗯[，,]",
    r"(?:まず|さて|えっと|では)[、,]?\s*(?:ユーザー|この|質問|考え)|ユーザー(?:は|の(?:要求|質問|指示)|が)|考えてみ",
    r"(?:хорошо|ладно|итак|сначала)[,.]?\s*(?:пользовател\w*|мне нужно|давайте|нужно|надо)|пользователь (?:хочет|просит|дал|спрашивает)|мне нужно (?:перевести|написать|переписать)|давайте (?:подумаем|разбер\w+|посмотр\w+)",
    r"(?:okay|gut|also|zuerst)[,.]\s*(?:der (?:benutzer|nutzer)|ich (?:muss|soll)|lass)|der (?:benutzer|nutzer) (?:möchte|will|bittet|fragt)|ich muss (?:den|die|das|zuerst|eine)\b|l['’]utilisateur (?:veut|demande|souhaite)|d['’]accord, (?:l['’]utilisateur|je dois)|el usuario (?:quiere|pide|solicita|está)|(?:bien|vale|okay), (?:el usuario|necesito|tengo que)|o usuário (?:quer|pede|está)|l['’]utente (?:vuole|chiede)|사용자(?:가|는|의 요청)|우선,? |먼저,? (?:사용자|이)|المستخدم (?:يريد|يطلب)|kullanıcı (?:istiyor|benden|bir)",
)


def _any(patterns: tuple[str, ...]) -> re.Pattern[str]:
    return re.compile("|".join(f"(?:{pattern})" for pattern in patterns), re.IGNORECASE)


_REFUSES, _ASKS, _THINKS = _any(_REFUSALS), _any(_REQUESTS), _any(_ALOUD)
_EDGES = " \"'“”‘’«»「」『』`*_¡([—–-"


def said_instead(line: str) -> str | None:
    """What a line does instead of answering: 'refusal', 'question' (it asks back, or says what it lacks) or
    'unfinished' (it thinks aloud, so that the answer never came); None for anything else."""
    line = line.lstrip(_EDGES)
    if _ASKS.match(line):
        return "question"
    if _REFUSES.match(line):
        return "refusal"
    return "unfinished" if _THINKS.match(line) else None
