"""The student detector: plain convolutions to strides 8, 16 and 32, a feature pyramid, one head for all levels.

Its outputs mean what YuNet's do (`services/detector/yunet.py`), but for one score in place of two.
"""

from __future__ import annotations

from embedder_net import PIXEL_MEAN, PIXEL_SCALE, ConvNorm, Residual
from torch import Tensor, nn
from torch.nn import functional

STRIDES = (8, 16, 32)
WIDTHS = (40, 56, 64)
HEAD_WIDTH = 40
VALUES = 15  # score, 4 of the box, 10 of the landmarks


class DetectorNet(nn.Module):
    """float [B, 3, H, W] BGR 0..255, sides multiples of 32 -> per stride [B, H * W / stride**2, 15].

    Column 0 is the score before the sigmoid.
    """

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(ConvNorm(3, 16, stride=2), ConvNorm(16, 24, stride=2))
        fine, middle, coarse = WIDTHS
        self.fine = nn.Sequential(ConvNorm(24, fine, stride=2), Residual(fine))
        self.middle = nn.Sequential(ConvNorm(fine, middle, stride=2), Residual(middle))
        self.coarse = nn.Sequential(ConvNorm(middle, coarse, stride=2), ConvNorm(coarse, coarse))
        self.laterals = nn.ModuleList(ConvNorm(width, HEAD_WIDTH, kernel=1) for width in WIDTHS)
        self.heads = nn.ModuleList(ConvNorm(HEAD_WIDTH, HEAD_WIDTH) for _ in WIDTHS)
        self.outputs = nn.ModuleList(nn.Conv2d(HEAD_WIDTH, VALUES, 1) for _ in WIDTHS)
        for output in self.outputs:
            nn.init.constant_(output.bias[:1], -4.0)  # almost every cell is no face

    def forward(self, x: Tensor) -> list[Tensor]:
        x = self.stem((x - PIXEL_MEAN) / PIXEL_SCALE)
        fine = self.fine(x)
        middle = self.middle(fine)
        coarse = self.coarse(middle)
        levels = [lateral(level) for lateral, level in zip(self.laterals, (fine, middle, coarse), strict=True)]
        levels[1] = levels[1] + functional.interpolate(levels[2], scale_factor=2.0, mode="nearest")
        levels[0] = levels[0] + functional.interpolate(levels[1], scale_factor=2.0, mode="nearest")
        return [
            output(head(level)).flatten(2).transpose(1, 2)
            for level, head, output in zip(levels, self.heads, self.outputs, strict=True)
        ]
