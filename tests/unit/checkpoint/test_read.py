import gc
import json
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from thinktalk.checkpoint import load, save
from thinktalk.contracts import UserError
from thinktalk.models.qwen3_omni.config import DecoderConfig, OmniConfig, ThinkerConfig
from thinktalk.models.qwen3_omni.omni import Qwen3Omni
from thinktalk.models.qwen3_omni.weights import decoders, stored
from thinktalk.nn.packed import Packed

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
NORM = "thinker.model.norm.weight"


@pytest.fixture
def change(folder):
    """change(name=tensor or None) rewrites the copy's weights with other, new or absent tensors."""

    def rewrite(changes: dict[str, torch.Tensor | None]) -> Path:
        tensors = {**load_file(folder / SINGLE), **changes}
        save_file({n: t for n, t in tensors.items() if t is not None}, folder / SINGLE, {"format": "pt"})
        return folder

    return rewrite


class TestLoad:
    def test_one_file(self, model, intact, same):
        assert same(load(intact), model)

    def test_shards(self, model, sharded, same):
        assert len(list(sharded.glob("*.safetensors"))) > 3
        assert same(load(str(sharded)), model)

    def test_weights_are_the_models_own(self, model, folder, same):
        loaded = load(folder)
        (folder / SINGLE).write_bytes(b"")  # nothing is read later
        assert same(loaded, model)
        assert all(weight.requires_grad and weight.is_leaf for weight in loaded.parameters())

    def test_nothing_is_left_without_a_value(self, intact):
        loaded = load(intact)
        assert {weight.device.type for weight in loaded.state_dict().values()} == {"cpu"}
        # A buffer that is not stored would hold whatever was in memory; `forward` computes such tables.
        assert not list(loaded.buffers())

    @pytest.mark.gpu
    def test_onto_a_gpu(self, intact, same):
        loaded = load(intact, device="cuda", dtype=torch.bfloat16)
        assert {weight.device.type for weight in loaded.parameters()} == {"cuda"}
        assert same(loaded.cpu(), load(intact, dtype=torch.bfloat16))

    def test_a_full_device_is_a_users_matter(self, intact, monkeypatch):
        def full(*args: object, **kwargs: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(Qwen3Omni, "to_empty", full)
        with pytest.raises(UserError, match=r"needs 0\.0 GB, which cpu does not have free"):
            load(intact)


@pytest.mark.parametrize("bits", [8, 4])
class TestPacked:
    def test_decoders_are_packed_and_the_rest_is_as_it_was(self, model, sharded, bits):
        loaded, plain = load(sharded, bits=bits), stored(model)
        views = stored(loaded)
        packed = {name: view for name, view in views.items() if isinstance(view, Packed)}
        assert views.keys() == plain.keys()
        assert all(torch.equal(views[name], plain[name]) for name in views.keys() - packed.keys())
        for name, view in packed.items():
            again = Packed.like(plain[name], bits).copy_(plain[name])
            assert torch.equal(view.whole(torch.float32), again.whole(torch.float32))
        parts = {".".join(name.split(".")[:2]) for name in packed}
        assert parts == {"thinker.model", "talker.model", "talker.code_predictor"}
        assert not [
            name for name in packed if "embed" in name or "norm" in name or name.endswith("mlp.gate.weight")
        ]

    def test_it_holds_less(self, model, intact, bits):
        def held(part):
            return sum(weight.nbytes for weight in (*part.parameters(), *part.buffers()))

        loaded = load(intact, bits=bits)
        for small, whole in zip(decoders(loaded), decoders(model), strict=True):
            assert held(small) < held(whole)
        assert held(loaded.code2wav) == held(model.code2wav)

    def test_it_computes_what_whole_weights_of_these_numbers_do(self, intact, bits):
        loaded, same = load(intact, bits=bits), load(intact)
        with torch.no_grad():
            views = stored(loaded)
            for name, weight in stored(same).items():
                view = views[name]
                weight.copy_(view.whole(torch.float32) if isinstance(view, Packed) else view)
            x, places = torch.randn(1, 5, 16), torch.arange(5).expand(3, 1, 5)
            ours, theirs = (each.thinker.model(x, places)[0] for each in (loaded, same))
        torch.testing.assert_close(ours, theirs)


class TestDtype:
    def test_as_stored(self, model, tmp_path):
        save(model, tmp_path / "half", dtype=torch.bfloat16)
        loaded = load(tmp_path / "half")
        assert {weight.dtype for weight in loaded.parameters()} == {torch.bfloat16}
        for name, weight in model.state_dict().items():
            assert torch.equal(loaded.state_dict()[name], weight.bfloat16())

    def test_as_asked(self, model, intact):
        loaded = load(intact, dtype=torch.float64)
        assert all(torch.equal(w, model.state_dict()[n].double()) for n, w in loaded.state_dict().items())

    def test_one_for_all_where_the_file_mixes(self, model, change):
        folder = change({NORM: torch.full((16,), 0.1, dtype=torch.float16)})
        loaded = load(folder)
        assert {weight.dtype for weight in loaded.parameters()} == {torch.float32}
        assert torch.equal(loaded.thinker.model.norm.weight, torch.full((16,), 0.1).half().float())


class TestSpeech:
    def test_left_out(self, model, intact, same):
        loaded = load(intact, speech=False)
        assert not loaded.speaks and not hasattr(loaded, "talker") and not hasattr(loaded, "code2wav")
        assert same(loaded.thinker, model.thinker)

    def test_a_config_without_it_may_have_the_tensors(self, folder, model, same):
        values = json.loads((folder / "config.json").read_text())
        (folder / "config.json").write_text(json.dumps({**values, "enable_audio_output": False}))
        loaded = load(folder)
        assert not loaded.speaks and same(loaded.thinker, model.thinker)

    def test_tensors_without_it_may_have_the_config(self, model, change, same):
        loaded = load(change({n: None for n in stored(model) if n.startswith(("talker.", "code2wav."))}))
        assert not loaded.speaks and same(loaded.thinker, model.thinker)

    def test_half_of_it_is_an_error(self, model, change):
        folder = change({name: None for name in stored(model) if name.startswith("code2wav.")})
        with pytest.raises(UserError, match=r"missing \(code2wav\.code_embedding\.weight"):
            load(folder)
        assert not load(folder, speech=False).speaks


class TestMisfits:
    def test_missing(self, change):
        with pytest.raises(UserError, match=r"do not fit its config\.json: 1 missing \(thinker\.model\.norm"):
            load(change({NORM: None}))

    def test_unexpected(self, change):
        with pytest.raises(UserError, match=r"1 unexpected \(thinker\.extra\)"):
            load(change({"thinker.extra": torch.zeros(1)}))

    def test_misshapen(self, change):
        with pytest.raises(
            UserError, match=r"1 misshapen \(thinker\.model\.norm\.weight is \[3\].* be \[16\]\)"
        ):
            load(change({NORM: torch.zeros(3)}))

    def test_many_of_all_are_one_line_with_the_first_ten(self, change, model):
        gone = {name: None for name in stored(model) if name.startswith("thinker.model.layers.")}
        more = {f"x.{n:02d}": torch.zeros(1) for n in range(12)}
        with pytest.raises(UserError) as raised:
            load(change({**gone, **more, NORM: torch.zeros(2, 2)}))
        message = str(raised.value)
        assert "\n" not in message
        assert f"{len(gone)} missing" in message and f"and {len(gone) - 10} more" in message
        assert "x.09 and 2 more" in message and "x.10" not in message
        assert "1 misshapen" in message

    def test_a_config_of_another_size(self, folder):
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"num_hidden_layers": 2', '"num_hidden_layers": 3'))
        with pytest.raises(UserError, match=r"21 missing \(thinker\.model\.layers\.2\."):
            load(folder)

    @pytest.mark.parametrize("value", ['"16"', "-1", "[]", "2.5"])
    def test_a_config_that_is_no_model(self, folder, value):
        text = (folder / "config.json").read_text()
        (folder / "config.json").write_text(text.replace('"d_model": 8', f'"d_model": {value}'))
        with pytest.raises(UserError, match=r"config\.json"):
            load(folder)


class TestDamage:
    def test_no_weights(self, folder):
        (folder / SINGLE).unlink()
        with pytest.raises(UserError, match="holds no weights"):
            load(folder)

    def test_no_folder(self, tmp_path):
        with pytest.raises(UserError, match=r"is not a checkpoint: it has no config\.json"):
            load(tmp_path / "nowhere")

    @pytest.mark.parametrize("keep", [0, 4, 100, -1])
    def test_cut_short(self, folder, keep):
        data = (folder / SINGLE).read_bytes()
        (folder / SINGLE).write_bytes(data[:keep])
        with pytest.raises(UserError, match=r"model\.safetensors is damaged .* download it again"):
            load(folder)

    @pytest.mark.parametrize("data", [b"\xff" * 4000, b"<!DOCTYPE html><html>not found</html>"])
    def test_another_kind_of_file(self, folder, data):
        (folder / SINGLE).write_bytes(data)
        with pytest.raises(UserError, match="is damaged"):
            load(folder)

    def test_a_missing_shard(self, sharded):
        victim = sorted(sharded.glob("*.safetensors"))[1]
        victim.unlink()
        with pytest.raises(UserError, match=f"is incomplete: {victim.name} is missing"):
            load(sharded)

    @pytest.mark.parametrize(
        "index",
        ["{", "[]", "{}", '{"weight_map": []}', '{"weight_map": {}}', '{"weight_map": {"a": 1}}',
         '{"weight_map": {"a": ["b"]}}', '{"weight_map": {"a": "../tiny/model.safetensors"}}',
         '{"weight_map": {"a": ""}}'],
    )  # fmt: skip
    def test_a_bad_index(self, sharded, index):
        (sharded / INDEX).write_text(index)
        with pytest.raises(UserError, match=r"index\.json is damaged"):
            load(sharded)

    def test_an_index_of_binary(self, sharded):
        (sharded / INDEX).write_bytes(b"\x80\xff\x00")
        with pytest.raises(UserError, match=r"index\.json is damaged"):
            load(sharded)

    def test_quantised(self, change):
        with pytest.raises(UserError, match=r"stored as F8_E4M3; use a checkpoint that is not quantised"):
            load(change({NORM: torch.zeros(16).to(torch.float8_e4m3fn)}))


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_stays_below_a_second_copy(tmp_path):
    text = DecoderConfig(
        vocab_size=1000, hidden_size=256, num_hidden_layers=4, num_attention_heads=2, num_key_value_heads=1,
        num_experts=24, moe_intermediate_size=256, num_experts_per_tok=1,
    )  # fmt: skip
    config = OmniConfig(thinker_config=ThinkerConfig(text_config=text), enable_audio_output=False)
    audio, vision = config.thinker_config.audio_config, config.thinker_config.vision_config
    audio.encoder_layers, audio.d_model, audio.encoder_attention_heads, audio.encoder_ffn_dim = 1, 64, 1, 64
    vision.depth, vision.hidden_size, vision.num_heads, vision.deepstack_visual_indexes = 1, 32, 1, []
    model = Qwen3Omni(config)
    weights = sum(weight.nbytes for weight in model.parameters())
    save(model, tmp_path / "large", shard_bytes=1e12)
    assert weights > 100_000_000
    del model
    gc.collect()

    Path("/proc/self/clear_refs").write_text("5")  # the peak starts from here
    before = _peak_bytes()
    loaded = load(tmp_path / "large")
    assert _peak_bytes() - before < 1.3 * weights
    assert not loaded.speaks


def _peak_bytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM"))
