"""`zoo bench`: who takes turns, at what size, and what is said of it. Never how long anything takes."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch

import zoo
from zoo.cli import bench
from zoo.composition import timing

TINY = "plain_cnn(widths=[4]) + avg"
OTHER = "plain_cnn(widths=[2]) + avg"
FAST = ("--size", "8", "--rounds", "2")


@pytest.fixture
def small(tmp_path: Path, small_spec) -> str:
    """A file of a model for images of 8x8."""
    model = zoo.compose(zoo.Spec.from_data(small_spec))
    return str(zoo.save(model, tmp_path / "small.safetensors"))


@pytest.fixture
def inputs(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, tuple[int, ...], bool]]:
    """Of each forward pass that is timed: kind of input, shape of the batch, whether in training mode."""
    seen = []
    make_turn = timing.make_turn

    def note(module, x):
        seen.append((module.spec.input.kind, tuple(x[0].shape), module.training))

    def spied(model, *args, **options):
        if note not in model._forward_pre_hooks.values():
            model.register_forward_pre_hook(note)
        return make_turn(model, *args, **options)

    monkeypatch.setattr(timing, "make_turn", spied)
    return seen


def rows(done) -> list[dict]:
    """The rows of `--json`."""
    return json.loads(done.out)["rows"]


def test_a_table_has_a_row_for_each_model(command, small):
    """Under one line that says what the machine is; in the order of the words."""
    done = command("bench", small, TINY, "--size", "8", "--rounds", "3")

    machine, _, batch, headings, *lines = done.out.splitlines()
    assert (done.code, done.err) == (0, "")
    for word in (f"torch {torch.__version__}", "1 thread on", "float32, channels first; inference"):
        assert word in machine
    assert batch == "batch 1"
    assert headings.split() == [
        "PARAMS",
        "MULT-ADDS",
        "MS",
        "QUARTILES",
        "SAMPLES/S",
        "RATIO",
        "MODEL",
    ]
    assert lines[0].endswith(f"1.00   {small} at 3x8x8")
    assert lines[1].endswith(f"{TINY} at 3x8x8")
    assert lines[3].startswith("Milliseconds a batch: median and quartiles of 3 rounds, ")


def test_json_has_every_figure(command, small, small_spec):
    """Machine, conditions, and for each model and batch the same fields; costs are those of zoo.cost."""
    done = command("bench", small, small, "--batch", "1", "3", "1", "--rounds", "4", "--json")

    data = json.loads(done.out)
    cost = zoo.cost(zoo.compose(zoo.Spec.from_data(small_spec)))
    assert (done.code, data["mode"], data["rounds"]) == (0, "inference", 4)
    assert data["machine"]["threads"] == torch.get_num_threads()
    assert data["machine"]["compiled"] is False
    assert [row["batch"] for row in data["rows"]] == [1, 1, 3, 3]
    for row in data["rows"]:
        assert (row["model"], row["input"], row["shape"]) == (small, "image", [3, 8, 8])
        assert (row["parameters"], row["multiply_adds"]) == cost
        low, high = row["quartiles"]
        assert 0 < low <= row["milliseconds"] <= high
        assert row["samples_per_second"] == pytest.approx(1000 * row["batch"] / row["milliseconds"])
        assert row["problem"] is None
    first, second = data["rows"][:2]
    assert first["ratio"] == 1.0
    assert second["ratio"] == pytest.approx(second["milliseconds"] / first["milliseconds"])


def test_the_models_take_turns_at_each_batch(command, inputs):
    """Round by round, those that do not count included; in eval mode."""
    words = ("image(channels=1) -> " + TINY, "image(channels=2) -> " + OTHER)
    done = command("bench", *words, *FAST, "--batch", "2", "3")

    turns = timing.WARM_UP + 2
    expected = [
        ("image", (batch, channels, 8, 8), False)
        for batch in (2, 3)
        for _ in range(turns)
        for channels in (1, 2)
    ]
    assert done.code == 0
    assert inputs == expected


def test_training_steps_are_timed_where_asked(command, inputs):
    """In training mode, with a batch that norms can be trained on."""
    done = command("bench", TINY, *FAST, "--train")

    assert done.code == 0
    assert inputs == [("image", (32, 3, 8, 8), True)] * (timing.WARM_UP + 2)
    assert "channels first; training" in done.out.splitlines()[0]
    assert "Milliseconds a training step:" in done.out


def test_a_sound_of_any_length_is_taken_at_a_second(command, inputs):
    """Which has as many samples as the model's sample rate."""
    done = command("bench", "audio_cnn(widths=[4], sample_rate=8000) + avg", "--rounds", "1")

    assert inputs[0][1] == (1, 1, 8000)
    assert "sounds of any size are taken at 1x8000" in done.err


def test_each_kind_of_input_has_its_own_size(command, inputs):
    """As asked; seconds are those of the model's sample rate."""
    words = (
        "text_cnn(embedding_dim=4, maps=2) + max",
        "sequence(channels=5) -> plain_cnn(ndim=1, widths=[4]) + avg",
        "audio_cnn(widths=[4], sample_rate=8000) + avg",
        TINY,
    )
    sizes = ("--length", "12", "--seconds", "0.5", "--size", "8", "6")
    done = command("bench", *words, *sizes, "--rounds", "1")

    assert done.code == 0
    assert [shape for _, shape, _ in inputs[:4]] == [
        (1, 12),
        (1, 5, 12),
        (1, 1, 4000),
        (1, 3, 8, 6),
    ]
    assert done.err == f"zoo: note: no vocabulary is said by {words[0]}; 10,000 tokens are taken.\n"


def test_a_size_that_nobody_says_is_told(command, small):
    """The usual one, which models take it, and the option that says another; and that sizes differ."""
    done = command("bench", small, TINY, OTHER, "--rounds", "1")

    assert done.code == 0
    assert done.err.splitlines() == [
        f"zoo: note: images of any size are taken at 3x32x32 by {TINY}, {OTHER}; --size says another.",
        "zoo: note: the models get images of several sizes; --size gives all one.",
    ]
    assert f"{TINY} at 3x32x32" in done.out


@pytest.mark.parametrize("options", [[], ["--seconds", "0.01"]])
def test_sounds_of_several_rates_are_told(command, options):
    """Nothing makes their sizes one: it is not what the option says of time that differs."""
    words = [
        f"audio_cnn(widths=[4], depths=1, num_mels=8, sample_rate={rate}) + avg"
        for rate in (4000, 8000)
    ]
    done = command("bench", *words, *options, "--rounds", "1")

    assert done.code == 0
    assert done.err.splitlines()[-1] == (
        "zoo: note: the models get sounds of several sizes; they take 4,000 and 8,000 samples a second, and --seconds "
        "can give all one time alone."
    )


def test_a_ref_needs_no_weights(command, make_registry):
    """Its spec is enough, even if none were ever published; so is that of an architecture."""
    registry = make_registry(bare={"1.0.0": {}})

    done = command("bench", "bare", "timm/test_resnet", *FAST, "--json", registry=registry)

    assert [row["model"] for row in rows(done)] == ["bare", "timm/test_resnet"]
    assert (done.code, done.err) == (0, "")


def test_conditions_are_those_asked_for(command, monkeypatch):
    """They reach what makes the runs, and stand in the line above the table."""
    asked = []

    def make_turn(model, shape, batch, conditions):
        asked.append(conditions)
        return lambda: None

    monkeypatch.setattr(timing, "make_turn", make_turn)
    monkeypatch.setattr(bench, "check_compiler", lambda _device: None)
    done = command("bench", TINY, *FAST, "--bf16", "--channels-last", "--compile", "--train")

    assert asked == [timing.Conditions(True, torch.device("cpu"), True, True, True)]
    assert "bfloat16 autocast, channels last, compiled; training" in done.out


def test_threads_are_set(command, monkeypatch):
    """For this process, before anything is timed."""
    counts = []
    monkeypatch.setattr(torch, "set_num_threads", counts.append)

    assert command("bench", TINY, *FAST, "--threads", "3").code == 0
    assert counts == [3]


def test_a_model_that_fails_is_named_and_the_others_are_timed(command):
    """With the batch; its row says so, and the exit code. Without the first model there are no ratios."""
    words = (f"image(size=[1, 1], channels=3) -> {TINY}", OTHER)
    done = command("bench", *words, "--train", "--batch", "1", "2", "--rounds", "1")

    assert done.code == 1
    assert (
        f"zoo: error: {words[0]} at 3x1x1, batch 1: ValueError: Expected more than 1 value per channel"
        in done.err
    )
    assert "batch 2:" not in done.err
    first, second = done.out.split("\n\n")[1:3]
    assert first.splitlines()[1].split() == [
        "PARAMS",
        "MULT-ADDS",
        "MS",
        "QUARTILES",
        "SAMPLES/S",
        "MODEL",
    ]
    assert " failed  " in first.splitlines()[2]
    assert "failed" not in first.splitlines()[3]
    assert "failed" not in second
    data = rows(command("bench", *words, "--train", "--batch", "1", "--rounds", "1", "--json"))
    assert data[0]["problem"].startswith("ValueError: Expected more than 1 value")
    assert data[0].keys() == data[1].keys()
    assert (data[0]["milliseconds"], data[1]["ratio"]) == (None, None)


@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB."),
        RuntimeError("[enforce fail] DefaultCPUAllocator: can't allocate memory: you tried ..."),
    ],
)
def test_too_little_memory_is_said_in_words(command, monkeypatch, error):
    """What to give instead, for each way in which torch says it."""

    def make_turn(_model, _shape, batch, _conditions):
        if batch == 7:
            raise error
        return lambda: None

    monkeypatch.setattr(timing, "make_turn", make_turn)
    done = command("bench", TINY, *FAST, "--batch", "7", "1")

    assert done.code == 1
    assert done.err == (
        f"zoo: error: {TINY} at 3x8x8, batch 7: there is not enough memory; give a smaller --batch or input.\n"
    )
    assert "batch 1\n" in done.out


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["attn_cnn_smal"], "No variant is called 'attn_cnn_smal'. Did you mean 'attn_cnn_small'"),
        (["plain_cnn"], "A backbone has that name; write 'plain_cnn + avg'."),
        (["timm/resnt18"], "timm has no architecture 'resnt18'. Did you mean 'resnet18'"),
        (["none.yaml"], "none.yaml cannot be read: No such file"),
        (["plain_cnn + se@branch + avg"], "plain_cnn + se@branch + avg: "),
        ([TINY, "--batch", "0"], "argument --batch: '0' is no whole number of at least 1."),
        (["--batch", "1", TINY], "of at least 1; models stand before the options."),
        ([TINY, "--rounds", "0"], "argument --rounds: '0' is no whole number"),
        ([TINY, "--size", "8", "8", "8"], "--size takes one number or two"),
        ([TINY, "--seconds", "0"], "argument --seconds: '0' is no time in seconds"),
        ([TINY, "--length", "5"], "--length is for texts and sequences; no model here takes any."),
        ([TINY, "--seconds", "1"], "--seconds is for sounds; no model here takes any."),
        (["text_cnn + max", "--size", "8"], "--size is for images;"),
        (["text_cnn + max", "--channels-last"], "--channels-last is for images;"),
        ([TINY, "--device", "meta"], "--device meta: torch cannot use it on this machine"),
        ([*[TINY] * 9, "--compile"], "--compile takes at most 8 models in one call."),
    ],
)
def test_what_cannot_be_done_is_one_error(command, words, message):
    """One line that says what to do, exit code 2, and nothing is timed."""
    done = command("bench", *words)

    assert (done.code, done.out) == (2, "")
    assert message in done.err
    assert done.err.count("\n") == 1


def test_a_machine_without_a_compiler_is_told(command, monkeypatch):
    """Before any model is built."""

    def refuse(*_args, **_options):
        raise RuntimeError("No working C++ compiler found\nand more")

    monkeypatch.setattr(torch, "compile", refuse)
    done = command("bench", TINY, *FAST, "--compile")

    assert (done.code, done.out) == (2, "")
    assert "(RuntimeError: No working C++ compiler found). It needs a C++ compiler" in done.err


def test_compiled_code_of_another_batch_is_dropped(command, monkeypatch):
    """Or torch would stop compiling after a few."""
    resets = []
    monkeypatch.setattr(bench, "check_compiler", lambda _device: None)
    monkeypatch.setattr(torch, "compile", lambda model, **_options: model)
    monkeypatch.setattr(torch.compiler, "reset", lambda: resets.append(1))

    assert command("bench", TINY, *FAST, "--batch", "1", "2", "--compile").code == 0
    assert len(resets) == 2


def test_large_blocks_are_kept_as_in_training(command, monkeypatch):
    """The help says so, and the figures say whether it was done."""
    monkeypatch.setattr("zoo.train.processor.keep_large_blocks", lambda: False)
    data = json.loads(command("bench", TINY, *FAST, "--json").out)

    assert data["machine"]["keeps_large_blocks"] is False
    assert "glibc is told to keep large blocks" in " ".join(command("bench", "--help").out.split())


@pytest.mark.slow
def test_it_works_without_lightning(process, tmp_path):
    """What is in the extra `train` is not needed."""
    site = tmp_path / "site"
    site.mkdir()
    for name in ("lightning", "tensorboard", "scipy", "matplotlib"):
        (site / f"{name}.py").write_text(f"raise ImportError('no {name} here')\n")

    done = process("bench", TINY, *FAST, "--json")

    assert done.code == 0, done.err
    assert rows(done)[0]["problem"] is None
