"""The parser: its ground truth, its training, and what the shipped weights see in pictures they never saw."""

from dataclasses import replace
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from engine.vision import VisionRuntime
from wardrobe.evaluation.parser import (
    category,
    held_out,
    intersections_over_unions,
    is_anybody,
    look,
    near,
    open_parser,
)
from wardrobe.training.parser import ParserTrainer, ParserTraining, edges
from wardrobe.training.parser_corpus import ParserCorpus, draw
from wardrobe.training.parser_export import GRAPH_FILE, WEIGHTS, export, manifest
from wardrobe.training.parser_net import HEATMAP_STRIDE, ParserNet
from wardrobe.training.parser_samples import (
    draw_sample,
    flat_lay_sample,
    heatmaps,
    part_of,
    place,
    resize_labels,
    spoil,
)
from wardrobe.world.attributes import Background, Part
from wardrobe.world.backgrounds import draw_background
from wardrobe.world.keypoints import KEYPOINTS, Keypoint, keypoints, mirrored_keypoints
from wardrobe.world.render import PARTS, flat_lay
from wardrobe.world.scene import Staging, scenes

SCENES = list(islice(scenes(8, held_out=False), 6))
IMAGES, LABELS, POINTS = draw(SCENES, 1)
CORPUS = ParserCorpus(IMAGES, LABELS, POINTS, IMAGES[:2])


@pytest.fixture(scope="module")
def parser() -> VisionRuntime:
    """The shipped one."""
    return open_parser()


# --- ground truth


def test_joints_lie_on_the_person() -> None:
    for labels, points in zip(LABELS, POINTS, strict=True):
        inside = points.round().astype(int).clip(0, 127)
        assert (labels[inside[:, 1], inside[:, 0]] != 0).all()
        head = inside[KEYPOINTS.index(Keypoint.HEAD)]
        assert PARTS[labels[head[1], head[0]]] is Part.FACE


def test_left_is_the_person_s_own_and_stays_so_in_the_mirror() -> None:
    scene = replace(SCENES[0], staging=Staging(dx=3.0, mirror=False))
    mirrored = replace(SCENES[0], staging=Staging(dx=3.0, mirror=True))
    points = keypoints(scene)
    left, right = KEYPOINTS.index(Keypoint.LEFT_HIP), KEYPOINTS.index(Keypoint.RIGHT_HIP)
    assert points[left, 0] > points[right, 0]  # who faces us has the left hand on our right
    turned = keypoints(mirrored)
    assert turned[left, 0] > turned[right, 0]
    assert np.allclose(turned, mirrored_keypoints(points, 128))
    assert np.allclose(mirrored_keypoints(turned, 128), points)


def test_a_flat_lay_is_marked_where_it_lies() -> None:
    garment = SCENES[0].top
    sample = flat_lay_sample(garment)
    assert np.array_equal(sample.image, flat_lay(garment))
    assert set(np.unique(sample.labels)) == {0, PARTS.index(part_of(garment))}
    ground = (sample.image == sample.image[0, 0]).all(axis=2)
    assert (ground | (sample.labels > 0)).mean() > 0.97


# --- samples


def test_labels_and_joints_move_with_the_picture() -> None:
    rng = np.random.default_rng(0)
    for size in (64, 128, 256):
        person = next(s for s in iter(lambda: draw_sample(CORPUS, rng), None) if s.keypoints is not None)
        placed = place(person, size, rng)
        assert placed.image.shape == (size, size, 3) and placed.labels.shape == (size, size)
        assert placed.keypoints is not None
        rows, columns = np.nonzero(placed.labels)
        x, y = placed.keypoints[KEYPOINTS.index(Keypoint.NECK)]
        assert columns.min() <= x <= columns.max() and rows.min() <= y <= rows.max()
        maps = heatmaps(placed.keypoints, size)
        row, column = divmod(int(maps[KEYPOINTS.index(Keypoint.NECK)].argmax()), size // HEATMAP_STRIDE)
        assert abs((column + 0.5) * HEATMAP_STRIDE - x) <= 2 and abs((row + 0.5) * HEATMAP_STRIDE - y) <= 2
        assert spoil(placed.image, rng).dtype == np.uint8
    assert not heatmaps(None, 64).any()
    assert not heatmaps(np.full((len(KEYPOINTS), 2), -5, np.float32), 64).any()


def test_labels_are_resized_by_majority() -> None:
    labels = np.zeros((8, 8), np.uint8)
    labels[:, 3:] = 5
    assert resize_labels(labels, 16)[:, :6].max() == 0 and (resize_labels(labels, 16)[:, 6:] == 5).all()
    labels[:, 3] = 0
    assert resize_labels(labels, 4).tolist() == [[0, 0, 5, 5]] * 4


def test_edges_are_where_labels_meet() -> None:
    labels = torch.zeros(1, 4, 6, dtype=torch.int64)
    labels[:, :, 3:] = 2
    assert edges(labels)[0].tolist() == [[0, 0, 1, 1, 0, 0]] * 4


# --- training


def trainer() -> ParserTrainer:
    return ParserTrainer(ParserTraining(steps=40, last_steps=2, batch=2, warmup=2), CORPUS)


def test_it_resumes_as_if_it_had_never_stopped(tmp_path: Path) -> None:
    unbroken, first, second = trainer(), trainer(), trainer()
    losses = [unbroken.train_step() for _ in range(4)]
    for _ in range(2):
        first.train_step()
    first.save(tmp_path / "run.pt")
    second.restore(tmp_path / "run.pt")
    assert [second.train_step() for _ in range(2)] == losses[2:]


def test_it_learns() -> None:
    learner = trainer()
    losses = [learner.train_step() for _ in range(14)]
    assert np.mean(losses[-4:]) < 0.85 * np.mean(losses[:4])


def test_the_export_computes_what_the_network_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = ParserNet()
    assert export(net, tmp_path) == (tmp_path / GRAPH_FILE).stat().st_size
    exported = open_parser(tmp_path)
    parts, points = exported.run_arrays([IMAGES[:2]])
    assert parts.shape == (2, len(PARTS), 128, 128) and points.shape == (2, len(KEYPOINTS), 3)
    with torch.no_grad():
        scores, _ = net(torch.from_numpy(IMAGES[:2]).permute(0, 3, 1, 2).float() / 127.5 - 1)
    expected = scores.softmax(1).numpy() * 255
    assert np.abs(parts - expected).max() < 2


# --- the shipped weights


def test_the_shipped_files() -> None:
    assert (WEIGHTS / GRAPH_FILE).stat().st_size <= 1_500_000
    assert (WEIGHTS / "vision.json").read_text() == manifest().dump()


def test_it_marks_held_out_people(parser: VisionRuntime) -> None:
    images, truth, joints = draw(held_out(30), 1)
    labels, points = look(parser, images)
    iou = intersections_over_unions(labels, truth)
    assert len(iou) == len(PARTS) and np.mean(list(iou.values())) >= 0.92, iou
    assert near(points, joints) >= 0.97
    assert all(is_anybody(*seen) for seen in zip(labels, points, strict=True))


def test_it_tells_garments_laid_flat(parser: VisionRuntime) -> None:
    garments = [garment for scene in held_out(20) for garment in (scene.top, scene.bottoms) if garment is not None]
    samples = [flat_lay_sample(garment) for garment in garments]
    labels, points = look(parser, np.stack([sample.image for sample in samples]))
    right = [category(found) is part_of(garment) for found, garment in zip(labels, garments, strict=True)]
    assert np.mean(right) >= 0.97
    assert float(points[..., 2].mean()) < 0.2  # nobody wears them


def test_it_sees_nobody_in_empty_places(parser: VisionRuntime) -> None:
    places = np.stack([draw_background(background, 1)[..., :3] for background in Background])
    assert not any(is_anybody(*seen) for seen in zip(*look(parser, places), strict=True))


def test_scores_count_what_they_say() -> None:
    truth = np.zeros((1, 4, 4), np.uint8)
    truth[0, :2] = 6
    found = truth.copy()
    found[0, 1] = 0
    assert intersections_over_unions(found, truth) == {"background": 8 / 12, "top": 4 / 8}
    points = np.zeros((1, 2, 3), np.float32)
    points[0] = [[10, 10, 1], [20, 20, 0.1]]
    assert near(points, np.array([[[12, 11], [20, 20]]], np.float32)) == 0.5
