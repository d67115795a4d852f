"""What several wings build on: layers, autoencoder, elbo, views."""
