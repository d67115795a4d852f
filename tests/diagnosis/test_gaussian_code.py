"""The figures of a VAE's code, read off a graph, against numpy in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from famulus.diagnosis.gaussian_code import FIGURES, figures

SAMPLES, CODE = 64, 6
X = torch.rand(SAMPLES, 20, generator=torch.Generator().manual_seed(0))


class Coder(nn.Module):
    """Encoder and decoder; half of the means spread over samples, the others hardly do."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(1)
        self.mean, self.log_variance = nn.Linear(20, CODE), nn.Linear(20, CODE)
        self.both, self.decoder = nn.Linear(20, 2 * CODE), nn.Linear(CODE, 20)
        self.upwards = nn.ConvTranspose2d(CODE, 1, 4)
        with torch.no_grad():
            for layer in (self.mean, self.both):
                layer.weight[: CODE // 2] *= 5
                layer.weight[CODE // 2 : CODE] *= 0.01


def kl_of(mean, log_variance):
    return -0.5 * (1 + log_variance - mean**2 - log_variance.exp()).sum(1).mean()


def plain(net):
    mean, log_variance = net.mean(X), net.log_variance(X)
    sigma = torch.exp(0.5 * log_variance)
    code = mean + sigma * torch.randn_like(sigma)
    return mean, sigma, F.mse_loss(net.decoder(code), X) + kl_of(mean, log_variance)


def halves_of_one_layer(net):
    mean, log_variance = net.both(X).chunk(2, dim=1)
    sigma = (log_variance / 2).exp()
    code = torch.randn_like(sigma).mul(sigma).add_(mean)
    return mean, sigma, F.mse_loss(net.decoder(code), X) + kl_of(mean, log_variance)


def distributions(net):
    mean, sigma = net.mean(X), F.softplus(net.log_variance(X)) + 1e-6
    posterior = Normal(mean, sigma)
    kl = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    outputs = net.decoder(posterior.rsample()).sigmoid()
    return mean, sigma, F.binary_cross_entropy(outputs, X, reduction="sum") + kl


def without_kl(net):
    mean, sigma = net.mean(X), net.log_variance(X).exp().sqrt()
    code = mean + torch.randn_like(sigma) * sigma
    return (
        mean,
        sigma,
        F.mse_loss(net.upwards(code.view(-1, CODE, 1, 1)).flatten(1)[:, :16], X[:, :16]),
    )


@pytest.mark.parametrize("style", [plain, halves_of_one_layer, distributions, without_kl])
def test_the_code_of_however_it_is_written(style):
    mean, sigma, loss = style(Coder())
    found = dict(zip(FIGURES, figures(loss).tolist(), strict=True))
    m, s = mean.detach().double().numpy(), sigma.detach().double().numpy()
    kl = 0.5 * (m**2 + s**2 - 1 - np.log(s**2)).sum(1).mean()
    assert found["kl"] == pytest.approx(kl, rel=1e-4)
    assert found["sigma"] == pytest.approx(s.mean(), rel=1e-5)
    assert found["active"] == (m.var(0, ddof=1) > 0.01).sum() == CODE // 2
    assert found["code"] == CODE


def test_nothing_is_read_after_the_backward_pass():
    _, _, loss = plain(Coder())
    loss.backward()
    assert figures(loss) is None


def test_of_one_sample_nobody_can_tell_whether_its_code_varies():
    mean, sigma = torch.zeros(1, CODE, requires_grad=True), torch.zeros(1, CODE, requires_grad=True)
    torch.manual_seed(0)
    code = 1.0 * mean + sigma.exp() * torch.randn(1, CODE)
    assert figures(F.mse_loss(nn.Linear(CODE, 20)(code), X[:1]) + (mean**2).sum()) is None


def noisy_inputs(net):
    return net.decoder(net.mean(X + torch.randn_like(X)))


def dropped(net):
    return net.decoder(F.dropout(net.mean(X), 0.5))


def noise_on_weights(net):
    scale = nn.Parameter(torch.full_like(net.decoder.weight, -3.0)).exp()
    return F.linear(net.mean(X), net.decoder.weight + torch.randn_like(scale) * scale)


def attention(net):
    """A product of what is learned and a fixed mask of zeros and ones, added to what is learned."""
    mask = (X[:, :CODE] > 0.5).float()
    return net.decoder(net.mean(X) + net.log_variance(X).exp() * mask)


@pytest.mark.parametrize("net", [noisy_inputs, dropped, noise_on_weights, attention])
def test_what_is_no_code(net):
    assert figures(F.mse_loss(net(Coder()), X)) is None


@pytest.mark.parametrize("loss", [None, 1.0, torch.tensor(1.0), torch.ones(1, requires_grad=True)])
def test_what_has_no_graph(loss):
    assert figures(loss) is None
