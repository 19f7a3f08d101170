from dataclasses import replace
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from skimage.metrics import structural_similarity

from families.tryon.agnostic import Mask
from wardrobe.training.clock import minutes_until
from wardrobe.training.tryon_cache import Half, PairLatents, load_shards, masked_picture, save_shard, small_mask
from wardrobe.training.tryon_export import export
from wardrobe.training.tryon_finish import CHECKPOINT, TryOnFinish, TryOnFinisher, Way, finished, texture_error
from wardrobe.training.tryon_model import (
    WARDROBE,
    build_tryon_unet,
    build_tryon_vae,
    drop_text_attention,
    given_planes,
    start_from,
)
from wardrobe.training.tryon_sample import Sampling, TryOnModel, TryOnRequest, draw_latents, try_on
from wardrobe.training.tryon_trainer import TryOnTrainer, TryOnTraining, rate
from wardrobe.training.tryon_vae import TryOnVaeTrainer, TryOnVaeTraining, similarity
from wardrobe.training.vae import to_tensor

PLAN = TryOnTraining(batch=2, warmup=2, learning_rate=5e-3, compute_dtype=torch.float32)


def small_unet(levels: int = 2) -> UNet2DConditionModel:
    torch.manual_seed(0)
    plain = levels - 1
    unet = UNet2DConditionModel(
        sample_size=32,
        in_channels=17,
        out_channels=8,
        block_out_channels=(16,) * levels,
        layers_per_block=1,
        down_block_types=(*["DownBlock2D"] * plain, "CrossAttnDownBlock2D"),
        mid_block_type="UNetMidBlock2D",
        up_block_types=("CrossAttnUpBlock2D", *["UpBlock2D"] * plain),
        cross_attention_dim=1,
        attention_head_dim=2,
        norm_num_groups=4,
    )
    drop_text_attention(unet)
    return unet


def some_pairs() -> tuple[PairLatents, Half]:
    rng = np.random.default_rng(0)
    after, masked = (rng.standard_normal((6, 8, 16, 16)).astype(np.float16) for _ in range(2))
    area = rng.random((6, 16, 16)).astype(np.float16)
    garments = rng.standard_normal((3, 8, 16, 16)).astype(np.float16)
    pictures = rng.integers(0, 255, (6, 64, 64, 3), dtype=np.uint8)
    masks = np.packbits(rng.random((6, 64, 64)) < 0.5, axis=-1)
    return PairLatents(after, masked, area.round(), area, rng.integers(0, 3, 6), pictures, masks), garments


def trainer() -> TryOnTrainer:
    return TryOnTrainer(PLAN, small_unet(), *some_pairs())


def test_training_resumes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    unbroken, first, second = trainer(), trainer(), trainer()
    losses = [unbroken.train_step(60.0) for _ in range(4)]
    for _ in range(2):
        first.train_step(60.0)
    first.save(tmp_path / "run.pt")
    assert second.restore(tmp_path / "run.pt")
    assert [second.train_step(60.0) for _ in range(2)] == losses[2:]
    for name, weight in unbroken.ema.state_dict().items():
        torch.testing.assert_close(second.ema.state_dict()[name], weight, rtol=0, atol=0)
    assert not trainer().restore(tmp_path / "none.pt")


def test_a_few_steps_lower_the_loss() -> None:
    run = trainer()
    losses = [run.train_step(60.0) for _ in range(14)]
    assert losses[-1] < 0.93 * losses[0]


def test_a_batch_is_what_catvton_is_told() -> None:
    pairs, garments = some_pairs()
    run = TryOnTrainer(replace(PLAN, batch=64, no_garment=0.5), small_unet(), pairs, garments)
    batch = run.batch()
    assert batch.inputs.shape == (64, 17, 32, 16)
    mask, given = batch.inputs[:, 8:9], batch.inputs[:, 9:]
    assert not mask[:, :, 16:].any(), "the garment's half has no mask"
    hidden = (given[:, :, 16:] == 0).all(dim=(1, 2, 3))
    assert 16 < int(hidden.sum()) < 48
    assert (given[:, :, :16] != 0).any(dim=(1, 2, 3)).all(), "without a garment the person is still shown"
    shown = given[~hidden, :, 16:].half().numpy()
    assert all((garments == latent).all(axis=(1, 2, 3)).any() for latent in shown)
    # v and the noisy latents give back the clean garment
    alphas = run._alphas[batch.timesteps][:, None, None, None]
    clean = alphas.sqrt() * batch.inputs[:, :8] - (1 - alphas).sqrt() * batch.target
    torch.testing.assert_close(clean[~hidden, :, 16:].numpy(), shown.astype(np.float32), rtol=0, atol=1e-4)


def test_the_rate_warms_up_and_falls_towards_the_end() -> None:
    plan = TryOnTraining(warmup=10, decay_minutes=30)
    assert rate(0, 500, plan) == pytest.approx(0.1)
    assert rate(50, 31, plan) == pytest.approx(1.0)
    assert 0.4 < rate(50, 15, plan) < 0.6
    assert rate(50, 0, plan) == pytest.approx(0.01)
    assert minutes_until("16:25", datetime(2026, 1, 1, 16, 0)) == 25
    assert minutes_until("0:10", datetime(2026, 1, 1, 23, 50)) == 20


def test_the_denoiser_starts_from_another_ones_upper_levels() -> None:
    unet = build_tryon_unet()
    drawn = {name: tensor.clone() for name, tensor in unet.state_dict().items()}
    taken = start_from(unet, WARDROBE / "unet")
    source = UNet2DConditionModel.from_pretrained(WARDROBE / "unet", torch_dtype=torch.float32).state_dict()
    state = unet.state_dict()
    for name, theirs in (
        ("down_blocks.2.attentions.0.proj_in.weight", "down_blocks.1.attentions.0.proj_in.weight"),
        ("up_blocks.0.resnets.0.conv1.weight", "up_blocks.1.resnets.0.conv1.weight"),
        ("time_embedding.linear_2.weight", "time_embedding.linear_2.weight"),
    ):
        torch.testing.assert_close(state[name], source[theirs])
    for name in ("conv_in.weight", "conv_out.weight", "down_blocks.0.resnets.0.conv1.weight"):
        assert torch.equal(state[name], drawn[name])
    assert taken > 0.8 * unet.num_parameters()
    norms = [tensor for name, tensor in state.items() if ".norm2." in name and "transformer_blocks" in name]
    assert norms and not any(tensor.any() for tensor in norms)
    assert not any("attn2" in name for name in state)


def test_what_is_exported_is_what_was_trained(tmp_path: Path) -> None:
    """And starting from a try-on model's own weights takes what its blocks add where others read text."""
    unet, vae = small_unet(), small_vae()
    with torch.no_grad():
        for name, parameter in unet.named_parameters():
            if "transformer_blocks.0.norm2.weight" in name:
                parameter.fill_(0.5)
    assert export(tmp_path / "out", TryOnModel(unet, vae)) < 2_000_000
    again = small_unet(levels=3)
    start_from(again, tmp_path / "out" / "unet")
    norms = [tensor for name, tensor in again.state_dict().items() if "transformer_blocks.0.norm2.weight" in name]
    assert norms and all((tensor == 0.5).all() for tensor in norms)
    decoded = AutoencoderKL.from_pretrained(tmp_path / "out" / "vae", torch_dtype=torch.float32).decoder.state_dict()
    for name, tensor in vae.decoder.state_dict().items():
        torch.testing.assert_close(decoded[name], tensor.float())


def test_masks_are_scaled_as_catvton_scales_them() -> None:
    mask: Mask = np.random.default_rng(1).random((128, 128)) < 0.5
    nearest, area = small_mask(mask)
    expected = torch.nn.functional.interpolate(torch.from_numpy(mask)[None, None].float(), (32, 32), mode="nearest")
    np.testing.assert_array_equal(nearest, expected[0, 0].numpy())
    assert area[0, 0] == pytest.approx(mask[:4, :4].mean(), abs=1e-3)
    grey = masked_picture(np.full((128, 128, 3), 200, np.uint8), mask)
    assert set(np.unique(grey[mask])) == {128} and set(np.unique(grey[~mask])) == {200}


def test_shards_come_back_in_order(tmp_path: Path) -> None:
    pairs, _ = some_pairs()
    with pytest.raises(FileNotFoundError, match="tryon_cache"):
        load_shards(tmp_path)
    for number in range(2):
        save_shard(pairs, tmp_path / f"pairs-{number:04d}.npz")
    both = load_shards(tmp_path)
    assert len(both) == 12
    np.testing.assert_array_equal(both.after[6:], pairs.after)


def small_vae() -> AutoencoderKL:
    torch.manual_seed(0)
    return AutoencoderKL(
        down_block_types=("DownEncoderBlock2D",) * 3,
        up_block_types=("UpDecoderBlock2D",) * 3,
        block_out_channels=(8, 8, 8),
        layers_per_block=1,
        latent_channels=8,
        norm_num_groups=4,
        scaling_factor=0.5,
    ).eval()


def test_try_on_follows_the_seed_and_its_guidance() -> None:
    rng = np.random.default_rng(0)
    people, garments = (rng.integers(0, 255, (2, 128, 128, 3), dtype=np.uint8) for _ in range(2))
    request = TryOnRequest(people, np.tile(np.tri(128, dtype=bool), (2, 1, 1)), garments)
    model = TryOnModel(small_unet().eval(), small_vae())
    first, again, other, guided = (
        try_on(model, request, sampling)
        for sampling in (Sampling(2, 1.0), Sampling(2, 1.0), Sampling(2, 1.0, seed=1), Sampling(2, 4.0))
    )
    assert first.shape == (2, 128, 128, 3) and first.dtype == np.uint8
    np.testing.assert_array_equal(first, again)
    assert (first != other).any() and (first != guided).any()


def finisher(plan: TryOnFinish, drawn_anew: tuple[slice, ...] | None = None) -> TryOnFinisher:
    """Of plain pictures; `drawn_anew`: where in each of them, at random without."""
    pairs, garments = some_pairs()
    plain = np.full_like(pairs.pictures, 60)
    masks = pairs.pixel_masks
    if drawn_anew is not None:
        chosen = np.zeros((6, 64, 64), bool)
        chosen[:, *drawn_anew] = True
        masks = np.packbits(chosen, axis=-1)
    return TryOnFinisher(plan, small_unet(), small_vae(), replace(pairs, pictures=plain, pixel_masks=masks), garments)


def test_finishing_learns_from_pictures_and_resumes(tmp_path: Path) -> None:
    plan = TryOnFinish(batch=2, warmup=2, learning_rate=2e-3)
    unbroken, broken, resumed = (finisher(plan) for _ in range(3))
    losses = [unbroken.train_step(1.0) for _ in range(12)]
    assert np.mean(losses[-4:]) < 0.8 * np.mean(losses[:4])
    for _ in range(2):
        broken.train_step(1.0)
    broken.save(tmp_path / CHECKPOINT)
    resumed.restore(tmp_path / CHECKPOINT)
    assert [resumed.train_step(1.0) for _ in range(2)] == losses[2:4]
    with pytest.raises(FileNotFoundError, match="tryon_finish"):
        finished(tmp_path / "nowhere")


def test_what_lies_outside_of_the_mask_is_learned_too() -> None:
    def outside(whole: float) -> float:
        run = finisher(TryOnFinish(batch=2, warmup=2, learning_rate=2e-3, whole=whole), np.s_[:, :32])
        for _ in range(12):
            run.train_step(1.0)
        with torch.no_grad():
            drawn = run._decoded(run.denoised(torch.zeros(1, 8, 32, 16), run._given(np.array([0])), (999,)))
        return float((drawn[..., 40:] - (60 / 127.5 - 1)).abs().mean())

    assert outside(1.0) < 0.7 * outside(0.0)


FROM_NOISE = [way.timesteps for way in TryOnFinish().ways if not way.from_draft]


@pytest.mark.parametrize("path", FROM_NOISE)
@torch.no_grad()
def test_it_learns_where_the_sampler_arrives(path: tuple[int, ...]) -> None:
    """The last step's guess of a whole path is what the sampler returns; of a shorter one the path is the same."""
    steps = 4 if 749 in path else len(path)
    rng = np.random.default_rng(0)
    people, garments = (rng.integers(0, 255, (1, 128, 128, 3), dtype=np.uint8) for _ in range(2))
    masks = np.tri(128, dtype=bool)[None]
    model = TryOnModel(small_unet().eval(), small_vae())
    seen: list[torch.Tensor] = []
    model.unet.register_forward_pre_hook(lambda _, told: seen.append(told[0]))
    drawn = draw_latents(model, TryOnRequest(people, masks, garments), Sampling(steps))
    run = finisher(TryOnFinish())
    first, last, given = seen[0][:, :8], seen[len(path) - 1][:, :8], seen[0][:, 8:]
    denoised = run.denoised(first, given, path)
    if len(path) == steps:
        torch.testing.assert_close(denoised[:, :, :32], drawn, rtol=0, atol=2e-3)
    else:
        torch.testing.assert_close(denoised, run.denoised(last, given, path[-1:]), rtol=0, atol=2e-3)


@pytest.mark.parametrize("way", [way for way in TryOnFinish().ways if way.from_draft])
@torch.no_grad()
def test_a_draft_is_a_picture_beside_its_garment(way: Way) -> None:
    pairs, garments = some_pairs()
    run = finisher(TryOnFinish())
    (level,) = way.timesteps
    mask, masked = (torch.from_numpy(kind).float() for kind in (pairs.mask[:2, None], pairs.masked[:2]))
    garment = torch.from_numpy(garments[:2]).float()
    given, noise = given_planes(mask, masked, garment), torch.randn(2, 8, 32, 16)
    begun = run.drafted(noise, given, torch.zeros_like(noise), level)
    person, beside = (begun / run._alphas[level].sqrt()).chunk(2, dim=2)
    torch.testing.assert_close(beside, garment)
    vae = small_vae()
    drawn = vae.decode(run.denoised(noise, given, (999,)).chunk(2, dim=2)[0] / 0.5).sample.clamp(-1, 1)
    torch.testing.assert_close(person, vae.encode(drawn).latent_dist.mode() * 0.5, rtol=0, atol=1e-4)
    alpha = run._alphas[level]
    torch.testing.assert_close(run.drafted(noise, given, noise, level), begun + (1 - alpha).sqrt() * noise)


def test_texture_is_how_much_of_a_pattern_there_is_and_not_where() -> None:
    checks = torch.zeros(1, 3, 65, 65)
    checks[..., (torch.arange(65) % 13) < 6] += 0.5
    checks = checks + checks.mT
    moved = checks.roll((5, 3), dims=(2, 3))[..., 13:52, 13:52]  # without the seam
    checks = checks[..., 13:52, 13:52]
    stripes = checks.mean(dim=3, keepdim=True).expand_as(checks)  # the upright bars blurred
    assert texture_error(checks, checks) == 0
    assert texture_error(moved, checks) < 0.1 * texture_error(stripes, checks)
    plain = checks.mean().expand_as(checks)
    torch.testing.assert_close(texture_error(plain, checks), 2 * texture_error(stripes, checks), rtol=0.01, atol=0)


def test_only_redrawing_a_draft_is_asked_for_texture() -> None:
    def loss(texture: float, way: Way) -> float:
        pairs, garments = some_pairs()
        plan = TryOnFinish(batch=2, ways=(way,), texture=texture)
        return TryOnFinisher(plan, small_unet(), small_vae(), pairs, garments).train_step(1.0)

    from_noise, redrawn = Way(1.0, (999,)), Way(1.0, (249,), from_draft=True)
    assert loss(3.0, from_noise) == loss(0.0, from_noise)
    assert loss(3.0, redrawn) > loss(0.0, redrawn)


def test_similarity_is_scikit_images() -> None:
    rng = np.random.default_rng(0)
    one = rng.integers(0, 255, (128, 128, 3), dtype=np.uint8)
    two = np.clip(one.astype(int) + rng.integers(-30, 30, one.shape), 0, 255).astype(np.uint8)
    expected = structural_similarity(one, two, channel_axis=2, use_sample_covariance=False)
    assert float(similarity(to_tensor(one[None]), to_tensor(two[None]))) == pytest.approx(expected, abs=2e-3)


def test_the_autoencoder_learns_and_resumes(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    people = extras = np.tile(rng.integers(0, 255, (1, 1, 1, 3), dtype=np.uint8), (4, 128, 128, 1))
    plan = TryOnVaeTraining(batch=2, crop=32, warmup=2, learning_rate=2e-3)
    unbroken, broken, resumed = (TryOnVaeTrainer(plan, people, extras) for _ in range(3))
    losses = [unbroken.train_step(1.0) for _ in range(12)]
    assert np.mean(losses[-4:]) < 0.9 * np.mean(losses[:4])
    for _ in range(2):
        broken.train_step(1.0)
    broken.save(tmp_path / "vae.pt")
    resumed.restore(tmp_path / "vae.pt")
    assert [resumed.train_step(1.0) for _ in range(2)] == losses[2:4]


@torch.no_grad()
def test_the_autoencoders_cells_are_four_pixels_and_its_noise_begins_small() -> None:
    torch.manual_seed(1)
    posterior = build_tryon_vae().encode(torch.rand(1, 3, 128, 128) * 2 - 1).latent_dist
    assert posterior.mean.shape == (1, 8, 32, 32)
    assert posterior.mean.std() > 5 * posterior.std.mean()
