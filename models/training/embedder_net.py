"""The student embedder: a small residual network of plain convolutions, which CPUs run at full speed."""

from __future__ import annotations

import torch
from torch import Tensor, nn

DIMENSIONS = 256
WIDTHS = (24, 48, 96, 192)
BLOCKS = (1, 2, 1)
PIXEL_MEAN, PIXEL_SCALE = 127.5, 64.0


class ConvNorm(nn.Module):
    """Convolution, batch normalisation, and ReLU where asked for; folded into one convolution on export."""

    def __init__(
        self, inputs: int, outputs: int, *, kernel: int = 3, stride: int = 1, groups: int = 1, relu: bool = True
    ) -> None:
        super().__init__()
        padding = kernel // 2 if kernel < 6 else 0
        self.conv = nn.Conv2d(inputs, outputs, kernel, stride, padding, groups=groups, bias=False)
        self.norm = nn.BatchNorm2d(outputs)
        self.relu = relu

    def forward(self, x: Tensor) -> Tensor:
        x = self.norm(self.conv(x))
        return torch.relu(x) if self.relu else x


class Residual(nn.Module):
    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = ConvNorm(width, width)
        self.second = ConvNorm(width, width, relu=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.relu(x + self.second(self.first(x)))


class EmbedderNet(nn.Module):
    """float [B, 3, 96, 96] RGB 0..255 -> [B, 256], not normalised."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = [ConvNorm(3, WIDTHS[0], stride=2)]
        for before, after, blocks in zip(WIDTHS[:-1], WIDTHS[1:], BLOCKS, strict=True):
            layers += [ConvNorm(before, after, stride=2), *(Residual(after) for _ in range(blocks))]
        self.layers = nn.Sequential(*layers)
        self.pool = ConvNorm(WIDTHS[-1], WIDTHS[-1], kernel=6, groups=WIDTHS[-1], relu=False)
        self.head = nn.Linear(WIDTHS[-1], DIMENSIONS)

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers((x - PIXEL_MEAN) / PIXEL_SCALE)
        return self.head(self.pool(x).flatten(1))
