"""A training whose loader's workers import this file again: `python workers.py METHOD...`."""

import sys

import torch
from torch import nn
from torch.utils.data import DataLoader, Dataset


class Seen(Dataset):
    """Second of a sample: whether torch is, in the process that makes it, somebody else's."""

    def __len__(self):
        return 16

    def __getitem__(self, index):
        patched = "famulus" in torch.Tensor.backward.__code__.co_filename
        patched = patched or bool(nn.modules.module._global_forward_hooks)
        return torch.full((3,), index / 16), torch.tensor(float(patched))


def main(methods):
    model = nn.Linear(3, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    for method in methods:
        loader = DataLoader(Seen(), batch_size=4, num_workers=1, multiprocessing_context=method)
        for x, patched in loader:
            loss = model(x).square().mean()
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            print(method, "patched" if patched.any() else "as it is")


if __name__ == "__main__":
    main(sys.argv[1:])
else:
    print("imported again as", __name__)
