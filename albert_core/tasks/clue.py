"""Chinese tasks: FewCLUE, OCNLI, CMRC 2018 and DRCD, for models with a Chinese vocabulary."""

from typing import Any

from albert_core.tasks.source import Column, Source
from albert_core.tasks.task import Task

CLUE_FOLDERS = {"ocnli": "ocnli_full", "ocnli-few": "ocnli"}  # the others are named as the task

_JUDGEMENTS = ("contradiction", "entailment", "neutral")
_TNEWS_CATEGORIES = (100, 101, 102, 103, 104, 106, 107, 108, 109, 110, 112, 113, 114, 115, 116)
# fmt: off
_CSLDCP_SUBJECTS = (
    "材料科学与工程", "作物学", "口腔医学", "药学", "教育学", "水利工程", "理论经济学",
    "食品科学与工程", "畜牧学/兽医学", "体育学", "核科学与技术", "力学", "园艺学", "水产",
    "法学", "地质学/地质资源与地质工程", "石油与天然气工程", "农林经济管理", "信息与通信工程",
    "图书馆、情报与档案管理", "政治学", "电气工程", "海洋科学", "民族学", "航空宇航科学与技术",
    "化学/化学工程与技术", "哲学", "公共卫生与预防医学", "艺术学", "农业工程",
    "船舶与海洋工程", "计算机科学与技术", "冶金工程", "交通运输工程", "动力工程及工程热物理",
    "纺织科学与工程", "建筑学", "环境科学与工程", "公共管理", "数学", "物理学",
    "林学/林业工程", "心理学", "历史学", "工商管理", "应用经济学", "中医学/中药学", "天文学",
    "机械工程", "土木工程", "光学工程", "地理学", "农业资源利用", "生物学/生物科学与工程",
    "兵器科学与技术", "矿业工程", "大气科学", "基础医学/临床医学", "电子科学与技术",
    "测绘科学与技术", "控制科学与工程", "军事学", "中国语言文学", "新闻传播学", "社会学",
    "地球物理学", "植物保护",
)
# fmt: on


def _few(name: str, *texts: Column, **others: Any) -> Task:
    """Return a task in FewCLUE's layout, scored by accuracy.

    Its files are train_few_all.json, dev_few_all.json and, if it is there, test_public.json.

    Args:
        name: Name of the task.
        *texts: Keys of the texts.
        **others: Other fields of `Task`, which win over those of the layout.
    """
    values: dict[str, Any] = {
        "train": (Source(file="train_few_all.json"),),
        "dev": (Source(file="dev_few_all.json"),),
        "test": (Source(file="test_public.json", is_optional=True),),
        "metrics": ("accuracy",),
    }
    return Task(name=name, texts=texts, **{**values, **others})


def _reading(name: str, train: str, dev: str) -> Task:
    """Return a task in SQuAD's layout, scored by character as CMRC 2018 is."""
    return Task(
        name=name,
        kind="question_answering",
        train=(Source(file=train),),
        dev=(Source(file=dev),),
        metrics=("cmrc_f1", "cmrc_exact"),
    )


CLUE_TASKS = (
    _few("tnews", "sentence", labels=tuple(map(str, _TNEWS_CATEGORIES))),
    _few("iflytek", "sentence", labels=tuple(map(str, range(119)))),
    _few("csldcp", "content", labels=_CSLDCP_SUBJECTS),
    _few("eprstmt", "sentence", labels=("Negative", "Positive")),
    _few("bustm", "sentence1", "sentence2", labels=("0", "1")),
    _few(
        "afqmc",
        "sentence1",
        "sentence2",
        labels=("0", "1"),
        train=(Source(file="train.json"),),
        dev=(Source(file="dev.json"),),
        test=(Source(file="test.json", id="id", is_labelled=False, is_optional=True),),
    ),
    _few("csl", "abst", "{keyword:，}", labels=("0", "1")),
    _few(
        "cluewsc",
        "text",
        "{target[span2_text]}，{target[span1_text]}",
        labels=("false", "true"),
    ),
    _few("chid", "content", "candidates", label="answer", kind="multiple_choice"),
    _few("ocnli-few", "sentence1", "sentence2", labels=_JUDGEMENTS, skipped_labels=("-",)),
    _few(
        "ocnli",
        "sentence1",
        "sentence2",
        labels=_JUDGEMENTS,
        skipped_labels=("-",),
        train=(Source(file="train.[15]*k.json"),),  # 10k or 50k; 3k is a part of either
        dev=(Source(file="dev.json"),),
        test=(Source(file="test.json", id="id", is_labelled=False, is_optional=True),),
    ),
    _reading("cmrc2018", "cmrc2018_train.json", "cmrc2018_dev.json"),
    _reading("drcd", "DRCD_training.json", "DRCD_dev.json"),
)
