"""ClassResidualAttention against its formula in loops."""

from __future__ import annotations

import math

import pytest
import torch
from zoo_pooling.csra import ClassResidualAttention

import zoo
from zoo import InvalidValue
from zoo.testing.subject import Scoring

TEMPERATURES = {
    1: [1],
    2: [1, math.inf],
    4: [1, 2, 4, math.inf],
    6: [1, 2, 3, 4, 5, math.inf],
    8: [1, 2, 3, 4, 5, 6, 7, math.inf],
}


def by_the_paper(x: torch.Tensor, weight: torch.Tensor, weights: list[float]) -> torch.Tensor:
    """Score each class at each position, head by head, and add what attention gives to the mean."""
    classes = len(weight) // len(weights)
    y = torch.zeros(len(x), classes, dtype=x.dtype)
    for n, vectors in enumerate(x.flatten(2).transpose(1, 2)):
        for row, w in enumerate(weight):
            scores = [((w @ v) / w.square().sum().sqrt()).item() for v in vectors]
            temperature = weights[row // classes]
            if temperature == math.inf:
                attended = max(scores)
            else:
                powers = [math.exp(temperature * s) for s in scores]
                attended = sum(p * s for p, s in zip(powers, scores, strict=True)) / sum(powers)
            y[n, row % classes] += sum(scores) / len(scores) + 0.1 * attended
    return y


def golden_case() -> tuple[object, ...]:
    """The case of the golden file: the head with its classifier, the shape of a sample, the slow formula."""
    module = Scoring(ClassResidualAttention(4, num_heads=2), 3)
    weights = TEMPERATURES[2]
    return module, (4, 3, 2), lambda x: by_the_paper(x, module.classifier.weight, weights)


@pytest.mark.parametrize("num_heads", [1, 2, 4, 6, 8])
@pytest.mark.parametrize("size", [(3, 2), (5,)])
def test_follows_the_formula(size: tuple[int, ...], num_heads: int) -> None:
    """The scores are those of the equations, for each number of heads that the authors' code has."""
    torch.manual_seed(0)
    head = ClassResidualAttention(4, ndim=len(size), num_heads=num_heads)
    classifier = head.make_classifier(3).double().requires_grad_(False)
    x = 2 * torch.randn(2, 4, *size, dtype=torch.float64)
    expected = by_the_paper(x, classifier.weight, TEMPERATURES[num_heads])
    torch.testing.assert_close(head(x, classifier=classifier), expected)


@pytest.mark.parametrize("num_heads", [1, 2])
def test_gradient_is_that_of_differences(num_heads: int) -> None:
    """Gradients of the map and of the classifier agree with finite differences, with a mask as well."""
    torch.manual_seed(0)
    head = ClassResidualAttention(3, ndim=1, num_heads=num_heads)
    classifier = head.make_classifier(2).double()
    x = torch.randn(2, 3, 4, dtype=torch.float64, requires_grad=True)
    mask = torch.tensor([[True, True, True, False], [True, True, False, False]])

    def scored(x: torch.Tensor, _weight: torch.Tensor) -> torch.Tensor:
        return head(x, mask, classifier=classifier)

    assert torch.autograd.gradcheck(scored, (x, classifier.weight))


def test_without_a_classifier_it_is_the_mean() -> None:
    """Features are what the first term, without a class, averages."""
    x = torch.randn(2, 8, 3, 4)
    torch.testing.assert_close(ClassResidualAttention(8)(x), x.mean((2, 3)))


def test_the_length_of_a_class_vector_does_not_matter() -> None:
    """Scores are divided by it; one of length 0 gives 0, not 0/0."""
    head, x = ClassResidualAttention(8), torch.randn(2, 8, 3, 4)
    classifier = head.make_classifier(3)
    expected = head(x, classifier=classifier)
    with torch.no_grad():
        classifier.weight.mul_(torch.tensor([[5.0], [1.0], [0.0]]))
    found = head(x, classifier=classifier)
    torch.testing.assert_close(found[:, :2], expected[:, :2])
    assert (found[:, 2] == 0).all()


def test_a_class_pools_where_it_scores() -> None:
    """One position that speaks for a class alone moves its score by more than its share of the mean."""
    head = ClassResidualAttention(2, ndim=1, attention_weight=0.5)
    classifier = head.make_classifier(1)
    torch.nn.init.constant_(classifier.weight, 1.0)
    x = torch.zeros(1, 2, 10)
    x[..., 3] = 10.0
    share = head(x).sum() / math.sqrt(2)
    assert head(x, classifier=classifier).item() > 4 * share


def test_a_model_scores_with_it() -> None:
    """Composed, its classifier is the head's own, without a bias, and follows the number of classes."""
    model = zoo.compose(
        {"name": "attn_cnn", "widths": [8], "depths": 1}, head="csra", num_classes=4
    )
    assert model.get_classifier().weight.shape == (4, 8)
    assert model.get_classifier().bias is None
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 4)
    model.reset_classifier(6)
    assert model(torch.randn(2, 3, 8, 8)).shape == (2, 6)


def test_refuses_bad_options() -> None:
    """Heads are those with temperatures; the weight is above 0."""
    with pytest.raises(InvalidValue, match="num_heads is 3, but must be one of 1, 2, 4, 6, 8"):
        ClassResidualAttention(8, num_heads=3)
    with pytest.raises(InvalidValue, match="attention_weight is 0, but must be a finite number"):
        ClassResidualAttention(8, attention_weight=0)
