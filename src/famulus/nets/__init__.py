"""What several wings build on: layers, autoencoder, elbo, rank, noise scale."""
