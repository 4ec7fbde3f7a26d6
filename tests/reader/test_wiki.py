import bz2

import pytest

from bailong.reader.stream import Damaged, Input
from bailong.reader.wiki import read
from tests.reader.files import put

HEAD = """<mediawiki xmlns="http://www.mediawiki.org/xml/export-0.11/" version="0.11" xml:lang="zh">
  <siteinfo>
    <sitename>Wikipedia</sitename>
    <base>https://zh.wikipedia.org/wiki/Wikipedia:%E9%A6%96%E9%A1%B5</base>
    <namespaces>
      <namespace key="0" case="first-letter" />
      <namespace key="6" case="first-letter">File</namespace>
      <namespace key="14" case="first-letter">Category</namespace>
    </namespaces>
  </siteinfo>
"""


def page(title, text, ns=0, more=""):
    return f"""  <page>
    <title>{title}</title>
    <ns>{ns}</ns>
    <id>7</id>{more}
    <revision><id>9</id><text bytes="9" xml:space="preserve">{text}</text></revision>
  </page>
"""


def items(path, *pages, tail="</mediawiki>\n", limit=100_000, title=True):
    data = (HEAD + "".join(pages) + tail).encode()
    return list(read(Input(put(path / "d.xml.bz2", bz2.compress(data))), "zh-tw", title, True, limit))


def test_articles_only(tmp_path):
    redirect = page("轉", "#REDIRECT [[甲]]", more='\n    <redirect title="甲" />')
    found = items(tmp_path, page("甲 乙", "正文。"), redirect, page("Talk:甲", "討論", ns=1), page("空", "{{stub}}"))
    assert found[0].text == "甲 乙\n\n正文。"
    assert found[0].url == "https://zh.wikipedia.org/wiki/%E7%94%B2_%E4%B9%99"
    assert [i.reason for i in found[1:]] == ["redirect", "other_namespace", "no_content"]


def test_a_broken_page_costs_itself(tmp_path):
    good = page("甲", "正文。")
    data = (HEAD + good).encode() + page("乙", "&bad;").encode() + page("丙", "X").encode().replace(b"X", b"\xff")
    data += good.encode() + b"</mediawiki>"
    found = list(read(Input(put(tmp_path / "d.xml", data)), "zh-tw", False, True, 10_000))
    assert [getattr(i, "text", None) or i.reason for i in found] == ["正文。", "bad_xml", "bad_utf8", "正文。"]
    assert data[found[1].offset :].startswith("<page>\n    <title>乙".encode())


def test_a_page_above_the_limit_is_passed_over(tmp_path):
    one, bad, two = items(tmp_path, page("甲", "一"), page("乙", "長" * 2_000_000), page("丙", "二"), limit=10_000)
    assert (one.text, bad.reason, two.text) == ("甲\n\n一", "too_large", "丙\n\n二")
    assert bad.size > 6_000_000 and len(bad.head) == 200


def test_a_dump_that_breaks_off_keeps_its_whole_pages(tmp_path):
    for tail, whole in (("  <page><title>丙</ti", 2), ("", 2)):
        found = []
        data = (HEAD + page("甲", "一") + page("乙", "二") + tail).encode()
        stream = read(Input(put(tmp_path / "d.xml", data)), "zh-tw", True, True, 10_000)
        try:
            for item in stream:
                found.append(item)
            assert not tail
        except Damaged as damage:
            assert damage.reason == "trunc_tail" and damage.row == 3
            assert data[damage.start :] == tail.strip().encode() == damage.tail
        assert len(found) == whole


def test_what_is_no_dump_is_said(tmp_path):
    (bad,) = read(Input(put(tmp_path / "d.xml", b"<html>nothing</html>")), "zh-tw", True, True, 10_000)
    assert bad.reason == "bad_xml"
    assert items(tmp_path) == []


def test_a_cut_bz2_keeps_its_whole_pages(tmp_path):
    pages = [page(f"頁{i}", f"第{i}頁 {i * i * 7919 % 100003}") for i in range(3000)]
    data = bz2.compress((HEAD + "".join(pages)).encode(), compresslevel=1)
    found = []
    with pytest.raises(Damaged):
        for item in read(Input(put(tmp_path / "d.xml.bz2", data[: len(data) * 2 // 3])), "zh-tw", True, True, 10_000):
            found.append(item)
    assert len(found) > 1000
    assert found[-1].text == f"頁{len(found) - 1}\n\n第{len(found) - 1}頁 {(len(found) - 1) ** 2 * 7919 % 100003}"
