"""The network of transformer.mjs in PyTorch eager mode, one thread: CPU ms of one forward and backward pass."""
import sys
import time

import torch
import torch.nn as nn
import torch.nn.functional as F

torch.set_num_threads(1)
D, L, T, B = (list(map(int, sys.argv[1:])) + [128, 4, 49, 64][len(sys.argv) - 1:])
V, H = 512, D // 32


class Block(nn.Module):
    def __init__(self):
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(D), nn.LayerNorm(D)
        self.qkv, self.output = nn.Linear(D, 3 * D), nn.Linear(D, D)
        self.up, self.down = nn.Linear(D, 4 * D), nn.Linear(4 * D, D)

    def forward(self, x, mask):
        q, k, v = self.qkv(self.norm1(x)).view(B, T, 3, H, D // H).permute(2, 0, 3, 1, 4)
        scores = (q * (H / D) ** 0.5) @ k.transpose(-1, -2) + mask
        x = x + self.output((scores.softmax(-1) @ v).transpose(1, 2).reshape(B, T, D))
        return x + self.down(F.relu(self.up(self.norm2(x))))


embedding, position = nn.Embedding(V, D), nn.Parameter(torch.randn(T, D))
blocks, norm, head = nn.ModuleList(Block() for _ in range(L)), nn.LayerNorm(D), nn.Linear(D, V)
tokens, targets = torch.randint(0, V, (B, T)), torch.randint(0, V, (B * T,))
mask = torch.full((T, T), -1e9).triu(1)
times = []
for _ in range(9):
    for module in (embedding, blocks, norm, head):
        module.zero_grad(set_to_none=True)
    position.grad = None
    start = time.process_time()
    x = embedding(tokens) + position
    for block in blocks:
        x = block(x, mask)
    F.cross_entropy(head(norm(x)).view(-1, V), targets).backward()
    times.append((time.process_time() - start) * 1000)
times.sort()
print(f'CPU ms: minimum {times[0]:.0f}, median {times[4]:.0f}')
