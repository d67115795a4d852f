"""The figures of a VAE's code, read off a graph, against numpy in float64."""

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Normal, kl_divergence
from torch.nn import functional as F

from famulus.diagnosis.gaussian_code import of_input
from famulus.diagnosis.probes.probe import Probe

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
        self.conditional = nn.Linear(CODE + 3, 20)
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


def beside_labels(net):
    mean, log_variance = net.mean(X), net.log_variance(X)
    sigma = torch.exp(0.5 * log_variance)
    code = mean + sigma * torch.randn_like(sigma)
    labels = F.one_hot(torch.arange(SAMPLES) % 3, 3).float()
    return mean, sigma, net.conditional(torch.cat([code, labels], 1)).sum()


def probed(net, call):
    """The code that a probe of `net` finds while it is called."""
    probe = Probe(net)
    probe.begin(0)
    found = call(net)
    return found, probe.take()[0].get("code")


@pytest.mark.parametrize(
    "style", [plain, halves_of_one_layer, distributions, without_kl, beside_labels]
)
def test_the_code_of_however_it_is_written(style):
    (mean, sigma, _), found = probed(Coder(), style)
    m, s = mean.detach().double().numpy(), sigma.detach().double().numpy()
    kl = 0.5 * (m**2 + s**2 - 1 - np.log(s**2)).sum(1).mean()
    assert found["kl"] == pytest.approx(kl, rel=1e-3)
    assert found["sigma"] == pytest.approx(s.mean(), rel=1e-3)
    assert found["active"] == (m.var(0, ddof=1) > 0.01).sum() == CODE // 2
    assert found["code"] == CODE


def test_of_one_sample_nobody_can_tell_whether_its_code_varies():
    mean, sigma = torch.zeros(1, CODE, requires_grad=True), torch.zeros(1, CODE, requires_grad=True)
    torch.manual_seed(0)
    assert of_input(1.0 * mean + sigma.exp() * torch.randn(1, CODE)) is None


def test_nothing_is_read_after_the_backward_pass():
    mean, sigma = torch.zeros(8, CODE, requires_grad=True), torch.zeros(8, CODE, requires_grad=True)
    code = 1.0 * mean + sigma.exp() * torch.randn(8, CODE)
    assert of_input(code) is not None
    code.sum().backward()
    assert of_input(code) is None


def noisy_inputs(net):
    return net.decoder(net.mean(X + torch.randn_like(X)))


def dropped(net):
    return net.decoder(F.dropout(net.mean(X), 0.5))


def noise_on_weights(net):
    scale = nn.Parameter(torch.full_like(net.decoder.weight, -3.0)).exp()
    return F.linear(net.mean(X), net.decoder.weight + torch.randn_like(scale) * scale)


def masked(net):
    """A product of what is learned and a fixed mask of zeros and ones, added to what is learned."""
    mask = (X[:, :CODE] > 0.5).float()
    return net.decoder(net.mean(X) + net.log_variance(X).exp() * mask)


@pytest.mark.parametrize("call", [noisy_inputs, dropped, noise_on_weights, masked])
def test_what_is_no_code(call):
    assert probed(Coder(), call)[1] is None


def test_what_has_no_graph():
    assert of_input(X) is None
