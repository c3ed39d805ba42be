#!/usr/bin/env python3
"""Trains the two digit classifiers in this folder and writes everything that the examples read.

    pip install torch scikit-learn numpy onnx
    python3 train_digits.py [FOLDER]

Data: scikit-learn's copy of the UCI handwritten digits, 1,797 images of 8x8 with values 0 to 16. One
fifth of each class is held out and used for nothing but the accuracy at the end. The split and
the seed are fixed; other versions of PyTorch may round differently and give slightly other weights.
README.md describes the files.
"""

import pathlib
import sys

import numpy as np
import onnx
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn
from torch.nn import functional

SEED = 20
EPOCHS = 120
BATCH = 64
OPSET = 13


class Cnn(nn.Module):
    """Two convolutions at 8x8, pooling, one at 4x4, pooling over everything that is left."""

    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(1, 24, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(24)
        self.conv2 = nn.Conv2d(24, 32, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(32)
        self.conv3 = nn.Conv2d(32, 64, 3, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(2)
        self.drop = nn.Dropout(0.3)
        self.fc = nn.Linear(64 * 2 * 2, 10)

    def forward(self, x):
        x = functional.relu(self.bn1(self.conv1(x)))
        x = self.pool(functional.relu(self.bn2(self.conv2(x))))
        x = self.pool(functional.relu(self.bn3(self.conv3(x))))
        return self.fc(self.drop(torch.flatten(x, 1)))


class Mlp(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(64, 128)
        self.fc2 = nn.Linear(128, 64)
        self.fc3 = nn.Linear(64, 10)
        self.drop = nn.Dropout(0.2)

    def forward(self, x):
        x = self.drop(functional.relu(self.fc1(torch.flatten(x, 1))))
        return self.fc3(functional.relu(self.fc2(x)))


class WithSoftmax(nn.Module):
    """What is exported: probabilities instead of logits."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return torch.softmax(self.net(x), dim=1)


def shifted(images, generator):
    """Each image moved by up to one pixel in each direction, as writers do."""
    padded = functional.pad(images, (1, 1, 1, 1))
    moved = torch.empty_like(images)
    offsets = torch.randint(0, 3, (len(images), 2), generator=generator)
    for row in range(3):
        for column in range(3):
            chosen = (offsets[:, 0] == row) & (offsets[:, 1] == column)
            moved[chosen] = padded[chosen, :, row : row + 8, column : column + 8]
    return moved


def train(net, images, labels):
    generator = torch.Generator().manual_seed(SEED)
    optimizer = torch.optim.AdamW(net.parameters(), lr=2e-3, weight_decay=1e-2)
    steps = EPOCHS * ((len(images) + BATCH - 1) // BATCH)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=steps)
    net.train()
    for _ in range(EPOCHS):
        order = torch.randperm(len(images), generator=generator)
        for start in range(0, len(order), BATCH):
            chosen = order[start : start + BATCH]
            # Half of the images as they are: the held-out ones are not moved either.
            batch = images[chosen]
            keep = torch.rand(len(batch), generator=generator) < 0.5
            batch = torch.where(keep[:, None, None, None], batch, shifted(batch, generator))
            loss = functional.cross_entropy(net(batch), labels[chosen])
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    net.eval()


def export(net, path):
    torch.onnx.export(
        net,
        (torch.zeros(1, 1, 8, 8),),
        str(path),
        input_names=["image"],
        output_names=["probabilities"],
        dynamic_axes={"image": {0: "batch"}, "probabilities": {0: "batch"}},
        opset_version=OPSET,
        dynamo=False,
    )
    onnx.checker.check_model(onnx.load(str(path)), full_check=True)


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    digits = load_digits()
    pixels = digits.images.astype(np.uint8)
    labels = digits.target.astype(np.uint8)
    train_pixels, test_pixels, train_labels, test_labels = train_test_split(
        pixels, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    np.save(folder / "digits-test-images.npy", test_pixels)
    np.save(folder / "digits-test-labels.npy", test_labels)

    torch.manual_seed(SEED)
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    as_input = lambda p: torch.from_numpy(p.astype(np.float32) / 16)[:, None]
    for name, net in ("cnn", Cnn()), ("mlp", Mlp()):
        train(net, as_input(train_pixels), torch.from_numpy(train_labels.astype(np.int64)))
        model = WithSoftmax(net).eval()
        with torch.no_grad():
            probabilities = model(as_input(test_pixels)).numpy()
        right = int((probabilities.argmax(1) == test_labels).sum())
        print(f"digits-{name}: {right} of {len(test_labels)} held-out digits right "
              f"({100 * right / len(test_labels):.2f}%), "
              f"{sum(p.numel() for p in net.parameters())} parameters")
        export(model, folder / f"digits-{name}.onnx")
        np.save(folder / f"digits-{name}-expected.npy", probabilities.astype(np.float32))


if __name__ == "__main__":
    main()
