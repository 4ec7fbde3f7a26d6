from bailong.data import evaluated, sources


def test_the_lowest_hashes_are_found_in_a_source_of_any_size():
    texts = [f"{n} " + "word " * 2_000 for n in range(400)]
    expected = sorted(texts, key=lambda t: sources.share(t, "held_out"))[:3]
    assert evaluated.lowest(iter(texts + texts[:50]), 25_000) == expected
    assert evaluated.cut(["äß", "äß"], 7) == ["äß", "ä"] and evaluated.cut(["ä"], 1) == []
