"""Blocks and ADAM* where a user's own loop takes them: copied, stored, under autocast and scalers, settings changed."""

import copy
import io
import pickle

import pytest
import torch
from torch import nn

from infwidth.adam_ntk.adam_star import AdamStar, make_optimiser
from infwidth.adam_ntk.dual_readout import DualReadout
from infwidth.adam_ntk.frozen_readout import FrozenReadout
from infwidth.networks.transformer.model import TrainedReadout
from infwidth.numerics.checks import InputError

MAKERS = {
    "frozen": lambda **changes: FrozenReadout(4, 3, **{"width": 8, "seed": 0, **changes}),
    "trained": lambda **changes: TrainedReadout(4, 3, **{"width": 8, "seed": 0, **changes}),
    "dual": lambda **changes: DualReadout(4, 3, **{"lr": 0.1, **changes}),
}


@pytest.fixture(params=list(MAKERS))
def make(request):
    return MAKERS[request.param]


def inputs(seed=0):
    return torch.randn(6, 4, generator=torch.Generator().manual_seed(seed))


def moved(block):
    """Train a step, so that there is a state."""
    (block(inputs()) - 1).square().sum().backward()
    if isinstance(block, DualReadout):
        block.step()
    else:
        AdamStar([block.readout], lr=0.1).step()
    return block


def through_file(thing, **options):
    file = io.BytesIO()
    torch.save(thing, file)
    file.seek(0)
    return torch.load(file, **options)


COPIES = {
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "deepcopy": copy.deepcopy,
    "torch.save": lambda thing: through_file(thing, weights_only=False),
}


@pytest.mark.parametrize("way", list(COPIES))
@pytest.mark.parametrize("activation", ["relu", "erf", "linear"])
def test_blocks_are_copied_whole_and_apart(make, way, activation):
    block = moved(make(activation=activation))
    before = block(inputs(1)).detach()
    other = COPIES[way](block)
    assert torch.equal(other(inputs(1)), before)
    moved(other)
    assert torch.equal(block.eval()(inputs(1)), before)


@pytest.mark.parametrize("way", list(COPIES))
def test_optimisers_are_copied(way):
    torch.manual_seed(0)
    weights = [nn.Parameter(torch.randn(3, 8)) for _ in range(2)]
    optimiser = AdamStar(weights, lr=0.1, weight_decay=0.1)
    for weight in weights:
        weight.grad = torch.randn(3, 8)
    optimiser.step()
    optimiser, weights = COPIES[way]((optimiser, weights))
    kept = [weight.detach().clone() for weight in weights]
    for weight in weights:
        weight.grad = torch.ones(3, 8)
    optimiser.step()
    assert all(not torch.equal(weight, old) for weight, old in zip(weights, kept, strict=True))
    assert {state["step"] for state in optimiser.state.values()} == {2}


@pytest.mark.parametrize("nested", [False, True])
@pytest.mark.parametrize("stored", [False, True])
def test_a_state_of_another_function_is_refused(make, nested, stored):
    def whole(block):
        return nn.Sequential(nn.Linear(4, 4), block) if nested else block

    state = whole(moved(make(activation="erf"))).state_dict()
    state = through_file(state, weights_only=True) if stored else state
    whole(make(activation="erf")).load_state_dict(state)
    untouched = whole(make(activation="relu"))
    before = untouched.state_dict()
    with pytest.raises(InputError, match=r"has activation = 'erf': expected 'relu'") as caught:
        untouched.load_state_dict(state)
    assert "\n" not in str(caught.value)
    name = "1.readout" if nested and "1.readout" in before else "readout"
    if name in before:
        assert torch.equal(untouched.state_dict()[name], before[name])


@pytest.mark.parametrize(
    "change", [{"optimizer": "sgd"}, {"betas": (0.5, 0.9)}, {"bias": True}, {"weight_decay": 0.3}, {"eps": 1e-3}]
)
def test_a_dual_state_of_another_rule_is_refused(change):
    state = moved(MAKERS["dual"]()).state_dict()
    with pytest.raises(InputError, match=f"has {next(iter(change))} = "):
        MAKERS["dual"](**change).load_state_dict(state)


def test_autocast_leaves_the_kernel_in_its_own_precision():
    block, plain = MAKERS["dual"](), MAKERS["dual"]()
    for one, context in (
        (block, torch.autocast("cpu", dtype=torch.bfloat16)),
        (plain, torch.autocast("cpu", enabled=False)),
    ):
        for _ in range(2):
            with context:
                loss = (one(inputs()) - 1).square().mean()
            loss.backward()
            one.step()
    assert torch.equal(block.coefficients, plain.coefficients)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = nn.Linear(4, 4)(inputs())
        assert low.dtype == torch.bfloat16
        assert block(low).dtype == torch.float32


@pytest.mark.parametrize("optimizer", ["sgd", "adam_star"])
def test_a_scaled_loss_gives_the_same_step(optimizer):
    plain, scaled = (MAKERS["dual"](optimizer=optimizer) for _ in range(2))
    for _ in range(3):
        (plain(inputs()) - 1).square().mean().backward()
        plain.step()
        (1024 * (scaled(inputs()) - 1).square().mean()).backward()
        scaled.step(1024.0)
    assert torch.equal(scaled.coefficients, plain.coefficients)
    (float("inf") * scaled(inputs()).sum()).backward()
    scaled.step(1024.0)  # skipped
    assert torch.equal(scaled.coefficients, plain.coefficients)
    assert scaled.steps == 3
    with pytest.raises(InputError, match="scale = 0"):
        scaled.step(0.0)


def test_what_cannot_work_says_so_in_a_line():
    block = MAKERS["dual"]()
    scaler = torch.amp.GradScaler("cpu")
    scaler.scale(block(inputs()).sum()).backward()
    with pytest.raises(AttributeError, match=r"step\(scaler.get_scale\(\)\)"):
        scaler.step(block)
    assert getattr(block, "param_groups", None) is None
    with pytest.raises(AttributeError, match="no attribute 'rate'"):
        block.rate  # noqa: B018
    block.step()
    x = inputs().requires_grad_()
    (slope,) = torch.autograd.grad(block(x).sum(), x, create_graph=True)
    with pytest.raises(InputError, match="differentiated twice") as caught:
        slope.square().sum().backward()
    assert "\n" not in str(caught.value)


def stepped(name="adam_star", **options):
    weight = nn.Parameter(torch.ones(3, 8))
    optimiser = make_optimiser(name, [weight], 0.1, **options)
    weight.grad = torch.linspace(-1, 1, 24).view(3, 8)
    optimiser.step()
    return weight, optimiser


@pytest.mark.parametrize(
    ("name", "setting", "value"),
    [
        ("rmsprop_star", "betas", (0.9, 0.999)),
        ("adam_star", "betas", (0.0, 0.999)),
        ("sgd", "adaptive", True),
        ("adam_star", "sharing", "none"),
        ("adam_star", "sharing", "layer"),
        ("adam", "accumulate", "sum"),
        ("adam_star", "amsgrad", True),
        ("adam_star", "maximize", True),
    ],
)
def test_settings_that_ask_for_what_was_not_kept(name, setting, value):
    weight, optimiser = stepped(name)
    before = weight.detach().clone()
    optimiser.param_groups[0][setting] = value
    with pytest.raises(InputError, match=f"^{setting} = ") as caught:
        optimiser.step()
    assert "\n" not in str(caught.value)
    assert torch.equal(weight, before)


@pytest.mark.parametrize(
    ("setting", "value"), [("lr", 0.5), ("weight_decay", 0.5), ("betas", (0.5, 0.9)), ("eps", 0.1), ("amsgrad", False)]
)
def test_settings_that_can_change_between_steps(setting, value):
    weight, optimiser = stepped()
    before = weight.detach().clone()
    optimiser.param_groups[0][setting] = value
    optimiser.step()
    assert not torch.equal(weight, before)


def test_groups_with_settings_of_their_own():
    weight, optimiser = stepped()
    other = nn.Parameter(torch.ones(2, 4))
    optimiser.add_param_group({"params": [other], "sharing": "none", "weight_decay": 0.1})
    other.grad = torch.ones(2, 4)
    optimiser.step()
    assert [optimiser.state[one]["step"] for one in (weight, other)] == [2, 1]
    with pytest.raises(InputError, match="amsgrad = True"):
        optimiser.add_param_group({"params": [nn.Parameter(torch.ones(2, 2))], "amsgrad": True})


@pytest.mark.parametrize("rival", [torch.optim.Adam, torch.optim.SGD, torch.optim.RMSprop])
def test_states_of_other_optimisers_are_refused(rival):
    weight, optimiser = stepped()
    theirs = rival([weight], lr=0.1)
    theirs.step()
    with pytest.raises(InputError, match="another optimiser's"):
        optimiser.load_state_dict(theirs.state_dict())
    with pytest.raises(InputError, match="has sharing = 'none': expected 'features'"):
        optimiser.load_state_dict(stepped("adam")[1].state_dict())
    optimiser.load_state_dict(stepped(weight_decay=0.2)[1].state_dict())  # rates go with the state, as torch has it
    assert optimiser.param_groups[0]["weight_decay"] == 0.2


@pytest.mark.parametrize("name", ["adam_star", "rmsprop_star", "adagrad_star", "adamw_star", "adam"])
def test_readouts_moved_together_move_as_alone(name):
    """Of several widths, and some without a gradient at some steps."""
    shapes = [(3, 8), (5, 8), (2, 3, 8), (4, 16), (8,), (1, 16)]

    def trained(groups):
        weights = [nn.Parameter(torch.ones(shape)) for shape in shapes]
        movers = [make_optimiser(name, some, 0.1) for some in (weights[a:b] for a, b in groups)]
        for step in range(4):
            for place, weight in enumerate(weights):
                random = torch.Generator().manual_seed(10 * step + place)
                weight.grad = None if (step + place) % 3 == 0 else torch.randn(weight.shape, generator=random)
            for mover in movers:
                mover.step()
        return weights

    together, alone = trained([(0, 6)]), trained([(i, i + 1) for i in range(6)])
    assert all(torch.equal(one, other) for one, other in zip(together, alone, strict=True))
