"""What differs is what is shown."""

from hypothesis import given
from hypothesis import strategies as st

from ops.render.diff import ABSENT, Field
from ops.render.values import changed, is_hash, short, sides

TEXT = st.text(st.characters(codec="ascii", categories=("L", "N", "P")), max_size=400)
HASH = "0123456789abcdef"


@given(TEXT, TEXT)
def test_two_values_never_look_the_same(old: str, new: str):
    if old == new or min(old.count(","), new.count(",")) > 4:
        return
    (removed,), (added,) = ([x for x in sides(Field("f", old, new)) if x[0] == s] for s in "-+")
    assert removed[1:] != added[1:]
    assert max(len(removed), len(added)) < 120
    (line,) = changed(Field("f", old, new))
    left, _, right = line.removeprefix("f: ").partition(" → ")
    assert left != right


@given(TEXT, TEXT, st.lists(TEXT, max_size=4), st.lists(TEXT, max_size=4))
def test_nor_do_the_lines_of_two_texts(old: str, new: str, before: list[str], after: list[str]):
    if old == new:
        return
    texts = ["\n".join([*before, middle, *after, "end"]) for middle in (old, new)]
    _, *lines = changed(Field("f", *texts))
    gone, come = ([line[3:] for line in lines if line[2] == sign] for sign in "-+")
    assert gone != come


def test_a_long_line_is_cut_where_it_differs():
    same = "worker_rlimit_nofile 21504;" * 5
    old, new = f"{same}keepalive 1;", f"{same}keepalive 2;"
    shown = list(changed(Field("main-snippets", old, new)))
    assert len(shown) == 1
    assert "…" in shown[0]
    assert "keepalive 1;" in shown[0]
    assert "keepalive 2;" in shown[0]


def test_what_a_line_is_about_stays_where_there_is_room():
    old, new = (f"-A input -s {'10.0.0.0/8':<40} --dports {p} {'x' * 90}" for p in ("80", "443"))
    removed, added = sides(Field("f", old, new))
    assert "10.0.0.0/8" in removed
    assert "--dports 80 " in removed
    assert "10.0.0.0/8" in added
    assert "--dports 443 " in added


def test_a_text_shows_its_changed_lines_and_those_beside():
    old, new = ("\n".join(["a", "b", middle, "d", "e"]) for middle in ("c", "C"))
    assert list(changed(Field("f", old, new))) == ["f:", "   b", "  -c", "  +C", "   d"]
    assert short(old) == "a … (5 lines)"


def test_a_joined_list_shows_its_items():
    old, new = "1,2,3,4,5,6", "1,2,3,4,5,7"
    assert list(sides(Field("f", old, new))) == ["  f:", "- 6", "+ 7"]


def test_what_is_absent_has_one_side():
    assert list(changed(Field("f", ABSENT, ""))) == ['+ f: ""']
    assert list(changed(Field("f", [1], ABSENT))) == ["- f: [1]"]
    assert list(sides(Field("f", ABSENT, None))) == ["+   f: null"]


def test_hashes():
    assert is_hash(Field("f", HASH, HASH[::-1]))
    assert is_hash(Field("f", HASH * 4, HASH[::-1] * 4))
    assert not is_hash(Field("f", HASH, "v1.2.3"))
    assert not is_hash(Field("f", ABSENT, HASH))
