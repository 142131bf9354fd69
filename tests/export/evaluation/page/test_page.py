from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Any

import pytest

from cloudmask_export.evaluation.page import Wish, write_page
from cloudmask_export.evaluation.samples import EvaluationError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


@dataclass
class Page(HTMLParser):
    """A page taken apart by Python's own parser."""

    text: str
    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    words: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        super().__init__()
        self.feed(self.text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Keep a tag."""
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        """Keep a text."""
        self.words.append(data)

    def every(self, tag: str) -> list[dict[str, str | None]]:
        """List the attributes of every such tag."""
        return [attributes for name, attributes in self.tags if name == tag]

    def values(self, attribute: str) -> Iterator[str]:
        """List the values of an attribute, whatever the tag."""
        for _, attributes in self.tags:
            value = attributes.get(attribute)
            if value is not None:
                yield value

    @property
    def said(self) -> str:
        """All that is read on it."""
        return " ".join(" ".join(self.words).split())


def made(path: Path, found: Any, **wishes: Any) -> Page:
    write_page(Wish(path=path, **wishes), found.results, found.dataset, found.predictors)
    return Page(path.read_text("utf-8"))


@pytest.fixture
def page(tmp_path: Path, two: Any) -> Page:
    return made(tmp_path / "page.html", two)


def test_nothing_in_the_page_asks_for_anything_outside_it(page: Page) -> None:
    assert all(value.startswith("data:") for value in page.values("src"))
    outside = {"https://example.org/made"}
    assert {value for value in page.values("href") if value[0] != "#"} == {"data:,", *outside}
    assert "@import" not in page.text
    assert "url(" not in page.text


def test_the_page_allows_no_script_but_its_own(page: Page) -> None:
    script = page.text.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    (policy,) = (each["content"] for each in page.every("meta") if "http-equiv" in each)
    assert policy
    assert "default-src 'none'" in policy
    assert f"script-src 'sha256-{digest}'" in policy


def test_links_within_the_page_lead_to_something_in_it(page: Page) -> None:
    places = list(page.values("id"))
    assert len(places) == len(set(places))
    inner = {value[1:] for value in page.values("href") if value.startswith("#")}
    assert inner == {"mask-1", "mask-2"}
    assert inner <= set(places)
    assert set(page.values("aria-labelledby")) <= set(places)


def test_names_do_not_become_code(page: Page) -> None:
    assert "&lt;b&gt;&amp;_2" in page.text
    assert not page.every("b&_2")
    assert "<b>&_2" in page.said


def test_people_who_drew_the_labels_are_marked_and_so_are_derived_ones(
    tmp_path: Path, two: Any, found: Callable[..., Any]
) -> None:
    human = made(tmp_path / "a.html", two).said
    assert "labels drawn by people" in human
    assert "DERIVED" not in human
    derived = made(tmp_path / "b.html", found(*two.predictors, human=False)).said
    assert "labels DERIVED, not drawn by people" in derived
    assert "Nobody drew these labels" in derived


def test_each_protocol_has_a_part_of_its_own(page: Page) -> None:
    assert "Scores, pooled All pixels of all samples together." in page.said
    assert "Scores, patch medians A score for each sample, and the median" in page.said


def test_scores_and_intervals_are_those_of_the_results(page: Page, two: Any) -> None:
    for each in two.results.predictors:
        scores = each.by("pooled").questions["cloud"]
        for measure in ("precision", "recall", "f1", "iou", "boa"):
            assert f" {getattr(scores, measure):.3f} " in page.said
        between = scores.intervals["boa"]
        assert f"{between.low:.3f} to {between.high:.3f}" in page.said


def test_the_confusion_matrix_has_its_counts(page: Page, two: Any) -> None:
    for each in two.results.predictors:
        matrix = each.by("pooled").confusion
        for row in matrix.counts:
            for count in row:
                assert f"{count:,} " in page.said
    assert "called no cloud called cloud all" in page.said


def test_a_question_that_a_mask_cannot_answer_is_a_dash_for_it(page: Page) -> None:
    shadow = page.text.split("<caption>cloud shadow</caption>")[1].split("</table>")[0]
    ours, other = shadow.split("</th>")[-2:]
    assert ">-<" not in ours
    assert other.count(">-<") == 5


def test_the_worst_samples_have_four_pictures_each_that_say_what_they_are(page: Page) -> None:
    pictures = page.every("img")
    # ours is wrong in two samples, the other in one.
    assert len(pictures) == 4 * 3
    alts = [each["alt"] or "" for each in pictures]
    assert alts[0] == "a_1, as the eye would see it"
    assert alts[1].startswith("a_1, labels: clear 69.9 %, thick cloud 25.1 %, thin cloud 0.0 %")
    assert alts[2].startswith("a_1, mask of ours: clear 50.0 %, thick cloud 45.0 %")
    assert alts[3] == "a_1, where labels and mask differ: 19.8 %"
    assert all(each["loading"] == "lazy" for each in pictures)
    # Of labels that are scored: 79 of 399 have another class; three classes of differences.
    assert "clear called thick cloud 19.8" in page.said


def test_as_many_worst_samples_are_shown_as_wanted(tmp_path: Path, two: Any) -> None:
    page = made(tmp_path / "page.html", two, worst=1)
    assert len(page.every("article")) == 2
    none = made(tmp_path / "page.html", two, worst=0)
    assert not none.every("article")
    assert "Worst samples" not in none.said


def test_a_mask_without_a_mistake_says_so(
    tmp_path: Path, found: Callable[..., Any], predictor: Any
) -> None:
    page = made(tmp_path / "page.html", found(predictor("perfect")))
    assert "No sample has a wrong pixel." in page.said
    assert not page.every("img")


def test_points_are_scored_and_drawn_as_points(
    tmp_path: Path, found: Callable[..., Any], predictor: Any
) -> None:
    wrong = predictor("ours", {"a_1": 4})
    page = made(tmp_path / "page.html", found(wrong, points=True))
    assert "points scored" in page.said
    assert "25.0 % of the points are wrong" in page.said.replace("\xa0", " ")
    assert len(page.every("img")) == 4


def test_settings_are_told(tmp_path: Path, two: Any) -> None:
    page = made(tmp_path / "page.html", two, settings=(("stitch", "blend"), ("seed", "3")))
    assert "stitch: blend · seed: 3" in page.said


def test_the_same_results_make_the_same_page(tmp_path: Path, two: Any) -> None:
    first = made(tmp_path / "a.html", two).text
    assert made(tmp_path / "b.html", two).text == first


def test_a_page_that_fails_leaves_nothing(tmp_path: Path, two: Any) -> None:
    @dataclass(frozen=True)
    class Broken:
        name, scheme = "ours", two.predictors[0].scheme

        def predict(self, _sample: Any) -> Any:
            raise EvaluationError("gone")

    broken = replace(two, predictors=(Broken(), two.predictors[1]))
    with pytest.raises(EvaluationError, match="gone"):
        made(tmp_path / "page.html", broken)
    assert list(tmp_path.iterdir()) == []


def test_a_page_that_no_browser_takes_is_refused(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match=r"must end in \.html"):
        Wish(path=tmp_path / "page.pdf")
    with pytest.raises(EvaluationError, match="worst=-1"):
        Wish(path=tmp_path / "page.html", worst=-1)
